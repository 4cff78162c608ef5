/**
 * Clears away Pods that nobody else can: those whose node is gone, those asked to go that never had a node, and
 * the oldest ended ones beyond a number.
 */
import { isStatus } from "../../../common/kube/status.ts";
import type { Node, Pod } from "../../../common/kube/types.ts";
import type { Timer } from "../../../common/kube/clock.ts";
import { setPodCondition } from "../scheduler/pod-condition.ts";
import { commit } from "./kernel/committer.ts";
import type { ControllerDefinition } from "./kernel/controller.ts";
import { kinds } from "./kernel/kinds.ts";
import { isTerminated, podRef } from "./kernel/pods.ts";
import type { Taint } from "./node-lifecycle/decide.ts";

const CHECK_MILLIS = 20_000;
/** A node must have been missing so long before its Pods are taken for lost. */
const QUARANTINE_MILLIS = 40_000;
const MOST_TERMINATED = 12_500;
const OUT_OF_SERVICE = "node.kubernetes.io/out-of-service";

export interface Garbage {
  orphaned: Pod[];
  unscheduledTerminating: Pod[];
  /** Asked to go on a node that is said to be out of service: nobody will end them. */
  outOfService: Pod[];
  excess: Pod[];
}

/** `missingSince` has the time since when each node was seen to be missing. */
export function decideGarbage(
  pods: readonly Pod[],
  nodeOf: (name: string) => Node | undefined,
  missingMillis: (name: string) => number,
): Garbage {
  const byCreation = (a: Pod, b: Pod): number =>
    (a.metadata.creationTimestamp ?? "") < (b.metadata.creationTimestamp ?? "") ? -1 : 1;
  const terminated = pods.filter((pod) => isTerminated(pod) && pod.metadata.deletionTimestamp === undefined);
  const lostNode = ({ spec }: Pod): boolean =>
    Boolean(spec?.nodeName) &&
    !nodeOf(spec?.nodeName ?? "") &&
    missingMillis(spec?.nodeName ?? "") >= QUARANTINE_MILLIS;
  const isOut = (node: Node | undefined): boolean =>
    ((node?.spec?.taints ?? []) as Taint[]).some(({ key }) => key === OUT_OF_SERVICE) &&
    node?.status?.conditions?.find(({ type }) => type === "Ready")?.status !== "True";
  return {
    orphaned: pods.filter(lostNode),
    unscheduledTerminating: pods.filter(
      ({ metadata, spec }) => metadata.deletionTimestamp !== undefined && !spec?.nodeName,
    ),
    outOfService: pods.filter(
      ({ metadata, spec }) =>
        metadata.deletionTimestamp !== undefined && spec?.nodeName && isOut(nodeOf(spec.nodeName)),
    ),
    excess: terminated.toSorted(byCreation).slice(0, Math.max(0, terminated.length - MOST_TERMINATED)),
  };
}

export const podGarbageController: ControllerDefinition = {
  name: "pod-garbage-collector",
  concurrency: 1,
  setup({ client, informers, clock, log }, keys) {
    const nodes = informers.for<Node>(kinds.nodes);
    // By what makes one a candidate: a large cluster's many others are never looked at.
    const pods = informers
      .for<Pod>(kinds.pods)
      .addIndex("node", ({ spec }) => (spec?.nodeName ? [spec.nodeName] : []))
      .addIndex("ending", (pod) => [
        ...(isTerminated(pod) ? ["terminated"] : []),
        ...(pod.metadata.deletionTimestamp === undefined ? [] : ["terminating"]),
      ]);
    const missing = new Map<string, number>();
    let timer: Timer | undefined;

    /** Nobody else will say that it has ended: who counts ends (a Job) waits for that. */
    const remove = async (pod: Pod, why?: { reason: string; message: string }): Promise<void> => {
      try {
        let ended = pod;
        if (!isTerminated(pod)) {
          if (why) await setPodCondition(client, clock, pod, { type: "DisruptionTarget", status: "True", ...why });
          const fresh = why ? await client.get<Pod>(podRef(pod)) : pod;
          if (fresh.metadata.uid !== pod.metadata.uid) return;
          ended = await commit(client, kinds.pods, fresh, {
            ...fresh,
            status: { ...fresh.status, phase: "Failed" },
          } as Pod);
        }
        await client.delete(podRef(pod), { gracePeriodSeconds: 0, preconditions: { uid: ended.metadata.uid ?? "" } });
        log(`pod-garbage-collector: removed ${pod.metadata.namespace}/${pod.metadata.name}`);
      } catch (error) {
        if (!isStatus(error, "NotFound", "Conflict")) throw error;
      }
    };
    const check = (): void => {
      timer = clock.after(CHECK_MILLIS, check);
      keys.add("all");
    };

    return {
      started: check,
      stop: () => timer?.cancel(),
      async reconcile() {
        const now = clock.monotonic();
        const named = new Set(pods.indexValues("node").filter((name) => !nodes.get(name)));
        for (const name of missing.keys()) if (!named.has(name)) missing.delete(name);
        for (const name of named) if (!missing.has(name)) missing.set(name, now);
        const candidates = new Set([
          ...[...named].flatMap((name) => pods.byIndex("node", name)),
          ...pods.byIndex("ending", "terminated"),
          ...pods.byIndex("ending", "terminating"),
        ]);
        const garbage = decideGarbage(
          [...candidates],
          (name) => nodes.get(name),
          (name) => now - (missing.get(name) ?? now),
        );
        const gone = { reason: "DeletionByPodGC", message: "PodGC: node no longer exists" };
        for (const pod of garbage.orphaned) await remove(pod, gone);
        for (const pod of garbage.outOfService)
          await remove(pod, { reason: "DeletionByPodGC", message: "PodGC: node is out of service" });
        for (const pod of [...garbage.unscheduledTerminating, ...garbage.excess]) await remove(pod);
      },
    };
  },
};
