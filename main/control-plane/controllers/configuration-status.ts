/**
 * The statuses of what configures the API server itself: that a FlowSchema's priority level is there, and that an
 * admission policy was read.
 */
import type { KubeObject } from "../../../common/kube/object.ts";
import { timestamp } from "../../../common/kube/clock.ts";
import { commit } from "./kernel/committer.ts";
import { follow } from "./kernel/controller.ts";
import type { ControllerDefinition } from "./kernel/controller.ts";
import type { Kind } from "./kernel/kinds.ts";

const flow = (resource: string, kind: string): Kind => ({
  group: "flowcontrol.apiserver.k8s.io",
  version: "v1",
  resource,
  kind,
});
const flowSchemas = flow("flowschemas", "FlowSchema");
const priorityLevels = flow("prioritylevelconfigurations", "PriorityLevelConfiguration");
const policies: Kind = {
  group: "admissionregistration.k8s.io",
  version: "v1",
  resource: "validatingadmissionpolicies",
  kind: "ValidatingAdmissionPolicy",
};

interface Condition {
  type: string;
  status: string;
  lastTransitionTime?: string;
  reason?: string;
  message?: string;
}

export const flowSchemaStatus: ControllerDefinition = {
  name: "flow-schema-status-controller",
  concurrency: 1,
  setup({ client, informers, clock }, keys) {
    const levels = informers.for<KubeObject>(priorityLevels);
    const schemas = follow(informers.for<KubeObject>(flowSchemas), keys);
    follow(levels, keys, () => schemas.list().map(({ metadata }) => metadata.name ?? ""));
    return {
      async reconcile(name) {
        const schema = schemas.get(name);
        if (!schema) return;
        const { priorityLevelConfiguration = {} } = (schema["spec"] ?? {}) as {
          priorityLevelConfiguration?: { name?: string };
        };
        const level = priorityLevelConfiguration.name ?? "";
        const there = levels.get(level) !== undefined;
        const status = (schema["status"] ?? {}) as { conditions?: Condition[] };
        const before = status.conditions?.find(({ type }) => type === "Dangling");
        const wanted = there ? "False" : "True";
        if (before?.status === wanted) return;
        const condition: Condition = {
          type: "Dangling",
          status: wanted,
          lastTransitionTime: timestamp(clock.now()),
          reason: there ? "Found" : "NotFound",
          message: there
            ? `This FlowSchema references the PriorityLevelConfiguration object named ${JSON.stringify(level)} and it exists`
            : `This FlowSchema references the PriorityLevelConfiguration object named ${JSON.stringify(level)} but there is no such object`,
        };
        const others = (status.conditions ?? []).filter(({ type }) => type !== "Dangling");
        await commit(client, flowSchemas, schema, {
          ...schema,
          status: { ...status, conditions: [...others, condition] },
        });
      },
    };
  },
};

export const admissionPolicyStatus: ControllerDefinition = {
  name: "validatingadmissionpolicy-status-controller",
  concurrency: 1,
  setup({ client, informers }, keys) {
    const known = follow(informers.for<KubeObject>(policies), keys);
    return {
      async reconcile(name) {
        const policy = known.get(name);
        if (!policy) return;
        const observedGeneration = policy.metadata.generation ?? 1;
        const status = (policy["status"] ?? {}) as { observedGeneration?: number };
        if (status.observedGeneration === observedGeneration) return;
        await commit(client, policies, policy, {
          ...policy,
          status: { ...status, observedGeneration },
        });
      },
    };
  },
};
