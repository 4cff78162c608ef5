/** DaemonSet: one Pod on every node that fits, rolled over node by node. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import { backoffMillis } from "../../../../common/kube/backoff.ts";
import type { BackoffOptions } from "../../../../common/kube/backoff.ts";
import { objectKey } from "../../../../common/kube/object.ts";
import { selectorFromObject } from "../../../../common/kube/selector.ts";
import type { LabelSelectorObject, Selector } from "../../../../common/kube/selector.ts";
import { isStatus } from "../../../../common/kube/status.ts";
import type { Node, Pod } from "../../../../common/kube/types.ts";
import { commit } from "../kernel/committer.ts";
import { follow, text } from "../kernel/controller.ts";
import type { ControllerDefinition } from "../kernel/controller.ts";
import { Expectations } from "../kernel/expectations.ts";
import { hashOf, pruneHistory, syncHistory } from "../kernel/history.ts";
import type { ControllerRevision } from "../kernel/history.ts";
import { kinds } from "../kernel/kinds.ts";
import { claim, indexByController, ownersOf } from "../kernel/ownership.ts";
import { createPod, podFromTemplate, podRef, slowStart } from "../kernel/pods.ts";
import type { PodTemplate } from "../kernel/pods.ts";
import { nextAvailable } from "../replicaset/decide.ts";
import { decideDaemonStatus, decideDaemons, templateFor } from "./decide.ts";
import type { DaemonInput, DaemonStatus } from "./decide.ts";

type DaemonSetObject = KubeObject & {
  spec: {
    selector: LabelSelectorObject;
    template: PodTemplate;
    minReadySeconds?: number;
    revisionHistoryLimit?: number;
    updateStrategy?: NonNullable<DaemonInput["strategy"]>;
  };
  status?: DaemonStatus;
};

/** A daemon that keeps failing is started anew after a wait that doubles; it is forgotten after twice the longest. */
const FAILED_AGAIN: BackoffOptions = { firstMillis: 1000, maxMillis: 900_000 };
const FORGET_FAILURES_MILLIS = 2 * 900_000;

const selectorOf = (owner: KubeObject): Selector => selectorFromObject((owner as DaemonSetObject).spec.selector);

export const daemonSetController: ControllerDefinition = {
  name: "daemonset-controller",
  concurrency: 4,
  setup({ client, informers, clock, events }, keys) {
    const sets = follow(informers.for<DaemonSetObject>(kinds.daemonSets), keys);
    const pods = indexByController(informers.for<Pod>(kinds.pods));
    const revisions = indexByController(informers.for<ControllerRevision>(kinds.controllerRevisions));
    const nodes = informers.for<Node>(kinds.nodes);
    const expectations = new Expectations(clock);
    sets.addHandler({
      delete: (set) => {
        const key = objectKey(set);
        expectations.forget(key);
        for (const id of failures.keys()) if (id.startsWith(`${key} `)) failures.delete(id);
      },
    });
    follow(pods, keys, (pod) => ownersOf(pod, kinds.daemonSets, sets as never, selectorOf));
    const all = (): void => {
      for (const set of sets.values()) keys.add(objectKey(set));
    };
    const relevant = ({ metadata, spec }: Node): string =>
      JSON.stringify([metadata.labels, spec?.taints, spec?.unschedulable]);
    nodes.addHandler({
      add: all,
      delete: all,
      update: (node, old) => (relevant(node) === relevant(old) ? undefined : all()),
    });
    /** When each node's daemon failed last, and how often in a row, by set and node. */
    const failures = new Map<string, { at: number; count: number }>();

    return {
      async reconcile(key) {
        const set = sets.get(key);
        if (!set || set.metadata.deletionTimestamp !== undefined) return undefined;
        if (!expectations.met(key)) return { again: 300_000 };
        const history = await syncHistory(client, revisions, set, kinds.daemonSets);
        const owned = await claim({
          client,
          owner: set,
          ownerKind: kinds.daemonSets,
          kind: kinds.pods,
          informer: pods,
          selector: selectorOf(set),
        });
        if (selectorOf(set).empty) {
          const why = "This daemon set is selecting all pods. A non-empty selector is required.";
          events.record(set, "Warning", "SelectingAll", why);
          return undefined;
        }
        const input: DaemonInput = {
          template: set.spec.template,
          nodes: nodes.list(),
          pods: owned,
          hash: hashOf(history.current) ?? "",
          strategy: set.spec.updateStrategy,
          minReadySeconds: set.spec.minReadySeconds ?? 0,
          nowMillis: clock.now(),
        };
        const plan = decideDaemons(input);
        let again: number | undefined;
        const remove = async (pod: Pod): Promise<void> => {
          try {
            await client.delete(podRef(pod), { preconditions: { uid: pod.metadata.uid ?? "" } });
            expectations.deleted(key, pods, pod);
            events.record(set, "Normal", "SuccessfulDelete", `Deleted pod: ${pod.metadata.name}`);
          } catch (error) {
            if (isStatus(error, "NotFound")) return;
            events.record(set, "Warning", "FailedDelete", `Error deleting: ${text(error)}`);
            throw error;
          }
        };
        for (const pod of plan.failed) {
          const id = `${key} ${pod.spec?.nodeName}`;
          const what = `daemon pod ${key.split("/")[0]}/${pod.metadata.name} on node ${pod.spec?.nodeName}`;
          if (pod.status?.phase === "Succeeded") {
            events.record(set, "Normal", "SucceededDaemonPod", `Found succeeded ${what}, will try to delete it`);
            await remove(pod);
            continue;
          }
          const now = clock.monotonic();
          const seen = failures.get(id);
          const before = seen && now - seen.at < FORGET_FAILURES_MILLIS ? seen : undefined;
          const left = before ? before.at + backoffMillis(FAILED_AGAIN, before.count) - now : 0;
          if (left > 0) {
            again = Math.min(again ?? left, left);
            continue;
          }
          failures.set(id, { at: now, count: (before?.count ?? 0) + 1 });
          events.record(set, "Warning", "FailedDaemonPod", `Found failed ${what}, will try to kill it`);
          await remove(pod);
        }
        for (const pod of plan.remove) await remove(pod);
        const made = await slowStart(plan.create, async (node) => {
          try {
            const pod = await createPod(
              client,
              podFromTemplate(templateFor(set.spec.template, node, input.hash), set, kinds.daemonSets),
            );
            expectations.written(key, pods, pod);
            events.record(set, "Normal", "SuccessfulCreate", `Created pod: ${pod.metadata.name}`);
          } catch (error) {
            events.record(set, "Warning", "FailedCreate", `Error creating: ${text(error)}`);
            throw error;
          }
        });
        const collisions = (set.status?.collisionCount ?? 0) + (history.collided ? 1 : 0);
        const status = decideDaemonStatus(input, set.metadata.generation ?? 0, collisions);
        await commit(client, kinds.daemonSets, set, { ...set, status });
        if (made.error !== undefined) throw made.error;
        await pruneHistory(client, history.all, set, new Set([input.hash, ...owned.map((pod) => hashOf(pod) ?? "")]));
        const wait = nextAvailable(owned, input.minReadySeconds, clock.now());
        const soonest = Math.min(wait ?? Number.POSITIVE_INFINITY, again ?? Number.POSITIVE_INFINITY);
        return Number.isFinite(soonest) ? { again: soonest } : undefined;
      },
    };
  },
};
