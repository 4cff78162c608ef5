/**
 * The node must reach the volumes of the Pod's claims. Claims that wait for their first consumer get one here:
 * a volume that lies ready, or the word to the provisioner which node it is for; the Pod is bound once they are.
 */
import type { KubeObject } from "../../../../common/kube/object.ts";
import { objectKey } from "../../../../common/kube/object.ts";
import type { PersistentVolume, PersistentVolumeClaim } from "../../../../common/kube/types.ts";
import { kinds } from "../../controllers/kernel/kinds.ts";
import { concernsClaims, labelsAfter, refuseForGood } from "../framework.ts";
import type { BindContext, Plugin, Refusal } from "../framework.ts";
import type { NodeInfo, PodInfo } from "../model.ts";
import { SELECTED_NODE, fitsNode, isBound } from "../volumes.ts";
import type { Volumes } from "../volumes.ts";

/** How long claims may take to be bound after the node was chosen (bindTimeoutSeconds). */
const BIND_MILLIS = 600_000;

interface Sorted {
  bound: PersistentVolumeClaim[];
  waiting: PersistentVolumeClaim[];
}

/** The Pod's claims; or why none of the nodes will do. */
function sortClaims(pod: PodInfo, volumes: Volumes): Sorted | Refusal {
  const sorted: Sorted = { bound: [], waiting: [] };
  let immediate = false;
  for (const name of pod.claims) {
    const claim = volumes.claim(pod.namespace, name);
    if (!claim) {
      const ephemeral = (pod.pod.spec?.volumes ?? []).some(
        (volume) => volume.ephemeral && `${pod.pod.metadata.name}-${volume.name}` === name,
      );
      return refuseForGood(
        ephemeral
          ? `waiting for ephemeral volume controller to create the persistentvolumeclaim "${name}"`
          : `persistentvolumeclaim "${name}" not found`,
      );
    }
    if (claim.status?.phase === "Lost")
      return refuseForGood(
        `persistentvolumeclaim "${name}" bound to non-existent persistentvolume "${claim.spec?.volumeName ?? ""}"`,
      );
    if (claim.metadata.deletionTimestamp !== undefined)
      return refuseForGood(`persistentvolumeclaim "${name}" is being deleted`);
    if (isBound(claim)) sorted.bound.push(claim);
    else if (volumes.waitsForConsumer(claim) && !claim.spec?.volumeName) sorted.waiting.push(claim);
    else immediate = true;
  }
  return immediate ? refuseForGood("pod has unbound immediate PersistentVolumeClaims") : sorted;
}

interface Plan {
  matched: { claim: PersistentVolumeClaim; volume: PersistentVolume }[];
  provisioned: PersistentVolumeClaim[];
}

/** Where the waiting claims' volumes would come from on the node; a refusal where that is impossible. */
function plan(waiting: readonly PersistentVolumeClaim[], node: NodeInfo, volumes: Volumes): Plan | Refusal {
  const result: Plan = { matched: [], provisioned: [] };
  const taken = new Set<string>();
  for (const claim of waiting) {
    const selected = claim.metadata.annotations?.[SELECTED_NODE];
    // Its provisioner is at work already, for one node.
    if (selected && selected !== node.name)
      return refuseForGood("node(s) didn't match PersistentVolume's node affinity");
    const volume = selected ? undefined : volumes.match(claim, node, taken);
    if (volume) {
      taken.add(volume.metadata.name ?? "");
      result.matched.push({ claim, volume });
    } else if (!volumes.canProvision(claim, node))
      return refuseForGood("node(s) didn't find available persistent volumes to bind");
    else if (!selected && !volumes.hasRoom(claim, node))
      return refuseForGood("node(s) did not have enough free storage");
    else result.provisioned.push(claim);
  }
  return result;
}

/** Changes of these may help whoever waits for storage. */
const STORAGE = new Set(["persistentvolumes", "storageclasses", "csinodes", "csidrivers", "csistoragecapacities"]);

