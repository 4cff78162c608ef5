/** Deployment: rolls a set of Pods from one template to the next through ReplicaSets. */
import type { EventRecorder } from "../../../../common/kube/events.ts";
import { objectKey } from "../../../../common/kube/object.ts";
import { selectorFromObject } from "../../../../common/kube/selector.ts";
import type { Selector } from "../../../../common/kube/selector.ts";
import { isStatus } from "../../../../common/kube/status.ts";
import type { Pod } from "../../../../common/kube/types.ts";
import { commit } from "../kernel/committer.ts";
import { follow, text } from "../kernel/controller.ts";
import type { ControllerDefinition } from "../kernel/controller.ts";
import { Expectations } from "../kernel/expectations.ts";
import { kinds } from "../kernel/kinds.ts";
import { claim, controlledBy, controllerOf, indexByController, isControlledBy, ownersOf } from "../kernel/ownership.ts";
import { REVISION, size } from "./model.ts";
import type { DeploymentObject, ReplicaSetObject } from "./model.ts";
import { decideCleanup, decideStep } from "./rollout.ts";
import { decideStatus, isComplete, untilDeadline } from "./status.ts";
import type { StatusInput } from "./status.ts";
import { sameTemplate } from "./template.ts";

const selectorOf = (deployment: { [field: string]: unknown }): Selector =>
  selectorFromObject((deployment as DeploymentObject).spec.selector);

export const deploymentController: ControllerDefinition = {
  name: "deployment-controller",
  concurrency: 10,
  setup({ client, informers, clock, events }, keys) {
    const deployments = informers.for<DeploymentObject>(kinds.deployments);
    const replicaSets = indexByController(informers.for<ReplicaSetObject>(kinds.replicaSets));
    const pods = indexByController(informers.for<Pod>(kinds.pods));
    const expectations = new Expectations(clock);
    follow(deployments, keys);
    deployments.addHandler({ delete: (deployment) => expectations.forget(objectKey(deployment)) });
    follow(replicaSets, keys, (set) => ownersOf(set, kinds.deployments, deployments as never, selectorOf));
    // Recreate waits for the last old Pod to end.
    pods.addHandler({
      delete: (pod) => {
        const owner = controllerOf(pod);
        const set =
          owner?.kind === "ReplicaSet" ? replicaSets.get(`${pod.metadata.namespace}/${owner.name}`) : undefined;
        const of = set && controllerOf(set);
        const deployment = of && deployments.get(`${pod.metadata.namespace}/${of.name}`);
        if (deployment?.spec.strategy?.type === "Recreate") keys.add(objectKey(deployment));
      },
    });

    const create = async (
      key: string,
      deployment: DeploymentObject,
      set: ReplicaSetObject,
    ): Promise<{ event?: NonNullable<StatusInput["event"]>; collision?: true; error?: unknown }> => {
      const { group, version, resource } = kinds.replicaSets;
      const { namespace = "", name = "" } = set.metadata;
      const ref = { group, version, resource, namespace, name };
      try {
        const made = await client.create<ReplicaSetObject>(ref, set);
        expectations.written(key, replicaSets, made);
        if (size(set) > 0)
          events.record(
            deployment,
            "Normal",
            "ScalingReplicaSet",
            `Scaled up replica set ${name} from 0 to ${size(set)}`,
          );
        return { event: { reason: "NewReplicaSetCreated", message: `Created new replica set "${name}"` } };
      } catch (error) {
        if (isStatus(error, "AlreadyExists")) {
          const there = await client.get<ReplicaSetObject>(ref);
          if (isControlledBy(there, deployment) && sameTemplate(there.spec.template, deployment.spec.template))
            return {};
          return { collision: true };
        }
        if (
          isStatus(error, "Forbidden") &&
          error.status.details?.causes?.some(({ reason }) => reason === "NamespaceTerminating")
        )
          return {};
        const message = `Failed to create new replica set "${name}": ${text(error)}`;
        events.record(deployment, "Warning", "ReplicaSetCreateError", message);
        return { event: { reason: "ReplicaSetCreateError", message }, error };
      }
    };

    return {
      async reconcile(key) {
        const deployment = deployments.get(key);
        if (!deployment) return undefined;
        if (!expectations.met(key)) return { again: 300_000 };
        if (selectorOf(deployment).empty) {
          events.record(
            deployment,
            "Warning",
            "SelectingAll",
            "This deployment is selecting all pods. A non-empty selector is required.",
          );
          return undefined;
        }
        const owned = await claim({
          client,
          owner: deployment,
          ownerKind: kinds.deployments,
          kind: kinds.replicaSets,
          informer: replicaSets,
          selector: selectorOf(deployment),
        });
        const leaving = deployment.metadata.deletionTimestamp !== undefined;
        const decided = decideStep({ deployment, replicaSets: owned, podsOf: (set) => controlledBy(pods, set) });
        const { newSet, oldSets } = decided;
        const made = leaving || !decided.create ? {} : await create(key, deployment, decided.create);

        for (const next of leaving ? [] : decided.change) {
          const old = owned.find(({ metadata }) => metadata.uid === next.metadata.uid) as ReplicaSetObject;
          const written = await commit(client, kinds.replicaSets, old, next);
          expectations.written(key, replicaSets, written);
          tellScaling(events, deployment, old, next);
        }
        if (
          !leaving &&
          decided.revision !== undefined &&
          deployment.metadata.annotations?.[REVISION] !== String(decided.revision)
        ) {
          // The status of this turn is written in the next: this write alone makes our copy stale.
          const annotations = { ...deployment.metadata.annotations, [REVISION]: String(decided.revision) };
          const written = await commit(client, kinds.deployments, deployment, {
            ...deployment,
            metadata: { ...deployment.metadata, annotations },
          });
          return writeStatus(key, written);
        }
        return writeStatus(key, deployment);

        async function writeStatus(of: string, fresh: DeploymentObject): Promise<{ again: number } | undefined> {
          const collisions = fresh.status?.collisionCount ?? 0;
          const status = decideStatus({
            deployment: fresh,
            newSet,
            oldSets,
            ...(made.event ? { event: made.event } : {}),
            standing: leaving || fresh.spec.paused === true,
            collisionCount: made.collision ? collisions + 1 : collisions,
            nowMillis: clock.now(),
          });
          const written = await commit(client, kinds.deployments, fresh, { ...fresh, status });
          expectations.written(of, deployments, written);
          if (made.error !== undefined) throw made.error;
          if (!leaving && (fresh.spec.paused || isComplete(fresh, status))) {
            for (const set of decideCleanup(fresh, oldSets)) await remove(set);
          }
          const wait = untilDeadline(fresh, status, clock.now());
          return wait === undefined ? undefined : { again: wait };
        }
      },
    };

    async function remove(set: ReplicaSetObject): Promise<void> {
      const { group, version, resource } = kinds.replicaSets;
      const { namespace = "", name = "", uid = "" } = set.metadata;
      try {
        await client.delete(
          { group, version, resource, namespace, name },
          { preconditions: { uid }, propagationPolicy: "Background" },
        );
      } catch (error) {
        if (!isStatus(error, "NotFound")) throw error;
      }
    }
  },
};

function tellScaling(
  events: EventRecorder,
  deployment: DeploymentObject,
  old: ReplicaSetObject,
  next: ReplicaSetObject,
): void {
  if (size(old) === size(next)) return;
  const direction = size(next) > size(old) ? "up" : "down";
  events.record(
    deployment,
    "Normal",
    "ScalingReplicaSet",
    `Scaled ${direction} replica set ${old.metadata.name} from ${size(old)} to ${size(next)}`,
  );
}
