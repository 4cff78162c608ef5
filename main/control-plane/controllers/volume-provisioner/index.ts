/**
 * Provisions volumes on the disks of the nodes for claims of the class `standard`: a `local` PersistentVolume bound to
 * the node that the scheduler chose. The node's agent makes the folder when a Pod mounts it, and removes it when the
 * volume has gone.
 */
import { isStatus } from "../../../../common/kube/status.ts";
import type { Node, PersistentVolume, PersistentVolumeClaim, StorageClass } from "../../../../common/kube/types.ts";
import { LOCAL_DISK_PROVISIONER } from "../../../../common/node/storage.ts";
import { commit } from "../kernel/committer.ts";
import { follow } from "../kernel/controller.ts";
import type { ControllerDefinition } from "../kernel/controller.ts";
import { kinds } from "../kernel/kinds.ts";
import type { Kind } from "../kernel/kinds.ts";
import { decideClaim, isReclaimed, SELECTED_NODE, STANDARD_CLASS } from "./decide.ts";

const storageClasses: Kind = {
  group: "storage.k8s.io",
  version: "v1",
  resource: "storageclasses",
  kind: "StorageClass",
};
const FAILED_MILLIS = 30_000;
const OF_VOLUME = "volume:";

export const volumeProvisioner: ControllerDefinition = {
  name: LOCAL_DISK_PROVISIONER,
  concurrency: 4,
  setup({ client, informers, events, log }, keys) {
    const claims = follow(informers.for<PersistentVolumeClaim>(kinds.persistentVolumeClaims), keys);
    const volumes = follow(informers.for<PersistentVolume>(kinds.persistentVolumes), keys, (volume) => {
      const { namespace, name } = volume.spec?.claimRef ?? {};
      return [`${OF_VOLUME}${volume.metadata.name}`, ...(name ? [`${namespace}/${name}`] : [])];
    });
    const nodes = informers.for<Node>(kinds.nodes);
    const classes = informers.for<StorageClass>(storageClasses);

    async function ensureClass(): Promise<void> {
      if (classes.list().length > 0) return;
      const { group, version, resource } = storageClasses;
      await client
        .create({ group, version, resource, name: STANDARD_CLASS.metadata.name ?? "" }, STANDARD_CLASS)
        .catch((error: unknown) => {
          if (!isStatus(error, "AlreadyExists")) log(`the StorageClass standard was not made: ${String(error)}`);
        });
    }

    async function reclaim(name: string): Promise<void> {
      const volume = volumes.get(name);
      if (!volume || !isReclaimed(volume)) return;
      const { group, version, resource } = kinds.persistentVolumes;
      await client.delete({ group, version, resource, name }, { preconditions: { uid: volume.metadata.uid ?? "" } });
    }

    async function expand(claim: PersistentVolumeClaim, bound: PersistentVolume, storage: string): Promise<void> {
      const capacity = { ...bound.spec?.capacity, storage };
      await commit(client, kinds.persistentVolumes, bound, {
        ...bound,
        spec: { ...bound.spec, capacity },
      } as PersistentVolume);
      await commit(client, kinds.persistentVolumeClaims, claim, {
        ...claim,
        status: { ...claim.status, capacity: { ...claim.status?.capacity, storage } },
      } as PersistentVolumeClaim);
      events.record(claim, "Normal", "VolumeResizeSuccessful", `Resize volume ${bound.metadata.name} succeeded`);
    }

    async function provision(claim: PersistentVolumeClaim, volume: PersistentVolume): Promise<void> {
      const { group, version, resource } = kinds.persistentVolumes;
      const name = volume.metadata.name ?? "";
      if (volumes.get(name)) return;
      events.record(
        claim,
        "Normal",
        "Provisioning",
        `External provisioner is provisioning volume for claim "${claim.metadata.namespace}/${claim.metadata.name}"`,
      );
      try {
        await client.create({ group, version, resource, name }, volume);
      } catch (error) {
        if (isStatus(error, "AlreadyExists")) return;
        throw error;
      }
      events.record(claim, "Normal", "ProvisioningSucceeded", `Successfully provisioned volume ${name}`);
    }

    return {
      started: () => void ensureClass(),
      async reconcile(key) {
        if (key.startsWith(OF_VOLUME)) return reclaim(key.slice(OF_VOLUME.length));
        const claim = claims.get(key);
        if (!claim) return undefined;
        const bound = claim.spec?.volumeName ? volumes.get(claim.spec.volumeName) : undefined;
        const className = claim.spec?.storageClassName;
        const decision = decideClaim({
          claim,
          class: className ? classes.get(className) : undefined,
          nodes: nodes.list(),
          bound,
        });
        switch (decision.kind) {
          case "nothing":
            return undefined;
          case "fail":
            events.record(
              claim,
              "Warning",
              "ProvisioningFailed",
              `failed to provision volume with StorageClass "${className}": ${decision.message}`,
            );
            return { again: FAILED_MILLIS };
          case "reschedule": {
            const { [SELECTED_NODE]: _gone, ...annotations } = claim.metadata.annotations ?? {};
            await commit(client, kinds.persistentVolumeClaims, claim, {
              ...claim,
              metadata: { ...claim.metadata, annotations },
            });
            return undefined;
          }
          case "expand":
            if (bound) await expand(claim, bound, decision.storage);
            return undefined;
          case "provision":
            await provision(claim, decision.volume);
            return undefined;
        }
      },
    };
  },
};