const isRefusal = (value: object): value is Refusal => "reasons" in value;

export const volumeBinding: Plugin = {
  name: "VolumeBinding",
  prepare(pod, { volumes }) {
    if (pod.claims.length === 0) return undefined;
    const sorted = sortClaims(pod, volumes);
    if (isRefusal(sorted)) return { impossible: sorted };
    const bound = sorted.bound.map((claim) => volumes.volumes.get(claim.spec?.volumeName ?? ""));
    return {
      filter: (node) => {
        for (const volume of bound) {
          if (!volume)
            return refuseForGood("node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)");
          if (!fitsNode(volume, node)) return refuseForGood("node(s) didn't match PersistentVolume's node affinity");
        }
        const planned = plan(sorted.waiting, node, volumes);
        return isRefusal(planned) ? planned : undefined;
      },
    };
  },
  reserve(pod, { volumes }, node) {
    if (pod.claims.length === 0) return undefined;
    const sorted = sortClaims(pod, volumes);
    if (isRefusal(sorted) || sorted.waiting.length === 0) return undefined;
    const planned = plan(sorted.waiting, node, volumes);
    if (isRefusal(planned)) return undefined;
    for (const { claim, volume } of planned.matched)
      volumes.promised.set(volume.metadata.name ?? "", objectKey(claim as KubeObject));
    const release = (): void => {
      for (const { volume } of planned.matched) volumes.promised.delete(volume.metadata.name ?? "");
    };
    return { release, preBind: (context) => bindClaims(pod, node.name, planned, volumes, context) };
  },
  mayHelp: (event, pod) =>
    labelsAfter(event) !== undefined ||
    (event.type === "other" && STORAGE.has(event.resource)) ||
    concernsClaims(event, pod),
};

/** Throws what writing throws, and when the claims are not bound in time or given up by their provisioner. */
async function bindClaims(
  pod: PodInfo,
  node: string,
  { matched, provisioned }: Plan,
  volumes: Volumes,
  { client, waitUntil }: BindContext,
): Promise<void> {
  for (const { claim, volume } of matched) {
    const { name = "", namespace = "", uid = "" } = claim.metadata;
    const claimRef = { apiVersion: "v1", kind: "PersistentVolumeClaim", name, namespace, uid };
    await client.patch(
      { ...kinds.persistentVolumes, name: volume.metadata.name ?? "" },
      "application/merge-patch+json",
      {
        metadata: {
          resourceVersion: volume.metadata.resourceVersion,
          annotations: { "pv.kubernetes.io/bound-by-controller": "yes" },
        },
        spec: { claimRef },
      },
    );
  }
  for (const { metadata } of provisioned) {
    const { name = "", namespace = "", uid = "" } = metadata;
    if (metadata.annotations?.[SELECTED_NODE] === node) continue;
    await client.patch({ ...kinds.persistentVolumeClaims, namespace, name }, "application/merge-patch+json", {
      metadata: { uid, annotations: { [SELECTED_NODE]: node } },
    });
  }
  const all = [...matched.map(({ claim }) => claim), ...provisioned];
  const told = new Set<string>();
  await waitUntil(() => {
    let done = true;
    for (const { metadata } of all) {
      const name = metadata.name ?? "";
      const claim = volumes.claim(pod.namespace, name);
      if (!claim || claim.metadata.uid !== metadata.uid) throw new Error(`persistentvolumeclaim "${name}" is gone`);
      if (isBound(claim)) continue;
      done = false;
      if (!provisioned.some((one) => one.metadata.uid === metadata.uid)) continue;
      const selected = claim.metadata.annotations?.[SELECTED_NODE];
      if (selected === node) told.add(name);
      // The provisioner takes the word back where it cannot make the volume there.
      else if (told.has(name))
        throw new Error(`provisioning of persistentvolumeclaim "${name}" on ${node} was given up`);
    }
    return done;
  }, BIND_MILLIS);
}
