/** Sets one condition of a Pod's status, leaving the others to whoever owns them. */
import type { Client } from "../../../common/kube/client.ts";
import { timestamp } from "../../../common/kube/clock.ts";
import type { Clock } from "../../../common/kube/clock.ts";
import { isStatus } from "../../../common/kube/status.ts";
import type { Pod } from "../../../common/kube/types.ts";
import { conditionOf, podRef } from "../controllers/kernel/pods.ts";
import type { Condition } from "../controllers/kernel/pods.ts";

/** Others write the status too: what was read may be old by the time it is written. */
const ATTEMPTS = 4;

/**
 * No write when the Pod has the condition like this already. `nominatedNodeName`: null takes it away, undefined
 * leaves it as it is. Throws StatusError: NotFound when the Pod, this life of it, is gone.
 */
export async function setPodCondition(
  client: Client,
  clock: Clock,
  given: Pod,
  condition: Condition,
  nominatedNodeName?: string | null,
): Promise<void> {
  let pod = given;
  for (let attempt = 1; ; attempt += 1) {
    const patch = patchOf(pod, condition, clock, nominatedNodeName);
    if (!patch) return;
    try {
      await client.patch({ ...podRef(pod), subresource: "status" }, "application/merge-patch+json", patch);
      return;
    } catch (error) {
      if (!isStatus(error, "Conflict") || attempt >= ATTEMPTS) throw error;
      pod = await client.get<Pod>(podRef(given));
      if (pod.metadata.uid !== given.metadata.uid) return;
      // Bound meanwhile: that it found no place is no longer true.
      if (condition.type === "PodScheduled" && pod.spec?.nodeName) return;
    }
  }
}

function patchOf(
  pod: Pod,
  condition: Condition,
  clock: Clock,
  nominated: string | null | undefined,
): object | undefined {
  const old = conditionOf(pod, condition.type);
  const same = old?.status === condition.status && old.reason === condition.reason && old.message === condition.message;
  if (same && (nominated === undefined || (pod.status?.nominatedNodeName ?? null) === nominated)) return undefined;
  const lastTransitionTime =
    old?.status === condition.status && old.lastTransitionTime ? old.lastTransitionTime : timestamp(clock.now());
  const others = ((pod.status?.conditions ?? []) as Condition[]).filter(({ type }) => type !== condition.type);
  return {
    metadata: { uid: pod.metadata.uid, resourceVersion: pod.metadata.resourceVersion },
    status: {
      conditions: [...others, { ...condition, lastTransitionTime }],
      ...(nominated === undefined ? {} : { nominatedNodeName: nominated }),
    },
  };
}
