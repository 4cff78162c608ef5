/** Carries a preemption out: says so in each victim's status and events, and deletes it. */
import type { Client } from "../../../common/kube/client.ts";
import type { Clock } from "../../../common/kube/clock.ts";
import type { EventRecorder } from "../../../common/kube/events.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import { selectorFromObject } from "../../../common/kube/selector.ts";
import { isStatus } from "../../../common/kube/status.ts";
import { podRef } from "../controllers/kernel/pods.ts";
import type { PodInfo } from "./model.ts";
import { setPodCondition } from "./pod-condition.ts";
import type { Budget, Preemption } from "./preemption.ts";

export interface EvictOptions {
  client: Client;
  clock: Clock;
  events: EventRecorder;
  schedulerName: string;
  failed(victim: PodInfo, error: unknown): void;
}

/** Never rejects. */
export async function evict(pod: PodInfo, { node, victims }: Preemption, options: EvictOptions): Promise<void> {
  const { client, clock, events, schedulerName } = options;
  await Promise.all(
    victims.map(async (victim) => {
      if (victim.pod.metadata.deletionTimestamp !== undefined) return;
      try {
        await setPodCondition(client, clock, victim.pod, {
          type: "DisruptionTarget",
          status: "True",
          reason: "PreemptionByScheduler",
          message: `${schedulerName}: preempting to accommodate a higher priority pod`,
        });
        await client.delete(podRef(victim.pod), { preconditions: { uid: victim.uid } });
        events.record(victim.pod, "Normal", "Preempted", `Preempted by pod ${pod.uid} on node ${node}`);
      } catch (error) {
        if (!isStatus(error, "NotFound")) options.failed(victim, error);
      }
    }),
  );
}

export function budgetsOf(objects: Iterable<KubeObject>): Budget[] {
  return Array.from(objects, ({ metadata, spec, status }) => {
    const told = status as { disruptionsAllowed?: number; disruptedPods?: object } | undefined;
    const selector = selectorFromObject((spec as { selector?: object } | undefined)?.selector);
    return {
      namespace: metadata.namespace ?? "",
      // For preemption one that selects everything selects nothing.
      matches: (labels) => !selector.empty && selector.matches(labels),
      allowed: told?.disruptionsAllowed ?? 0,
      disrupted: new Set(Object.keys(told?.disruptedPods ?? {})),
    };
  });
}
