/** Binding a Pod to a node: the scheduler's one write, a partial write of the Pod. */
import { copyOf } from "../../../../../common/kube/copy.ts";
import type { KubeObject } from "../../../../../common/kube/object.ts";
import { StatusError } from "../../../../../common/kube/status.ts";
import type { Pod } from "../../../../../common/kube/types.ts";
import type { RequestContext, SubresourceDefinition } from "../../definition.ts";
import { Problems } from "../../validation/problems.ts";

type Target = { kind?: string; name?: string };
const targetOf = (binding: KubeObject): Target => (binding["target"] ?? {}) as Target;

function conflict(name: string, why: string): StatusError {
  const message = `Operation cannot be fulfilled on pods/binding ${JSON.stringify(name)}: ${why}`;
  return new StatusError("Conflict", message, { name, kind: "pods/binding" });
}

/** The Pod with its node. Throws Conflict when it has one, is gated, or is going away. */
export function bind(binding: KubeObject, old: KubeObject, context: RequestContext): KubeObject {
  const pod = copyOf(old) as Pod;
  const name = pod.metadata.name ?? "";
  const node = targetOf(binding).name ?? "";
  if (pod.metadata.deletionTimestamp !== undefined) {
    throw conflict(name, `pod ${name} is being deleted, cannot be assigned to a host`);
  }
  if (pod.spec?.nodeName)
    throw conflict(name, `pod ${name} is already assigned to node ${JSON.stringify(pod.spec.nodeName)}`);
  if ((pod.spec?.schedulingGates ?? []).length > 0) {
    throw conflict(name, `pod ${name} has non-empty .spec.schedulingGates`);
  }
  if (binding.metadata.uid && binding.metadata.uid !== pod.metadata.uid) {
    throw conflict(
      name,
      `Precondition failed: UID in precondition: ${binding.metadata.uid}, UID in object meta: ${pod.metadata.uid}`,
    );
  }
  pod.spec = { ...pod.spec, containers: pod.spec?.containers ?? [], nodeName: node };
  if (binding.metadata.annotations) {
    pod.metadata.annotations = { ...pod.metadata.annotations, ...binding.metadata.annotations };
  }
  // It is where it is: room is kept for it nowhere else (KEP-5278).
  const { nominatedNodeName: _nominated, ...status } = pod.status ?? {};
  const conditions = (status.conditions ?? []).filter(({ type }) => type !== "PodScheduled");
  const now = `${context.now().toISOString().slice(0, 19)}Z`;
  const scheduled = { type: "PodScheduled", status: "True", lastProbeTime: null, lastTransitionTime: now };
  return { ...pod, status: { ...status, conditions: [...conditions, scheduled] } } as KubeObject;
}

export const bindingKind = { group: "", version: "v1", kind: "Binding" } as const;

export function validateBinding(binding: KubeObject): Problems["causes"] {
  const problems = new Problems();
  const { kind, name } = targetOf(binding);
  if (kind && kind !== "Node") problems.notSupported("target.kind", kind, ["Node", "<empty>"]);
  if (!name) problems.required("target.name");
  return problems.causes;
}

export const bindingSubresource: SubresourceDefinition = {
  name: "binding",
  kind: bindingKind,
  verbs: ["create"],
  validate: validateBinding,
  prepareForUpdate: bind,
  answersStatus: true,
};
