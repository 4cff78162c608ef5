/** Which Pods go first when a ReplicaSet shrinks: those whose loss hurts least. */
import type { Pod } from "../../../../common/kube/types.ts";
import { conditionOf, isActive, isReady } from "../kernel/pods.ts";

export const DELETION_COST = "controller.kubernetes.io/pod-deletion-cost";

const PHASES: Record<string, number> = { Pending: 0, Unknown: 1, Running: 2 };

function deletionCost(pod: Pod): number {
  const text = pod.metadata.annotations?.[DELETION_COST];
  return text !== undefined && /^-?(0|[1-9]\d*)$/.test(text) ? Number(text) : 0;
}

function restarts(pod: Pod): number {
  return Math.max(0, ...(pod.status?.containerStatuses ?? []).map(({ restartCount = 0 }) => restartCount));
}

/** Ages are compared by powers of two, so that of two old Pods either may go. */
function ageClass(since: string | undefined, nowMillis: number): number {
  if (since === undefined) return -1;
  const seconds = Math.max(0, nowMillis - Date.parse(since)) / 1000;
  return seconds < 1 ? 0 : Math.floor(Math.log2(seconds)) + 1;
}

/**
 * The Pods in the order in which they go: not assigned before assigned, Pending before Running, not ready
 * before ready, lower deletion cost, more crowded nodes (by Pods of `related`), ready for less time, more
 * restarts, younger.
 */
export function deletionOrder(pods: readonly Pod[], related: readonly Pod[], nowMillis: number): Pod[] {
  const crowd = new Map<string, number>();
  for (const pod of related) {
    const node = pod.spec?.nodeName;
    if (node && isActive(pod)) crowd.set(node, (crowd.get(node) ?? 0) + 1);
  }
  const keys = new Map(
    pods.map((pod) => [
      pod,
      [
        pod.spec?.nodeName ? 1 : 0,
        PHASES[pod.status?.phase ?? "Pending"] ?? 2,
        isReady(pod) ? 1 : 0,
        deletionCost(pod),
        -(crowd.get(pod.spec?.nodeName ?? "") ?? 0),
        isReady(pod) ? ageClass(conditionOf(pod, "Ready")?.lastTransitionTime, nowMillis) : 0,
        -restarts(pod),
        ageClass(pod.metadata.creationTimestamp, nowMillis),
      ],
    ]),
  );
  return pods.toSorted((a, b) => {
    const left = keys.get(a) as number[];
    const right = keys.get(b) as number[];
    const at = left.findIndex((value, index) => value !== right[index]);
    return at >= 0
      ? (left[at] as number) - (right[at] as number)
      : (a.metadata.uid ?? "") < (b.metadata.uid ?? "")
        ? -1
        : 1;
  });
}
