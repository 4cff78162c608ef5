/** ReplicaSet and ReplicationController: keep so many Pods of one template running. */
import { objectKey } from "../../../../common/kube/object.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { selectorFromMap, selectorFromObject } from "../../../../common/kube/selector.ts";
import type { LabelSelectorObject, Selector } from "../../../../common/kube/selector.ts";
import { isStatus } from "../../../../common/kube/status.ts";
import type { Pod } from "../../../../common/kube/types.ts";
import { commit } from "../kernel/committer.ts";
import { follow, text } from "../kernel/controller.ts";
import type { ControllerDefinition } from "../kernel/controller.ts";
import { Expectations } from "../kernel/expectations.ts";
import { kinds } from "../kernel/kinds.ts";
import type { Kind } from "../kernel/kinds.ts";
import { claim, controlledBy, controllerOf, indexByController, ownersOf } from "../kernel/ownership.ts";
import { createPod, isActive, isTerminating, podFromTemplate, podRef, slowStart } from "../kernel/pods.ts";
import type { PodTemplate } from "../kernel/pods.ts";
import { decideScaling, decideStatus, nextAvailable } from "./decide.ts";
import type { ReplicaStatus } from "./decide.ts";

type ReplicaObject = KubeObject & {
  spec: {
    replicas?: number;
    minReadySeconds?: number;
    selector?: LabelSelectorObject & Record<string, string>;
    template: PodTemplate;
  };
  status?: ReplicaStatus;
};

function replicaController(
  name: string,
  kind: Kind,
  selectorOf: (owner: KubeObject) => Selector,
): ControllerDefinition {
  return {
    name,
    concurrency: 10,
    setup({ client, informers, clock, events }, keys) {
      const owners = indexByController(informers.for<ReplicaObject>(kind));
      const pods = indexByController(informers.for<Pod>(kinds.pods));
      const expectations = new Expectations(clock);
      follow(owners, keys);
      owners.addHandler({ delete: (owner) => expectations.forget(objectKey(owner)) });
      follow(pods, keys, (pod) => ownersOf(pod, kind, owners as never, selectorOf));

      /** Pods of all ReplicaSets that share this one's owner. */
      const relatedPods = (owner: ReplicaObject): Pod[] => {
        const deployment = controllerOf(owner);
        if (!deployment) return controlledBy(pods, owner);
        return owners.byIndex("controller uid", deployment.uid).flatMap((sibling) => controlledBy(pods, sibling));
      };

      const scale = async (
        key: string,
        owner: ReplicaObject,
        active: Pod[],
      ): Promise<{ reason: "FailedCreate" | "FailedDelete"; error: unknown } | undefined> => {
        const related = active.length > (owner.spec.replicas ?? 1) ? relatedPods(owner) : active;
        const { create, remove } = decideScaling(owner.spec.replicas ?? 1, active, related, clock.now());
        const made = await slowStart(Array.from({ length: create }), async () => {
          try {
            const pod = await createPod(client, podFromTemplate(owner.spec.template, owner, kind));
            expectations.written(key, pods, pod);
            events.record(owner, "Normal", "SuccessfulCreate", `Created pod: ${pod.metadata.name}`);
          } catch (error) {
            // A namespace that goes away takes no Pods, and that is nobody's failure.
            if (!isNamespaceTerminating(error))
              events.record(owner, "Warning", "FailedCreate", `Error creating: ${text(error)}`);
            throw error;
          }
        });
        if (made.error !== undefined && !isNamespaceTerminating(made.error))
          return { reason: "FailedCreate", error: made.error };
        const failures: unknown[] = [];
        await Promise.all(
          remove.map(async (pod) => {
            try {
              const { uid = "" } = pod.metadata;
              await client.delete(podRef(pod), { preconditions: { uid } });
              expectations.deleted(key, pods, pod);
              events.record(owner, "Normal", "SuccessfulDelete", `Deleted pod: ${pod.metadata.name}`);
            } catch (error) {
              if (isStatus(error, "NotFound")) return;
              events.record(owner, "Warning", "FailedDelete", `Error deleting: ${text(error)}`);
              failures.push(error);
            }
          }),
        );
        return failures.length > 0 ? { reason: "FailedDelete", error: failures[0] } : undefined;
      };

      return {
        async reconcile(key) {
          const owner = owners.get(key);
          if (!owner) return undefined;
          const selector = selectorOf(owner);
          const mayManage = expectations.met(key);
          const owned = await claim({ client, owner, ownerKind: kind, kind: kinds.pods, informer: pods, selector });
          const active = owned.filter(isActive);
          const failure =
            mayManage && owner.metadata.deletionTimestamp === undefined ? await scale(key, owner, active) : undefined;
          const minReadySeconds = owner.spec.minReadySeconds ?? 0;
          const status = decideStatus({
            generation: owner.metadata.generation ?? 0,
            replicas: owner.spec.replicas ?? 1,
            minReadySeconds,
            templateLabels: owner.spec.template.metadata?.labels ?? {},
            active,
            terminating: kind === kinds.replicaSets ? owned.filter(isTerminating).length : undefined,
            old: owner.status,
            failure: failure && { reason: failure.reason, message: text(failure.error) },
            nowMillis: clock.now(),
          });
          await commit(client, kind, owner, { ...owner, status });
          if (failure) throw failure.error;
          // Nothing else may wake us before a write that got lost would be forgotten.
          if (!expectations.met(key)) return { again: 300_000 };
          const wait = nextAvailable(active, minReadySeconds, clock.now());
          return wait === undefined ? undefined : { again: wait };
        },
      };
    },
  };
}

function isNamespaceTerminating(error: unknown): boolean {
  return (
    isStatus(error, "Forbidden") &&
    (error.status.details?.causes ?? []).some(({ reason }) => reason === "NamespaceTerminating")
  );
}

export const replicaSetController = replicaController("replicaset-controller", kinds.replicaSets, (owner) =>
  selectorFromObject((owner as ReplicaObject).spec.selector as LabelSelectorObject),
);

export const replicationController = replicaController(
  "replication-controller",
  kinds.replicationControllers,
  (owner) => {
    const { spec } = owner as ReplicaObject;
    return selectorFromMap(spec.selector ?? spec.template.metadata?.labels);
  },
);
