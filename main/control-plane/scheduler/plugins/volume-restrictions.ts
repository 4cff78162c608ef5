/** Volumes that only one Pod, or one node, may have: ReadWriteOncePod claims, and disks that are not shared. */
import type { Pod } from "../../../../common/kube/types.ts";
import { concernsClaims, refuse } from "../framework.ts";
import type { Plugin } from "../framework.ts";
import { claimsOf } from "../model.ts";
import type { NodeInfo, PodInfo } from "../model.ts";

const IN_USE = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode";

type Source = Record<string, unknown> & { readOnly?: boolean };

/** What of an inline volume's source names the disk. Two readers may share it where `readers` says so. */
const DISKS: readonly { field: string; identity: readonly string[]; readers: boolean }[] = [
  { field: "gcePersistentDisk", identity: ["pdName"], readers: true },
  { field: "awsElasticBlockStore", identity: ["volumeID"], readers: false },
  { field: "iscsi", identity: ["iqn"], readers: true },
  { field: "rbd", identity: ["monitors", "pool", "image"], readers: true },
];

interface Disk {
  id: string;
  /** It may be shared with others that only read. */
  sharable: boolean;
}

function disksOf(pod: Pod): Disk[] {
  return (pod.spec?.volumes ?? []).flatMap((volume) =>
    DISKS.flatMap(({ field, identity, readers }) => {
      const source = (volume as unknown as Record<string, Source | undefined>)[field];
      if (!source) return [];
      const id = `${field} ${JSON.stringify(identity.map((name) => source[name]))}`;
      return [{ id, sharable: readers && source.readOnly === true }];
    }),
  );
}

function collides(wanted: readonly Disk[], { pods }: NodeInfo): boolean {
  for (const { pod } of pods.values())
    for (const { id, sharable } of disksOf(pod))
      if (wanted.some((disk) => disk.id === id && !(disk.sharable && sharable))) return true;
  return false;
}

export const volumeRestrictions: Plugin = {
  name: "VolumeRestrictions",
  prepare(pod, cluster) {
    const single = pod.claims.filter((name) =>
      cluster.volumes.claim(pod.namespace, name)?.spec?.accessModes?.includes("ReadWriteOncePod"),
    );
    const disks = disksOf(pod.pod);
    if (single.length === 0 && disks.length === 0) return undefined;
    const taken = single.some(
      (name) => cluster.count(`claim ${pod.namespace}/${name}`, uses(pod.namespace, name)).size > 0,
    );
    return {
      filter: (node) => {
        if (taken) return refuse(IN_USE);
        return disks.length > 0 && collides(disks, node) ? refuse("node(s) had no available disk") : undefined;
      },
    };
  },
  mayHelp: (event, pod) =>
    event.type === "node added" ||
    concernsClaims(event, pod) ||
    (event.type === "pod gone" &&
      ((event.pod.metadata.namespace === pod.namespace &&
        claimsOf(event.pod).some((name) => pod.claims.includes(name))) ||
        disksOf(event.pod).some(({ id }) => disksOf(pod.pod).some((wanted) => wanted.id === id)))),
};

function uses(namespace: string, claim: string): (pod: PodInfo) => boolean {
  return (pod) => pod.namespace === namespace && pod.claims.includes(claim);
}
