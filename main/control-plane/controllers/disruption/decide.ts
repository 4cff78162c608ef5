/** How many Pods of a PodDisruptionBudget may be given up at this moment. */
import { timestamp } from "../../../../common/kube/clock.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { LabelSelectorObject } from "../../../../common/kube/selector.ts";
import type { Pod } from "../../../../common/kube/types.ts";
import { resolve } from "../deployment/arithmetic.ts";
import type { IntOrPercent } from "../deployment/arithmetic.ts";
import { conditionOf, isReady, isTerminated } from "../kernel/pods.ts";
import type { Condition } from "../kernel/pods.ts";

export type Budget = KubeObject & {
  spec: { minAvailable?: IntOrPercent; maxUnavailable?: IntOrPercent; selector?: LabelSelectorObject };
  status?: BudgetStatus;
};

export interface BudgetStatus {
  observedGeneration?: number;
  /** Evictions that were granted and whose Pods are not seen to go yet: name and time. */
  disruptedPods?: Record<string, string>;
  disruptionsAllowed: number;
  currentHealthy: number;
  desiredHealthy: number;
  expectedPods: number;
  conditions?: Condition[];
}

/** An eviction that was granted but did not happen within this time is forgotten. */
const GRANTED_MILLIS = 120_000;

/** Whether the owners of its Pods have to be asked how many there should be. */
export function needsScale({ spec }: Budget): boolean {
  return spec.maxUnavailable !== undefined || typeof spec.minAvailable === "string";
}

/** `scale` is how many Pods the owners of these want. */
export function decideBudget(
  budget: Budget,
  pods: readonly Pod[],
  scale: number,
  nowMillis: number,
): { status: BudgetStatus; again: number | undefined; notDeleted: Pod[] } {
  const { minAvailable, maxUnavailable } = budget.spec;
  const byName = new Map(pods.map((pod) => [pod.metadata.name ?? "", pod]));
  const notDeleted = Object.entries(budget.status?.disruptedPods ?? {}).flatMap(([name, time]) => {
    const pod = byName.get(name);
    const late = pod && pod.metadata.deletionTimestamp === undefined && Date.parse(time) + GRANTED_MILLIS <= nowMillis;
    return late ? [pod] : [];
  });
  const granted = Object.entries(budget.status?.disruptedPods ?? {}).filter(([name, time]) => {
    const pod = byName.get(name);
    return pod && pod.metadata.deletionTimestamp === undefined && Date.parse(time) + GRANTED_MILLIS > nowMillis;
  });
  const leaving = new Set(granted.map(([name]) => name));
  const currentHealthy = pods.filter(
    (pod) => isReady(pod) && pod.metadata.deletionTimestamp === undefined && !leaving.has(pod.metadata.name ?? ""),
  ).length;
  const expectedPods = needsScale(budget) ? scale : pods.length;
  const desiredHealthy =
    maxUnavailable === undefined
      ? resolve(minAvailable ?? 1, expectedPods, "up")
      : Math.max(0, expectedPods - resolve(maxUnavailable, expectedPods, "up"));
  const disruptionsAllowed = expectedPods > 0 ? Math.max(0, currentHealthy - desiredHealthy) : 0;
  const status = disruptionsAllowed > 0 ? "True" : "False";
  const old = budget.status?.conditions?.find(({ type }) => type === "DisruptionAllowed");
  const condition: Condition = {
    type: "DisruptionAllowed",
    status,
    observedGeneration: budget.metadata.generation ?? 0,
    lastTransitionTime:
      old?.status === status ? (old.lastTransitionTime ?? timestamp(nowMillis)) : timestamp(nowMillis),
    reason: disruptionsAllowed > 0 ? "SufficientPods" : "InsufficientPods",
    message: "",
  };
  const ends = granted.map(([, time]) => Date.parse(time) + GRANTED_MILLIS - nowMillis);
  return {
    status: {
      observedGeneration: budget.metadata.generation ?? 0,
      ...(granted.length > 0 ? { disruptedPods: Object.fromEntries(granted) } : {}),
      disruptionsAllowed,
      currentHealthy,
      desiredHealthy,
      expectedPods,
      conditions: [...(budget.status?.conditions ?? []).filter(({ type }) => type !== "DisruptionAllowed"), condition],
    },
    again: ends.length > 0 ? Math.max(1, Math.min(...ends)) : undefined,
    notDeleted,
  };
}

/** When nothing can be said, nothing may be given up. */
export function failedStatus(budget: Budget, message: string, nowMillis: number): BudgetStatus {
  const old = budget.status?.conditions?.find(({ type }) => type === "DisruptionAllowed");
  const before = budget.status ?? { currentHealthy: 0, desiredHealthy: 0, expectedPods: 0, disruptionsAllowed: 0 };
  const condition: Condition = {
    type: "DisruptionAllowed",
    status: "False",
    observedGeneration: before.observedGeneration ?? 0,
    lastTransitionTime:
      old?.status === "False" ? (old.lastTransitionTime ?? timestamp(nowMillis)) : timestamp(nowMillis),
    reason: "SyncFailed",
    message,
  };
  const others = (before.conditions ?? []).filter(({ type }) => type !== "DisruptionAllowed");
  return { ...before, disruptionsAllowed: 0, conditions: [...others, condition] };
}

/** A Pod that was marked for a disruption which did not come is no longer marked after this time. */
const STALE_MILLIS = 120_000;

/** Milliseconds until the mark is stale; undefined: there is none that could become so. */
export function untilStale(pod: Pod, nowMillis: number): number | undefined {
  const mark = conditionOf(pod, "DisruptionTarget");
  if (mark?.status !== "True" || mark.reason === "TerminationByKubelet") return undefined;
  if (pod.metadata.deletionTimestamp !== undefined || isTerminated(pod)) return undefined;
  return Date.parse(mark.lastTransitionTime ?? "") + STALE_MILLIS - nowMillis;
}
