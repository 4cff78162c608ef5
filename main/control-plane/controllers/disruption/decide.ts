/** How many Pods of a PodDisruptionBudget may be given up at this moment. */
import { timestamp } from "../../../../common/kube/clock.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { LabelSelectorObject } from "../../../../common/kube/selector.ts";
import type { Pod } from "../../../../common/kube/types.ts";
import { resolve } from "../deployment/arithmetic.ts";
import type { IntOrPercent } from "../deployment/arithmetic.ts";
import { isReady, isTerminated } from "../kernel/pods.ts";
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

/** `scale` is how many Pods the owners of these want; undefined when nobody says. */
export function decideBudget(
  budget: Budget,
  pods: readonly Pod[],
  scale: number | undefined,
  nowMillis: number,
): { status: BudgetStatus; again: number | undefined } {
  const { minAvailable, maxUnavailable } = budget.spec;
  const counted = pods.filter((pod) => !isTerminated(pod));
  const byName = new Map(counted.map((pod) => [pod.metadata.name ?? "", pod]));
  const granted = Object.entries(budget.status?.disruptedPods ?? {}).filter(([name, time]) => {
    const pod = byName.get(name);
    return pod && pod.metadata.deletionTimestamp === undefined && Date.parse(time) + GRANTED_MILLIS > nowMillis;
  });
  const leaving = new Set(granted.map(([name]) => name));
  const currentHealthy = counted.filter(
    (pod) => isReady(pod) && pod.metadata.deletionTimestamp === undefined && !leaving.has(pod.metadata.name ?? ""),
  ).length;
  const plain = maxUnavailable === undefined && typeof minAvailable !== "string";
  const expectedPods = plain ? counted.length : (scale ?? counted.length);
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
  };
}
