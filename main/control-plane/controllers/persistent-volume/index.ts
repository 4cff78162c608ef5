/**
 * Binds claims to volumes, and says in which state both are. Volumes for claims that none fits are made by the
 * provisioner that their class names (`volume-provisioner` for ours), which is told by an annotation.
 */
import { objectKey } from "../../../../common/kube/object.ts";
import { isStatus } from "../../../../common/kube/status.ts";
import type { PersistentVolume, PersistentVolumeClaim, Pod, StorageClass } from "../../../../common/kube/types.ts";
import { commit, equal } from "../kernel/committer.ts";
import { follow } from "../kernel/controller.ts";
import type { ControllerDefinition } from "../kernel/controller.ts";
import { kinds } from "../kernel/kinds.ts";
import { isTerminated } from "../kernel/pods.ts";
import { BIND_COMPLETED, BOUND_BY_CONTROLLER, decideClaim, decideVolume } from "./decide.ts";
import type { Note } from "./decide.ts";
import { classOf } from "./match.ts";
import { BY_CLAIM, claimsOf } from "./pods.ts";

const OF_VOLUME = "volume:";

export const persistentVolumeBinder: ControllerDefinition = {
  name: "persistentvolume-controller",
  concurrency: 4,
  setup({ client, informers, events }, keys) {
    const claims = follow(informers.for<PersistentVolumeClaim>(kinds.persistentVolumeClaims), keys, (claim) => [
      objectKey(claim),
      ...(claim.spec?.volumeName ? [`${OF_VOLUME}${claim.spec.volumeName}`] : []),
    ]);
    const classes = informers.for<StorageClass>(kinds.storageClasses);
    const volumes = informers.for<PersistentVolume>(kinds.persistentVolumes);
    const pods = informers.for<Pod>(kinds.pods).addIndex(BY_CLAIM, claimsOf);

    /** Claims that may take a volume which has just become free, or of a class that has just come. */
    const wake = (fits: (claim: PersistentVolumeClaim) => boolean): void => {
      for (const claim of claims.values()) if (!claim.spec?.volumeName && fits(claim)) keys.add(objectKey(claim));
    };
    const heard = (volume: PersistentVolume): void => {
      keys.add(`${OF_VOLUME}${volume.metadata.name}`);
      const reference = volume.spec?.claimRef;
      if (reference?.name) keys.add(`${reference.namespace}/${reference.name}`);
      else wake((claim) => classOf(claim) === classOf(volume));
      for (const claim of claims.byIndex("volume", volume.metadata.name ?? "")) keys.add(objectKey(claim));
    };
    claims.addIndex("volume", (claim) => (claim.spec?.volumeName ? [claim.spec.volumeName] : []));
    // A claim that goes leaves a volume which names it, whatever it said of itself.
    claims.addHandler({
      delete: (claim) => {
        for (const volume of volumes.byIndex("claim", objectKey(claim)))
          keys.add(`${OF_VOLUME}${volume.metadata.name}`);
      },
    });
    volumes.addIndex("claim", ({ spec }) =>
      spec?.claimRef?.name ? [`${spec.claimRef.namespace}/${spec.claimRef.name}`] : [],
    );
    volumes.addHandler({ add: heard, update: heard, delete: heard });
    classes.addHandler({ add: (added) => wake((claim) => classOf(claim) === added.metadata.name) });
    pods.addHandler({
      add: (pod) => {
        for (const claim of claimsOf(pod)) if (!claims.get(claim)?.spec?.volumeName) keys.add(claim);
      },
    });

    const tell = (about: PersistentVolume | PersistentVolumeClaim, { type, reason, message }: Note): void =>
      events.record(about, type, reason, message);

    async function bind(claim: PersistentVolumeClaim, volume: PersistentVolume): Promise<void> {
      const { namespace, name, uid } = claim.metadata;
      const reference = {
        apiVersion: "v1",
        kind: "PersistentVolumeClaim",
        namespace: namespace ?? "",
        name: name ?? "",
        uid: uid ?? "",
      };
      const before = volume.spec?.claimRef;
      const { resourceVersion: _seen, ...known } = (before ?? {}) as { resourceVersion?: string };
      const bound = equal(known, reference)
        ? volume
        : await commit(client, kinds.persistentVolumes, volume, {
            ...volume,
            metadata: before ? volume.metadata : annotated(volume.metadata, { [BOUND_BY_CONTROLLER]: "yes" }),
            spec: { ...volume.spec, claimRef: reference },
          } as PersistentVolume);
      await commit(client, kinds.persistentVolumes, bound, withPhase(bound, "Bound"));
      const named = await commit(client, kinds.persistentVolumeClaims, claim, {
        ...claim,
        metadata: annotated(claim.metadata, {
          ...(claim.spec?.volumeName ? {} : { [BOUND_BY_CONTROLLER]: "yes" }),
          [BIND_COMPLETED]: "yes",
        }),
        spec: { ...claim.spec, volumeName: volume.metadata.name ?? "" },
      } as PersistentVolumeClaim);
      await commit(client, kinds.persistentVolumeClaims, named, {
        ...named,
        status: {
          ...named.status,
          phase: "Bound",
          accessModes: volume.spec?.accessModes,
          // What a claim has been told it has grown to is kept by whoever made it grow.
          capacity: named.status?.phase === "Bound" ? named.status.capacity : volume.spec?.capacity,
        },
      } as PersistentVolumeClaim);
    }

    async function reconcileClaim(key: string): Promise<void> {
      const claim = claims.get(key);
      if (!claim) return;
      const className = classOf(claim);
      const decision = decideClaim({
        claim,
        class: className ? classes.get(className) : undefined,
        volumes,
        all: () => volumes.values(),
        waitingPods: pods.byIndex(BY_CLAIM, key).filter((pod) => !pod.spec?.nodeName && !isTerminated(pod)),
      });
      if (decision.kind === "bind") return bind(claim, decision.volume);
      if (decision.kind === "lost") {
        if (claim.status?.phase !== "Lost") tell(claim, decision.note);
        // What it had is gone: kubectl shows a capacity of 0.
        const { accessModes: _modes, capacity: _capacity, ...status } = claim.status ?? {};
        await commit(client, kinds.persistentVolumeClaims, claim, { ...claim, status: { ...status, phase: "Lost" } });
        return;
      }
      const pending = await commit(client, kinds.persistentVolumeClaims, claim, withPhase(claim, "Pending"));
      if (decision.kind === "pending") return;
      tell(claim, decision.note);
      if (decision.annotations)
        await commit(client, kinds.persistentVolumeClaims, pending, {
          ...pending,
          metadata: annotated(pending.metadata, decision.annotations),
        });
    }

    /** The informer may not have seen a claim that was made a moment ago: only the API knows that it is gone. */
    async function claimOf({ spec }: PersistentVolume): Promise<PersistentVolumeClaim | undefined> {
      const { namespace = "", name = "", uid } = spec?.claimRef ?? {};
      if (!name) return undefined;
      const known = claims.get(`${namespace}/${name}`);
      if (known && (!uid || known.metadata.uid === uid)) return known;
      const { group, version, resource } = kinds.persistentVolumeClaims;
      try {
        return await client.get<PersistentVolumeClaim>({ group, version, resource, namespace, name });
      } catch (error) {
        if (isStatus(error, "NotFound")) return undefined;
        throw error;
      }
    }

    async function reconcileVolume(name: string): Promise<void> {
      const volume = volumes.get(name);
      if (!volume || volume.metadata.deletionTimestamp) return;
      const claim = await claimOf(volume);
      const decision = decideVolume(volume, claim);
      switch (decision.kind) {
        case "phase":
          await commit(client, kinds.persistentVolumes, volume, withPhase(volume, decision.phase));
          return;
        case "ask-claim": {
          const { namespace, name: named } = volume.spec?.claimRef ?? {};
          keys.add(`${namespace}/${named}`);
          if (!volume.status?.phase || volume.status.phase === "Pending")
            await commit(client, kinds.persistentVolumes, volume, withPhase(volume, "Available"));
          return;
        }
        case "mismatch":
          tell(volume, decision.note);
          if (claim) tell(claim, decision.claimNote);
          return;
        case "delete":
          return remove(volume);
        case "unbind": {
          const { [BOUND_BY_CONTROLLER]: ours, ...annotations } = volume.metadata.annotations ?? {};
          const { claimRef, ...spec } = volume.spec ?? {};
          await commit(client, kinds.persistentVolumes, volume, {
            ...volume,
            metadata: { ...volume.metadata, annotations },
            // The user's own reservation stays, for the next claim of that name.
            spec: ours === undefined && claimRef ? { ...spec, claimRef: { ...claimRef, uid: "" } } : spec,
          } as PersistentVolume);
          return;
        }
        case "fail":
          if (volume.status?.phase !== "Failed") tell(volume, decision.note);
          await commit(client, kinds.persistentVolumes, volume, {
            ...volume,
            status: { ...volume.status, phase: "Failed", message: decision.note.message },
          } as PersistentVolume);
      }
    }

    async function remove({ metadata: { name = "", uid = "" } }: PersistentVolume): Promise<void> {
      const { group, version, resource } = kinds.persistentVolumes;
      try {
        await client.delete({ group, version, resource, name }, { preconditions: { uid } });
      } catch (error) {
        if (!isStatus(error, "NotFound")) throw error;
      }
    }

    return {
      reconcile: (key) =>
        key.startsWith(OF_VOLUME) ? reconcileVolume(key.slice(OF_VOLUME.length)) : reconcileClaim(key),
    };
  },
};

function withPhase<T extends PersistentVolume | PersistentVolumeClaim>(object: T, phase: string): T {
  return { ...object, status: { ...object.status, phase } };
}

function annotated<M extends { annotations?: Record<string, string> }>(metadata: M, more: Record<string, string>): M {
  return { ...metadata, annotations: { ...metadata.annotations, ...more } };
}
