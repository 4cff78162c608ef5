/** Pods. */
import { copyOf } from "../../../../../common/kube/copy.ts";
import type { KubeObject } from "../../../../../common/kube/object.ts";
import { dnsSubdomainProblems } from "../../../../../common/kube/names.ts";
import type { StatusCause } from "../../../../../common/kube/status.ts";
import type { Pod, PodSpec } from "../../../../../common/kube/types.ts";
import type { RequestContext, ResourceDefinition, SubresourceDefinition } from "../../definition.ts";
import { define, shows, showsAge, statusSubresource, table } from "../../define.ts";
import { validatePodAnnotations } from "../../validation/pod/annotations.ts";
import { validatePodSpec } from "../../validation/pod/spec.ts";
import { Problems } from "../../validation/problems.ts";
import { bindingSubresource } from "./binding.ts";
import { mergeLabelKeys } from "./label-keys.ts";
import { qosClass } from "./qos.ts";
import { restartsText, summarizePod } from "./status.ts";
import { validateEphemeralUpdate, validatePodUpdate, validateResize } from "./update.ts";
import { podWarnings } from "./warnings.ts";

const specOf = (object: KubeObject): PodSpec => ((object as Pod).spec ?? { containers: [] }) as PodSpec;

function prepareForCreate(object: KubeObject, context: RequestContext): void {
  const spec = specOf(object);
  const gated = (spec.schedulingGates ?? []).length > 0;
  const now = `${context.now().toISOString().slice(0, 19)}Z`;
  mergeLabelKeys(object as Pod);
  object["status"] = {
    phase: "Pending",
    ...(gated
      ? {
          conditions: [
            {
              type: "PodScheduled",
              status: "False",
              lastProbeTime: null,
              lastTransitionTime: now,
              reason: "SchedulingGated",
              message: "Scheduling is blocked due to non-empty scheduling gates",
            },
          ],
        }
      : {}),
    qosClass: qosClass(spec),
  };
}

function validate(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const spec = specOf(object);
  problems.add(validatePodSpec(spec, "spec"));
  problems.add(validatePodAnnotations(object.metadata.annotations, "metadata.annotations"));
  if ((spec.ephemeralContainers ?? []).length > 0) {
    problems.forbidden("spec.ephemeralContainers", "cannot be set on create");
  }
  if ((spec.schedulingGates ?? []).length > 0 && spec.nodeName) {
    problems.forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared");
  }
  return problems.causes;
}

/** How long a delete may take: nothing for a Pod that no kubelet has, or that has ended. */
function gracePeriodSeconds(object: KubeObject, requested: number | undefined): number {
  const pod = object as Pod;
  const seconds = Number(requested ?? specOf(pod).terminationGracePeriodSeconds ?? 30);
  if (!specOf(pod).nodeName) return 0;
  if (pod.status?.phase === "Failed" || pod.status?.phase === "Succeeded") return 0;
  return seconds < 0 ? 1 : seconds;
}

/** Only this part of the spec is taken from the request. */
function partOfSpec(
  name: string,
  take: (spec: PodSpec, from: PodSpec) => void,
  validateUpdate: SubresourceDefinition["validateUpdate"],
): SubresourceDefinition {
  return {
    name,
    verbs: ["get", "patch", "update"],
    prepareForUpdate(object, old) {
      const updated = copyOf(old);
      take(specOf(updated), copyOf(specOf(object)));
      const { resourceVersion } = object.metadata;
      if (resourceVersion) updated.metadata.resourceVersion = resourceVersion;
      return updated;
    },
    ...(validateUpdate ? { validateUpdate } : {}),
  };
}

const ephemeralContainers = partOfSpec(
  "ephemeralcontainers",
  (spec, from) => {
    spec.ephemeralContainers = from.ephemeralContainers ?? [];
  },
  validateEphemeralUpdate,
);

const resize = partOfSpec(
  "resize",
  (spec, from) => {
    spec.containers = from.containers;
    if (from.initContainers) spec.initContainers = from.initContainers;
  },
  validateResize,
);

