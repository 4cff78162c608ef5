/** Sets one condition of a Pod's status, leaving the others to whoever owns them. */
import type { Client } from "../../../common/kube/client.ts";
import { timestamp } from "../../../common/kube/clock.ts";
import type { Clock } from "../../../common/kube/clock.ts";
import type { Pod } from "../../../common/kube/types.ts";
import { conditionOf, podRef } from "../controllers/kernel/pods.ts";
import type { Condition } from "../controllers/kernel/pods.ts";

/** No write when the Pod has the condition like this already. */
export async function setPodCondition(
  client: Client,
  clock: Clock,
  pod: Pod,
  condition: Condition,
  nominatedNodeName?: string,
): Promise<void> {
  const old = conditionOf(pod, condition.type);
  const same = old?.status === condition.status && old.reason === condition.reason && old.message === condition.message;
  if (same && (nominatedNodeName === undefined || pod.status?.nominatedNodeName === nominatedNodeName)) return;
  const lastTransitionTime =
    old?.status === condition.status && old.lastTransitionTime ? old.lastTransitionTime : timestamp(clock.now());
  const others = ((pod.status?.conditions ?? []) as Condition[]).filter(({ type }) => type !== condition.type);
  await client.patch({ ...podRef(pod), subresource: "status" }, "application/merge-patch+json", {
    metadata: { uid: pod.metadata.uid, resourceVersion: pod.metadata.resourceVersion },
    status: {
      conditions: [...others, { ...condition, lastTransitionTime }],
      ...(nominatedNodeName === undefined ? {} : { nominatedNodeName }),
    },
  });
}
