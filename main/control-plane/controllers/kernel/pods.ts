/** What controllers ask of Pods: ready, available, active; and how they are made from a template. */
import { copyOf } from "../../../../common/kube/copy.ts";
import type { Client } from "../../../../common/kube/client.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { Pod } from "../../../../common/kube/types.ts";
import { controllerReference } from "./ownership.ts";
import { kinds } from "./kinds.ts";
import type { Kind } from "./kinds.ts";

export interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
  lastUpdateTime?: string;
  lastHeartbeatTime?: string;
  observedGeneration?: number;
}

export function conditionOf(object: KubeObject, type: string): Condition | undefined {
  const status = object.status as { conditions?: Condition[] } | undefined;
  return status?.conditions?.find((condition) => condition.type === type);
}

export function isReady(pod: Pod): boolean {
  return conditionOf(pod, "Ready")?.status === "True";
}

/** Ready for at least so long; with 0 seconds, ready is enough. */
export function isAvailable(pod: Pod, minReadySeconds: number, nowMillis: number): boolean {
  const ready = conditionOf(pod, "Ready");
  if (ready?.status !== "True") return false;
  if (minReadySeconds === 0) return true;
  return (
    ready.lastTransitionTime !== undefined && Date.parse(ready.lastTransitionTime) + minReadySeconds * 1000 <= nowMillis
  );
}

export function isTerminated(pod: Pod): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}

/** Neither ended nor asked to go: counts as a replica. */
export function isActive(pod: Pod): boolean {
  return !isTerminated(pod) && pod.metadata.deletionTimestamp === undefined;
}

/** Asked to go and not ended yet. */
export function isTerminating(pod: Pod): boolean {
  return !isTerminated(pod) && pod.metadata.deletionTimestamp !== undefined;
}

/** Pods made or deleted in one go: an owner may ask for thousands of millions. */
export const BURST = 500;

export interface PodTemplate {
  metadata?: {
    name?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    finalizers?: string[];
  };
  spec?: object;
}

/** A Pod as its owner's template describes it. `name` fixes the name; else the server makes one from the owner's. */
export function podFromTemplate(template: PodTemplate, owner: KubeObject, ownerKind: Kind, name?: string): Pod {
  const { labels, annotations, finalizers } = template.metadata ?? {};
  const { namespace } = owner.metadata;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      ...(name === undefined ? { generateName: `${owner.metadata.name}-` } : { name }),
      ...(namespace === undefined ? {} : { namespace }),
      ...(labels ? { labels: { ...labels } } : {}),
      ...(annotations ? { annotations: { ...annotations } } : {}),
      ...(finalizers ? { finalizers: [...finalizers] } : {}),
      ownerReferences: [controllerReference(owner, ownerKind)],
    },
    spec: copyOf(template.spec ?? {}) as NonNullable<Pod["spec"]>,
  };
}

export function podRef(pod: Pod): {
  group: string;
  version: string;
  resource: string;
  namespace: string;
  name: string;
} {
  const { group, version, resource } = kinds.pods;
  return { group, version, resource, namespace: pod.metadata.namespace ?? "", name: pod.metadata.name ?? "" };
}

export async function createPod(client: Client, pod: Pod): Promise<Pod> {
  return client.create<Pod>({ ...podRef(pod) }, pod);
}

/**
 * Runs `act` for each item in batches of 1, 2, 4, …, so that what fails for one (a quota) does not fail a
 * thousand times. Returns how many succeeded, and the first error; items after a failed batch are not tried.
 */
export async function slowStart<T>(
  items: readonly T[],
  act: (item: T) => Promise<void>,
): Promise<{ done: number; error?: unknown }> {
  let done = 0;
  let size = 1;
  for (let at = 0; at < items.length;) {
    const batch = items.slice(at, at + size);
    const results = await Promise.allSettled(batch.map(act));
    const failed = results.find((result) => result.status === "rejected");
    done += results.filter((result) => result.status === "fulfilled").length;
    if (failed) return { done, error: failed.reason as unknown };
    at += batch.length;
    size *= 2;
  }
  return { done };
}
