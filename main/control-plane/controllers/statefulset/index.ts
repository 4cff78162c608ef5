/** StatefulSet: Pods with stable names, in order, each with its own volumes. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import { objectKey } from "../../../../common/kube/object.ts";
import { selectorFromObject } from "../../../../common/kube/selector.ts";
import type { Selector } from "../../../../common/kube/selector.ts";
import { isStatus } from "../../../../common/kube/status.ts";
import type { Pod } from "../../../../common/kube/types.ts";
import { commit } from "../kernel/committer.ts";
import { follow, text } from "../kernel/controller.ts";
import type { ControllerDefinition } from "../kernel/controller.ts";
import { Expectations } from "../kernel/expectations.ts";
import { REVISION_HASH, hashOf, pruneHistory, syncHistory, templateOf } from "../kernel/history.ts";
import type { ControllerRevision } from "../kernel/history.ts";
import { kinds } from "../kernel/kinds.ts";
import { claim, indexByController, ownersOf } from "../kernel/ownership.ts";
import { createPod, podFromTemplate, podRef } from "../kernel/pods.ts";
import type { PodTemplate } from "../kernel/pods.ts";
import { nextAvailable } from "../replicaset/decide.ts";
import { Claims, claimName, isStale } from "./claims.ts";
import { decideStateful, decideStatefulStatus, ordinalOf } from "./decide.ts";
import type { StatefulInput } from "./decide.ts";
import type { StatefulSetObject } from "./model.ts";

const POD_NAME = "statefulset.kubernetes.io/pod-name";
const POD_INDEX = "apps.kubernetes.io/pod-index";

const selectorOf = (owner: KubeObject): Selector => selectorFromObject((owner as StatefulSetObject).spec.selector);

/** The Pod of one ordinal: stable name and host name, volumes bound to its own claims. */
export function podOf(set: StatefulSetObject, ordinal: number, template: PodTemplate, hash: string): Pod {
  const name = `${set.metadata.name}-${ordinal}`;
  const pod = podFromTemplate(template, set, kinds.statefulSets, name);
  pod.metadata.labels = {
    ...pod.metadata.labels,
    [REVISION_HASH]: hash,
    [POD_NAME]: name,
    [POD_INDEX]: String(ordinal),
  };
  const spec = pod.spec as NonNullable<Pod["spec"]>;
  spec.hostname = name;
  if (set.spec.serviceName) spec.subdomain = set.spec.serviceName;
  const claims = (set.spec.volumeClaimTemplates ?? []).map(({ metadata }) => metadata.name ?? "");
  const others = (spec.volumes ?? []).filter((volume) => !claims.includes(volume.name));
  const own = claims.map((claim) => ({ name: claim, persistentVolumeClaim: { claimName: claimName(claim, name) } }));
  if (others.length + own.length > 0) spec.volumes = [...own, ...others];
  return pod;
}

