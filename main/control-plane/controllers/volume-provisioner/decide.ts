/** What to do for a claim of the class `standard`, and for the volumes made for such claims. Pure. */
import { compareQuantity, parseQuantity } from "../../../../common/kube/quantity.ts";
import type { Node, PersistentVolume, PersistentVolumeClaim, StorageClass } from "../../../../common/kube/types.ts";
import { LOCAL_DISK_DATA, LOCAL_DISK_FOLDER, LOCAL_DISK_PROVISIONER } from "../../../../common/node/storage.ts";

/** The scheduler writes the node of the first Pod that uses the claim. */
export const SELECTED_NODE = "volume.kubernetes.io/selected-node";
export const STORAGE_PROVISIONER = "volume.kubernetes.io/storage-provisioner";
export const PROVISIONED_BY = "pv.kubernetes.io/provisioned-by";

/** What every cluster has: the default class, on the disks of the nodes. */
export const STANDARD_CLASS: StorageClass = {
  apiVersion: "storage.k8s.io/v1",
  kind: "StorageClass",
  metadata: { name: "standard", annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
  provisioner: LOCAL_DISK_PROVISIONER,
  reclaimPolicy: "Delete",
  volumeBindingMode: "WaitForFirstConsumer",
  allowVolumeExpansion: true,
} as StorageClass;

export type ClaimDecision =
  | { kind: "nothing" }
  | { kind: "fail"; message: string }
  /** The node is not there any more: the scheduler chooses again. */
  | { kind: "reschedule"; node: string }
  | { kind: "provision"; volume: PersistentVolume }
  | { kind: "expand"; storage: string };

export interface ClaimInput {
  claim: PersistentVolumeClaim;
  class: StorageClass | undefined;
  nodes: readonly Node[];
  /** The volume that the claim is bound to. */
  bound: PersistentVolume | undefined;
}

export function decideClaim({ claim, class: storageClass, nodes, bound }: ClaimInput): ClaimDecision {
  if (claim.metadata.deletionTimestamp) return { kind: "nothing" };
  const wanted = claim.spec?.resources?.requests?.["storage"] as string | undefined;
  if (claim.spec?.volumeName) {
    if (!bound || bound.metadata.annotations?.[PROVISIONED_BY] !== LOCAL_DISK_PROVISIONER || wanted === undefined)
      return { kind: "nothing" };
    const has = claim.status?.capacity?.["storage"] as string | undefined;
    const grows =
      claim.status?.phase === "Bound" &&
      has !== undefined &&
      compareQuantity(parseQuantity(wanted), parseQuantity(has)) > 0;
    return grows && storageClass?.allowVolumeExpansion ? { kind: "expand", storage: wanted } : { kind: "nothing" };
  }
  if (storageClass?.provisioner !== LOCAL_DISK_PROVISIONER || wanted === undefined) return { kind: "nothing" };
  const selected = claim.metadata.annotations?.[SELECTED_NODE];
  const waits = storageClass.volumeBindingMode === "WaitForFirstConsumer";
  if (waits && selected === undefined) return { kind: "nothing" };
  if (claim.spec?.accessModes?.includes("ReadWriteMany"))
    return {
      kind: "fail",
      message:
        "a disk of one node cannot be ReadWriteMany: use ReadWriteOnce or ReadWriteOncePod, or an NFS volume for Pods on several nodes",
    };
  if (claim.spec?.selector)
    return { kind: "fail", message: "claim.spec.selector is not supported for volumes that are provisioned" };
  const node = selected === undefined ? anyNode(nodes) : nodes.find(({ metadata }) => metadata.name === selected);
  if (!node)
    return selected === undefined
      ? { kind: "fail", message: "no node is there to hold the volume" }
      : { kind: "reschedule", node: selected };
  return { kind: "provision", volume: volumeFor(claim, storageClass, node, wanted) };
}

function anyNode(nodes: readonly Node[]): Node | undefined {
  const free = nodes.filter(({ spec }) => !spec?.unschedulable && !(spec?.taints ?? []).length);
  return (free.length > 0 ? free : nodes).toSorted((a, b) =>
    (a.metadata.name ?? "").localeCompare(b.metadata.name ?? ""),
  )[0];
}

function volumeFor(
  claim: PersistentVolumeClaim,
  storageClass: StorageClass,
  node: Node,
  storage: string,
): PersistentVolume {
  const name = `pvc-${claim.metadata.uid}`;
  const hostname = node.metadata.labels?.["kubernetes.io/hostname"] ?? node.metadata.name ?? "";
  return {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name, annotations: { [PROVISIONED_BY]: LOCAL_DISK_PROVISIONER } },
    spec: {
      capacity: { storage },
      accessModes: claim.spec?.accessModes ?? [],
      volumeMode: claim.spec?.volumeMode ?? "Filesystem",
      persistentVolumeReclaimPolicy: storageClass.reclaimPolicy ?? "Delete",
      storageClassName: storageClass.metadata.name ?? "",
      claimRef: {
        apiVersion: "v1",
        kind: "PersistentVolumeClaim",
        namespace: claim.metadata.namespace ?? "",
        name: claim.metadata.name ?? "",
        uid: claim.metadata.uid ?? "",
      },
      local: { path: `${LOCAL_DISK_FOLDER}/${name}/${LOCAL_DISK_DATA}` },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: [hostname] }] },
          ],
        },
      },
    },
  } as unknown as PersistentVolume;
}

/** A volume whose claim has gone is removed (its node then removes the data), unless it is to be kept. */
export function isReclaimed(volume: PersistentVolume): boolean {
  return (
    volume.metadata.annotations?.[PROVISIONED_BY] === LOCAL_DISK_PROVISIONER &&
    volume.metadata.deletionTimestamp === undefined &&
    volume.status?.phase === "Released" &&
    volume.spec?.persistentVolumeReclaimPolicy === "Delete"
  );
}
