/** What a ReplicaSet (or ReplicationController) lacks or has too much of, and the status it shows. */
import { timestamp } from "../../../../common/kube/clock.ts";
import type { Pod } from "../../../../common/kube/types.ts";
import { BURST, isActive, isAvailable, isReady } from "../kernel/pods.ts";
import type { Condition } from "../kernel/pods.ts";
import { deletionOrder } from "./deletion-order.ts";

export interface Scaling {
  create: number;
  remove: Pod[];
}

/** `active` are the owner's Pods that count; `related` those of its siblings too, for how crowded nodes are. */
export function decideScaling(
  replicas: number,
  active: readonly Pod[],
  related: readonly Pod[],
  nowMillis: number,
): Scaling {
  const missing = replicas - active.length;
  if (missing >= 0) return { create: Math.min(BURST, missing), remove: [] };
  return { create: 0, remove: deletionOrder(active, related, nowMillis).slice(0, Math.min(BURST, -missing)) };
}

export interface ReplicaStatus {
  replicas: number;
  fullyLabeledReplicas?: number;
  readyReplicas?: number;
  availableReplicas?: number;
  /** Pods that are on their way out. */
  terminatingReplicas?: number;
  observedGeneration?: number;
  conditions?: Condition[];
}

export interface StatusInput {
  generation: number;
  replicas: number;
  minReadySeconds: number;
  templateLabels: Record<string, string>;
  active: readonly Pod[];
  /** undefined: the kind does not tell. */
  terminating: number | undefined;
  old: ReplicaStatus | undefined;
  /** Why Pods could not be made or deleted in this turn. */
  failure: { reason: "FailedCreate" | "FailedDelete"; message: string } | undefined;
  nowMillis: number;
}

export function decideStatus(input: StatusInput): ReplicaStatus {
  const { active, old, failure, nowMillis } = input;
  const labelled = active.filter((pod) =>
    Object.entries(input.templateLabels).every(([key, value]) => pod.metadata.labels?.[key] === value),
  );
  const ready = active.filter(isReady);
  const available = ready.filter((pod) => isAvailable(pod, input.minReadySeconds, nowMillis));
  const others = (old?.conditions ?? []).filter(({ type }) => type !== "ReplicaFailure");
  const before = old?.conditions?.find(({ type }) => type === "ReplicaFailure");
  // A failure that was there stays as it was first told.
  const conditions = failure
    ? [
        ...others,
        before ?? { type: "ReplicaFailure", status: "True", ...failure, lastTransitionTime: timestamp(nowMillis) },
      ]
    : others;
  const positive = (value: number): number | undefined => (value > 0 ? value : undefined);
  const status: Record<string, unknown> = {
    replicas: active.length,
    fullyLabeledReplicas: positive(labelled.length),
    readyReplicas: positive(ready.length),
    availableReplicas: positive(available.length),
    terminatingReplicas: input.terminating,
    observedGeneration: input.generation,
    conditions: conditions.length > 0 ? conditions : undefined,
  };
  return Object.fromEntries(
    Object.entries(status).filter(([, value]) => value !== undefined),
  ) as unknown as ReplicaStatus;
}

/** Milliseconds until the next ready Pod becomes available, if one waits for that. */
export function nextAvailable(active: readonly Pod[], minReadySeconds: number, nowMillis: number): number | undefined {
  if (minReadySeconds === 0) return undefined;
  const waits = active
    .filter((pod) => isActive(pod) && isReady(pod) && !isAvailable(pod, minReadySeconds, nowMillis))
    .map((pod) => {
      const since = pod.status?.conditions?.find(({ type }) => type === "Ready")?.lastTransitionTime;
      return since === undefined ? 1000 : Date.parse(String(since)) + minReadySeconds * 1000 - nowMillis;
    });
  return waits.length > 0 ? Math.max(1, Math.min(...waits)) : undefined;
}
