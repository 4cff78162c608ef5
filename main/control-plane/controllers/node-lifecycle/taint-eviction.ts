/** Drives Pods off nodes with NoExecute taints: at once, or after the time they tolerate. */
import type { Node, Pod } from "../../../../common/kube/types.ts";
import { isStatus } from "../../../../common/kube/status.ts";
import type { Toleration } from "../../scheduler/plugins/taint-toleration.ts";
import { toleratesWith } from "../../scheduler/plugins/taint-toleration.ts";
import { setPodCondition } from "../../scheduler/pod-condition.ts";
import { AwakeClock } from "../kernel/awake-clock.ts";
import type { ControllerDefinition } from "../kernel/controller.ts";
import { kinds } from "../kernel/kinds.ts";
import { isTerminated, podRef } from "../kernel/pods.ts";
import type { Taint } from "./decide.ts";

/** Milliseconds the Pod may stay: 0 when a taint is not tolerated at all, undefined when it may stay for ever. */
export function stayMillis(
  tolerations: readonly Toleration[] | undefined,
  taints: readonly Taint[],
): number | undefined {
  let shortest: number | undefined;
  for (const taint of taints.filter(({ effect }) => effect === "NoExecute")) {
    const matching = (tolerations ?? []).filter((toleration) => toleratesWith(toleration, taint));
    if (matching.length === 0) return 0;
    for (const { tolerationSeconds } of matching) {
      if (tolerationSeconds === undefined || tolerationSeconds === null) continue;
      shortest = Math.min(shortest ?? Number.POSITIVE_INFINITY, Math.max(0, Number(tolerationSeconds)) * 1000);
    }
  }
  return shortest;
}

const TICK_MILLIS = 1000;

interface Sentence {
  key: string;
  uid: string;
  /** Awake time at which the Pod has to go. */
  at: number;
  since: number;
}

export const taintEvictionController: ControllerDefinition = {
  name: "taint-eviction-controller",
  concurrency: 8,
  setup({ client, informers, clock, events }, keys) {
    const nodes = informers.for<Node>(kinds.nodes);
    const pods = informers.for<Pod>(kinds.pods).addIndex("node", ({ spec }) => (spec?.nodeName ? [spec.nodeName] : []));
    const sentences = new Map<string, Sentence>();
    let ticking = false;

    const awake = new AwakeClock({
      clock,
      tickMillis: TICK_MILLIS,
      gap: () => undefined,
      tick: (now) => {
        for (const sentence of sentences.values()) if (sentence.at <= now) keys.add(sentence.key);
        if (sentences.size === 0) {
          awake.stop();
          ticking = false;
        }
      },
    });

    const drivers = (node: Node | undefined): Taint[] =>
      ((node?.spec?.taints ?? []) as Taint[]).filter(({ effect }) => effect === "NoExecute");
    const judge = (pod: Pod): void => {
      const key = `${pod.metadata.namespace}/${pod.metadata.name}`;
      const taints = pod.spec?.nodeName ? drivers(nodes.get(pod.spec.nodeName)) : [];
      const stay =
        taints.length > 0 && !isTerminated(pod) && pod.metadata.deletionTimestamp === undefined
          ? stayMillis(pod.spec?.tolerations, taints)
          : undefined;
      const known = sentences.get(key);
      if (stay === undefined) {
        if (known && sentences.delete(key) && pod.metadata.deletionTimestamp === undefined && !isTerminated(pod)) {
          events.record(pod, "Normal", "TaintManagerEviction", `Cancelling deletion of Pod ${key}`);
        }
        return;
      }
      const since = known?.uid === pod.metadata.uid ? (known?.since ?? awake.now()) : awake.now();
      sentences.set(key, { key, uid: pod.metadata.uid ?? "", since, at: since + stay });
      if (stay === 0) keys.add(key);
      if (!ticking) {
        ticking = true;
        awake.start();
      }
    };

    nodes.addHandler({
      add: ({ metadata }) => pods.byIndex("node", metadata.name ?? "").forEach(judge),
      update: (node, old) => {
        if (JSON.stringify(drivers(node)) !== JSON.stringify(drivers(old)))
          pods.byIndex("node", node.metadata.name ?? "").forEach(judge);
      },
    });
    pods.addHandler({
      add: judge,
      update: (pod, old) => {
        const changed =
          pod.spec?.nodeName !== old.spec?.nodeName ||
          pod.spec?.tolerations !== old.spec?.tolerations ||
          isTerminated(pod) !== isTerminated(old);
        if (changed) judge(pod);
      },
      delete: ({ metadata }) => sentences.delete(`${metadata.namespace}/${metadata.name}`),
    });

    return {
      stop: () => awake.stop(),
      async reconcile(key) {
        const sentence = sentences.get(key);
        const pod = pods.get(key);
        if (!sentence || !pod || pod.metadata.uid !== sentence.uid || sentence.at > awake.now()) return;
        if (pod.metadata.deletionTimestamp !== undefined) {
          sentences.delete(key);
          return;
        }
        events.record(pod, "Normal", "TaintManagerEviction", `Marking for deletion Pod ${key}`);
        try {
          await setPodCondition(client, clock, pod, {
            type: "DisruptionTarget",
            status: "True",
            reason: "DeletionByTaintManager",
            message: "Taint manager: deleting due to NoExecute taint",
          });
          await client.delete(podRef(pod), { preconditions: { uid: sentence.uid } });
        } catch (error) {
          if (!isStatus(error, "NotFound")) throw error;
        }
        sentences.delete(key);
      },
    };
  },
};
