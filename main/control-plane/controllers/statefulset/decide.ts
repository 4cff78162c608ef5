/** The next step of a StatefulSet: which Pod, by its ordinal, is to be made, replaced or given up. */
import type { Pod } from "../../../../common/kube/types.ts";
import { resolve } from "../deployment/arithmetic.ts";
import type { IntOrPercent } from "../deployment/arithmetic.ts";
import { hashOf } from "../kernel/history.ts";
import { BURST, isAvailable, isReady, isTerminated } from "../kernel/pods.ts";

export interface StatefulInput {
  name: string;
  replicas: number;
  /** The first ordinal. */
  start: number;
  parallel: boolean;
  minReadySeconds: number;
  strategy: { type?: string; rollingUpdate?: { partition?: number; maxUnavailable?: IntOrPercent } } | undefined;
  pods: readonly Pod[];
  /** Hash of the revision that is being rolled out; Pods below the partition keep `currentHash`. */
  updateHash: string;
  currentHash: string;
  nowMillis: number;
}

export interface StatefulPlan {
  /** Ordinals to make, each at a revision. */
  create: { ordinal: number; hash: string }[];
  remove: Pod[];
}

/** "web-3" is ordinal 3 of "web"; undefined when the name does not belong to it. */
export function ordinalOf(name: string, pod: Pod): number | undefined {
  const match = /^(.*)-(\d+)$/.exec(pod.metadata.name ?? "");
  return match?.[1] === name ? Number(match[2]) : undefined;
}

export function decideStateful(input: StatefulInput): StatefulPlan {
  const { name, replicas, start, parallel, pods } = input;
  const plan: StatefulPlan = { create: [], remove: [] };
  const byOrdinal = new Map<number, Pod>();
  for (const pod of pods) {
    const ordinal = ordinalOf(name, pod);
    if (ordinal !== undefined) byOrdinal.set(ordinal, pod);
  }
  const inRange = (ordinal: number): boolean => ordinal >= start && ordinal < start + replicas;
  const partition = input.strategy?.type === "OnDelete" ? 0 : (input.strategy?.rollingUpdate?.partition ?? 0);
  const hashFor = (ordinal: number): string => (ordinal - start < partition ? input.currentHash : input.updateHash);
  const healthy = (pod: Pod | undefined): boolean =>
    pod !== undefined &&
    pod.metadata.deletionTimestamp === undefined &&
    isAvailable(pod, input.minReadySeconds, input.nowMillis);

  // From the first on: make what is missing. In order, each waits for the one before it.
  for (let ordinal = start; ordinal < start + replicas; ordinal += 1) {
    const pod = byOrdinal.get(ordinal);
    if (!pod) plan.create.push({ ordinal, hash: hashFor(ordinal) });
    else if (isTerminated(pod)) {
      if (pod.metadata.deletionTimestamp === undefined) plan.remove.push(pod);
    } else if (parallel || healthy(pod)) continue;
    if (!parallel || plan.create.length >= BURST) return plan;
  }

  // From the last on: give up what is too many. In order, each waits until the one after it is gone, and one that is
  // not well waits for those before it that are not either.
  const beyond = [...byOrdinal].filter(([ordinal]) => !inRange(ordinal)).toSorted(([a], [b]) => b - a);
  const [, firstUnhealthy] = beyond.findLast(([, pod]) => !healthy(pod)) ?? [];
  for (const [, pod] of beyond) {
    const going = pod.metadata.deletionTimestamp !== undefined;
    if (!going && (parallel || healthy(pod) || pod === firstUnhealthy)) plan.remove.push(pod);
    if (!parallel) return plan;
  }
  if (input.strategy?.type === "OnDelete") return plan;

  // From the last down to the partition: replace what is of another revision. What does not run well costs nothing.
  const most = Math.max(1, resolve(input.strategy?.rollingUpdate?.maxUnavailable ?? 1, replicas, "up"));
  let missing = 0;
  for (let ordinal = start; ordinal < start + replicas; ordinal += 1)
    if (!healthy(byOrdinal.get(ordinal))) missing += 1;
  let replaced = 0;
  for (let ordinal = start + replicas - 1; ordinal >= start + partition && replaced < most; ordinal -= 1) {
    const pod = byOrdinal.get(ordinal);
    if (!pod || pod.metadata.deletionTimestamp !== undefined || plan.remove.includes(pod)) {
      if (most === 1) return plan;
      continue;
    }
    const well = healthy(pod);
    if (hashOf(pod) === input.updateHash) {
      if (!well && most === 1) return plan;
      continue;
    }
    if (well && missing >= most) continue;
    if (well) missing += 1;
    plan.remove.push(pod);
    replaced += 1;
  }
  return plan;
}

export interface StatefulStatus {
  observedGeneration?: number;
  replicas: number;
  readyReplicas?: number;
  availableReplicas: number;
  currentReplicas?: number;
  updatedReplicas?: number;
  currentRevision?: string;
  updateRevision?: string;
  collisionCount?: number;
}

export function decideStatefulStatus(
  input: StatefulInput,
  names: { current: string; update: string },
  generation: number,
  collisionCount: number,
): StatefulStatus {
  const mine = input.pods.filter((pod) => ordinalOf(input.name, pod) !== undefined);
  const living = mine.filter((pod) => pod.metadata.deletionTimestamp === undefined);
  const ready = mine.filter(isReady);
  const available = living.filter((pod) => isAvailable(pod, input.minReadySeconds, input.nowMillis));
  const updated = living.filter((pod) => hashOf(pod) === input.updateHash);
  const partition = input.strategy?.rollingUpdate?.partition ?? 0;
  // All are of the new revision and well: from now on it is the current one.
  const done =
    input.strategy?.type !== "OnDelete" &&
    partition === 0 &&
    updated.length === input.replicas &&
    mine.length === input.replicas &&
    updated.every(isReady);
  const currentHash = done ? input.updateHash : input.currentHash;
  const current = living.filter((pod) => hashOf(pod) === currentHash);
  const positive = (name: string, value: number): object => (value > 0 ? { [name]: value } : {});
  return {
    observedGeneration: generation,
    replicas: mine.length,
    ...positive("readyReplicas", ready.length),
    availableReplicas: available.length,
    ...positive("currentReplicas", current.length),
    ...positive("updatedReplicas", updated.length),
    currentRevision: done ? names.update : names.current,
    updateRevision: names.update,
    collisionCount,
  };
}
