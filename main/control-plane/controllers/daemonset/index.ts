/** DaemonSet: one Pod on every node that fits, rolled over node by node. */
import type { KubeObject } from "../../../../common/kube/object.ts";
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

/** A daemon that keeps failing is started anew after a wait. */
const FAILED_AGAIN_MILLIS = 5000;

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
    sets.addHandler({ delete: (set) => expectations.forget(objectKey(set)) });
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
    /** When each node's daemon failed last, by set and node. */
    const failures = new Map<string, number>();

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
            if (!isStatus(error, "NotFound")) throw error;
          }
        };
        for (const pod of plan.failed) {
          const id = `${key} ${pod.spec?.nodeName}`;
          const left = (failures.get(id) ?? Number.NEGATIVE_INFINITY) + FAILED_AGAIN_MILLIS - clock.monotonic();
          if (left > 0) {
            again = Math.min(again ?? left, left);
            continue;
          }
          failures.set(id, clock.monotonic());
          events.record(
            set,
            "Warning",
            "FailedDaemonPod",
            `Found failed daemon pod ${key.split("/")[0]}/${pod.metadata.name} on node ${pod.spec?.nodeName}, will try to kill it`,
          );
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