/** Node and status names as a status writer may leave them. */
function validateStatusUpdate(object: KubeObject, old: KubeObject): StatusCause[] {
  const problems = new Problems();
  const pod = object as Pod;
  const { nominatedNodeName } = pod.status ?? {};
  if (nominatedNodeName) {
    problems.invalidAll("status.nominatedNodeName", nominatedNodeName, dnsSubdomainProblems(nominatedNodeName));
  }
  const was = (old as Pod).status?.qosClass;
  if (was && pod.status?.qosClass && pod.status.qosClass !== was) {
    problems.invalid("status.qosClass", pod.status.qosClass, "field is immutable");
  }
  return problems.causes;
}

/** A status writer that says nothing of the QoS class leaves it. */
function keepQos(object: KubeObject, old: KubeObject): void {
  const qos = (old as Pod).status?.qosClass;
  if (qos)
    object["status"] = {
      ...(object["status"] as object | undefined),
      qosClass: (object as Pod).status?.qosClass || qos,
    };
}

const handled = (name: string, verbs: SubresourceDefinition["verbs"]): SubresourceDefinition => ({
  name,
  verbs,
  handled: true,
});

const podIP = (pod: Pod): string => pod.status?.podIPs?.[0]?.ip || pod.status?.podIP || "<none>";

function readinessGates(pod: Pod): string {
  const gates = pod.spec?.readinessGates ?? [];
  if (gates.length === 0) return "<none>";
  const passed = gates.filter(({ conditionType }) =>
    pod.status?.conditions?.some(({ type, status }) => type === conditionType && status === "True"),
  );
  return `${passed.length}/${gates.length}`;
}

export const pod: ResourceDefinition = define({
  group: "",
  version: "v1",
  kind: "Pod",
  resource: "pods",
  shortNames: ["po"],
  categories: ["all"],
  hasGeneration: true,
  strategy: {
    // One that is left out is an empty one: what it lacks is for validation to say.
    defaults: (object) => void (object["spec"] ??= { containers: [] }),
    prepareForCreate,
    prepareForUpdate(object, old) {
      if (old["status"] === undefined) delete object["status"];
      else object["status"] = old["status"];
    },
    validate,
    validateUpdate: validatePodUpdate,
    warnings: (object) => podWarnings(specOf(object), "spec"),
    gracePeriodSeconds,
  },
  table: table<Pod>(
    shows("Ready", "Containers that are ready, of all", (one) => {
      const { ready, total } = summarizePod(one);
      return `${ready}/${total}`;
    }),
    shows("Status", "What the Pod is doing", (one) => summarizePod(one).status),
    shows("Restarts", "How often containers were started again, and when last", (one, now) =>
      restartsText(summarizePod(one), now),
    ),
    showsAge,
    shows("IP", "The Pod's address", podIP, { wide: true }),
    shows("Node", "The node it runs on", (one) => one.spec?.nodeName || "<none>", { wide: true }),
    shows("Nominated Node", "The node that room is being made on", (one) => one.status?.nominatedNodeName || "<none>", {
      wide: true,
    }),
    shows("Readiness Gates", "Extra conditions that hold, of all", readinessGates, { wide: true }),
  ),
  selectableFields: {
    "spec.nodeName": (object) => specOf(object).nodeName ?? "",
    "spec.restartPolicy": (object) => specOf(object).restartPolicy ?? "",
    "spec.schedulerName": (object) => specOf(object).schedulerName ?? "",
    "spec.serviceAccountName": (object) => specOf(object).serviceAccountName ?? "",
    "spec.hostNetwork": (object) => String(specOf(object).hostNetwork === true),
    "status.phase": (object) => (object as Pod).status?.phase ?? "",
    "status.podIP": (object) => (object as Pod).status?.podIP ?? "",
    "status.nominatedNodeName": (object) => (object as Pod).status?.nominatedNodeName ?? "",
  },
  subresources: [
    statusSubresource({ validate: validateStatusUpdate, prepare: keepQos }),
    bindingSubresource,
    { ...handled("eviction", ["create"]), kind: { group: "policy", version: "v1", kind: "Eviction" } },
    ephemeralContainers,
    resize,
    handled("log", ["get"]),
    handled("exec", ["create", "get"]),
    handled("attach", ["create", "get"]),
    handled("portforward", ["create", "get"]),
    handled("proxy", ["create", "delete", "get", "patch", "update"]),
  ],
});
