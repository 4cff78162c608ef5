/** What of a Pod may change after it was created, by which door. */
import { copyOf } from "../../../../../common/kube/copy.ts";
import type { KubeObject } from "../../../../../common/kube/object.ts";
import type { StatusCause } from "../../../../../common/kube/status.ts";
import type { Container, Pod, PodSpec } from "../../../../../common/kube/types.ts";
import { validatePodAnnotations } from "../../validation/pod/annotations.ts";
import { validatePodSpec } from "../../validation/pod/spec.ts";
import { validateResources } from "../../validation/pod/resources.ts";
import { Problems, same } from "../../validation/problems.ts";
import { qosClass } from "./qos.ts";

const specOf = (object: KubeObject): PodSpec => (object as Pod).spec ?? ({ containers: [] } as PodSpec);

const rule =
  "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/** Ordinary updates: images, deadline, more tolerations, fewer scheduling gates. */
export function validatePodUpdate(object: KubeObject, old: KubeObject): StatusCause[] {
  const problems = new Problems();
  const spec = specOf(object);
  const before = specOf(old);
  problems.add(validatePodAnnotations(object.metadata.annotations, "metadata.annotations", old.metadata.annotations));
  for (const part of ["containers", "initContainers"] as const) {
    const list = spec[part] ?? [];
    if (list.length !== (before[part] ?? []).length) {
      problems.forbidden(`spec.${part}`, "pod updates may not add or remove containers");
      return problems.causes;
    }
    list.forEach((container, index) => {
      const path = `spec.${part}[${index}].image`;
      if (!container.image) problems.required(path);
      else if (container.image.trim() !== container.image) {
        problems.invalid(path, container.image, "must not have leading or trailing whitespace");
      }
    });
  }
  deadline(spec, before, problems);
  for (const toleration of before.tolerations ?? []) {
    if ((spec.tolerations ?? []).some((one) => sameToleration(one, toleration))) continue;
    problems.forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds");
    break;
  }
  gates(spec, before, problems);

  const comparable = copyOf(spec);
  for (const part of ["containers", "initContainers"] as const) {
    comparable[part]?.forEach((container, index) => {
      const image = before[part]?.[index]?.image;
      if (image !== undefined) container.image = image;
    });
  }
  copy(comparable, before, "activeDeadlineSeconds");
  copy(comparable, before, "tolerations");
  copy(comparable, before, "schedulingGates");
  if ((before.terminationGracePeriodSeconds ?? 0) < 0 && spec.terminationGracePeriodSeconds === 1) {
    copy(comparable, before, "terminationGracePeriodSeconds");
  }
  if ((before.schedulingGates ?? []).length > 0) {
    copy(comparable, before, "nodeSelector");
    copy(comparable, before, "affinity");
  }
  if (!same(comparable, before)) {
    problems.forbidden("spec", `${rule}\n${differences(comparable, before).join("\n")}`);
  }
  return problems.causes;
}

/** How an existing toleration and its successor are matched: all but the seconds. */
function sameToleration(a: object, b: object): boolean {
  return same({ ...a, tolerationSeconds: undefined }, { ...b, tolerationSeconds: undefined });
}

function copy<K extends keyof PodSpec>(to: PodSpec, from: PodSpec, field: K): void {
  if (from[field] === undefined) delete to[field];
  else to[field] = from[field];
}

function deadline(spec: PodSpec, before: PodSpec, problems: Problems): void {
  const field = "spec.activeDeadlineSeconds";
  const { activeDeadlineSeconds: now } = spec;
  const { activeDeadlineSeconds: then } = before;
  if (now !== undefined) {
    if (now < 0 || now > 2_147_483_647) problems.invalid(field, now, "must be between 0 and 2147483647, inclusive");
    else if (then !== undefined && then < now) {
      problems.invalid(field, now, "must be less than or equal to previous value");
    }
  } else if (then !== undefined) {
    problems.invalid(field, null, "must not update from a positive integer to nil value");
  }
}

function gates(spec: PodSpec, before: PodSpec, problems: Problems): void {
  const old = new Set((before.schedulingGates ?? []).map(({ name }) => name));
  const added = (spec.schedulingGates ?? []).filter(({ name }) => !old.has(name));
  if (added.length > 0) {
    const names = added.map(({ name }) => name).join(", ");
    problems.forbidden("spec.schedulingGates", `only deletion is allowed, but found new scheduling gate '${names}'`);
  }
}

/** The fields that differ, one line each, old then new: what the message ends with. */
function differences(spec: PodSpec, before: PodSpec): string[] {
  const now = spec as unknown as Record<string, unknown>;
  const then = before as unknown as Record<string, unknown>;
  return [...new Set([...Object.keys(then), ...Object.keys(now)])]
    .filter((key) => !same(now[key], then[key]))
    .flatMap((key) => [`- ${key}: ${JSON.stringify(then[key])}`, `+ ${key}: ${JSON.stringify(now[key])}`]);
}

/** The door for `kubectl debug`: ephemeral containers may only be added. */
export function validateEphemeralUpdate(object: KubeObject, old: KubeObject): StatusCause[] {
  const problems = new Problems();
  const now = specOf(object).ephemeralContainers ?? [];
  const then = specOf(old).ephemeralContainers ?? [];
  for (const [index, container] of then.entries()) {
    const still = now.find(({ name }) => name === container.name);
    if (!still) {
      problems.forbidden(
        `spec.ephemeralContainers[${index}]`,
        `existing ephemeral containers "${container.name}" may not be removed\n`,
      );
    } else if (!same(still, container)) {
      problems.forbidden(
        `spec.ephemeralContainers[${index}]`,
        `existing ephemeral containers "${container.name}" may not be changed\n`,
      );
    }
  }
  problems.add(
    validatePodSpec(specOf(object), "spec").filter(({ field }) => field?.startsWith("spec.ephemeralContainers")),
  );
  return problems.causes;
}

/** The door for in-place resizing: CPU and memory of containers, within the Pod's QoS class. */
export function validateResize(object: KubeObject, old: KubeObject): StatusCause[] {
  const problems = new Problems();
  const spec = specOf(object);
  const before = specOf(old);
  for (const part of ["containers", "initContainers"] as const) {
    (spec[part] ?? []).forEach((container, index) => {
      validateResources(container.resources, `spec.${part}[${index}].resources`, problems);
    });
  }
  const comparable = copyOf(spec);
  for (const part of ["containers", "initContainers"] as const) {
    (comparable[part] ?? []).forEach((container: Container, index) => {
      const resources = before[part]?.[index]?.resources;
      if (resources === undefined) delete container.resources;
      else container.resources = resources;
    });
  }
  if (!same(comparable, before)) {
    problems.forbidden("spec", "only cpu and memory resources for containers are mutable");
  }
  if (qosClass(spec) !== qosClass(before)) {
    problems.invalid("spec", qosClass(spec), "Pod QOS Class may not change as a result of resizing");
  }
  return problems.causes;
}