export const statefulSetController: ControllerDefinition = {
  name: "statefulset-controller",
  concurrency: 5,
  setup({ client, informers, clock, events }, keys) {
    const sets = follow(informers.for<StatefulSetObject>(kinds.statefulSets), keys);
    const pods = indexByController(informers.for<Pod>(kinds.pods));
    const revisions = indexByController(informers.for<ControllerRevision>(kinds.controllerRevisions));
    const claims = new Claims(client, informers.for<KubeObject>(kinds.persistentVolumeClaims), events);
    const expectations = new Expectations(clock);
    sets.addHandler({ delete: (set) => expectations.forget(objectKey(set)) });
    follow(pods, keys, (pod) => ownersOf(pod, kinds.statefulSets, sets as never, selectorOf));

    // A claim that goes may be what a new Pod waits for.
    informers.for<KubeObject>(kinds.persistentVolumeClaims).addHandler({
      delete: ({ metadata }) => {
        for (const set of sets.list(metadata.namespace))
          if (
            set.spec.volumeClaimTemplates?.some((one) =>
              metadata.name?.startsWith(`${one.metadata.name}-${set.metadata.name}-`),
            )
          )
            keys.add(objectKey(set));
      },
    });

    return {
      async reconcile(key) {
        const set = sets.get(key);
        if (!set || set.metadata.deletionTimestamp !== undefined) return undefined;
        if (!expectations.met(key)) return { again: 300_000 };
        const history = await syncHistory(client, revisions, set, kinds.statefulSets);
        const name = set.metadata.name ?? "";
        const owned = await claim({
          client,
          owner: set,
          ownerKind: kinds.statefulSets,
          kind: kinds.pods,
          informer: pods,
          selector: selectorOf(set),
          mayAdopt: (pod) => ordinalOf(name, pod) !== undefined,
        });
        const update = history.current;
        const current = history.all.find(({ metadata }) => metadata.name === set.status?.currentRevision) ?? update;
        const input: StatefulInput = {
          name,
          replicas: set.spec.replicas ?? 1,
          start: set.spec.ordinals?.start ?? 0,
          parallel: set.spec.podManagementPolicy === "Parallel",
          minReadySeconds: set.spec.minReadySeconds ?? 0,
          strategy: set.spec.updateStrategy,
          pods: owned,
          updateHash: hashOf(update) ?? "",
          currentHash: hashOf(current) ?? "",
          nowMillis: clock.now(),
        };
        const plan = decideStateful(input);
        let failure: unknown;
        for (const pod of owned) {
          const ordinal = ordinalOf(name, pod);
          if (ordinal === undefined) continue;
          const tooMany = ordinal < input.start || ordinal >= input.start + input.replicas;
          await claims.own(set, pod, tooMany);
          const pending = pod.status?.phase === "Pending" && pod.metadata.deletionTimestamp === undefined;
          if (pending && !tooMany) await claims.ensure(set, pod);
        }
        for (const { ordinal, hash } of plan.create) {
          const revision = hash === input.currentHash ? current : update;
          const pod = podOf(set, ordinal, templateOf(revision), hash);
          if (claims.of(set, pod.metadata.name ?? "").some(isStale)) {
            if (input.parallel) continue;
            break;
          }
          try {
            await claims.ensure(set, pod);
            expectations.written(key, pods, await createPod(client, pod));
            events.record(
              set,
              "Normal",
              "SuccessfulCreate",
              `create Pod ${pod.metadata.name} in StatefulSet ${name} successful`,
            );
          } catch (error) {
            failure = error;
            events.record(
              set,
              "Warning",
              "FailedCreate",
              `create Pod ${pod.metadata.name} in StatefulSet ${name} failed error: ${text(error)}`,
            );
            break;
          }
        }
        for (const pod of plan.remove) {
          try {
            await client.delete(podRef(pod), { preconditions: { uid: pod.metadata.uid ?? "" } });
            expectations.deleted(key, pods, pod);
            events.record(
              set,
              "Normal",
              "SuccessfulDelete",
              `delete Pod ${pod.metadata.name} in StatefulSet ${name} successful`,
            );
          } catch (error) {
            if (!isStatus(error, "NotFound")) throw error;
          }
        }
        const collisions = (set.status?.collisionCount ?? 0) + (history.collided ? 1 : 0);
        const names = { current: current.metadata.name ?? "", update: update.metadata.name ?? "" };
        await commit(client, kinds.statefulSets, set, {
          ...set,
          status: decideStatefulStatus(input, names, set.metadata.generation ?? 0, collisions),
        });
        if (failure !== undefined) throw failure;
        await pruneHistory(
          client,
          history.all,
          set,
          new Set([input.updateHash, input.currentHash, ...owned.map((pod) => hashOf(pod) ?? "")]),
        );
        const wait = nextAvailable(owned, input.minReadySeconds, clock.now());
        return wait === undefined ? undefined : { again: wait };
      },
    };
  },
};
