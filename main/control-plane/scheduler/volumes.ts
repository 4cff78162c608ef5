/** What the scheduler knows of storage: claims, volumes, their classes, and what each node's drivers can hold. */
import type { KubeObject } from "../../../common/kube/object.ts";
import { objectKey } from "../../../common/kube/object.ts";
import { parseQuantity } from "../../../common/kube/quantity.ts";
import { selectorFromObject } from "../../../common/kube/selector.ts";
import type { LabelSelectorObject } from "../../../common/kube/selector.ts";
import type { PersistentVolume, PersistentVolumeClaim, StorageClass } from "../../../common/kube/types.ts";
import { termMatcher } from "./node-terms.ts";
import type { NodeSelectorTerm } from "./node-terms.ts";

export type CSINode = KubeObject & {
  spec?: { drivers?: { name: string; allocatable?: { count?: number } }[] };
};

export type CSIDriver = KubeObject & { spec?: { storageCapacity?: boolean } };

/** How much a driver can still make for the nodes of one part of the topology (a producer says so). */
export type CSIStorageCapacity = KubeObject & {
  storageClassName: string;
  nodeTopology?: LabelSelectorObject;
  capacity?: string | number;
  /** The largest single volume, where that is less. */
  maximumVolumeSize?: string | number;
};

interface Labelled {
  name: string;
  labels: Record<string, string>;
}

/** Says that the provisioner of the claim's class may begin, and for which node. */
export const SELECTED_NODE = "volume.kubernetes.io/selected-node";
/** The class of volumes that nobody makes. */
const NO_PROVISIONER = "kubernetes.io/no-provisioner";
const BETA_CLASS = "volume.beta.kubernetes.io/storage-class";
const BIND_COMPLETED = "pv.kubernetes.io/bind-completed";

export class Volumes {
  readonly claims = new Map<string, PersistentVolumeClaim>();
  readonly volumes = new Map<string, PersistentVolume>();
  readonly classes = new Map<string, StorageClass>();
  readonly csiNodes = new Map<string, CSINode>();
  readonly csiDrivers = new Map<string, CSIDriver>();
  readonly capacities = new Map<string, CSIStorageCapacity>();
  /** Volumes that were promised to a claim a moment ago: volume name → "namespace/name" of the claim. */
  readonly promised = new Map<string, string>();

  claim(namespace: string, name: string): PersistentVolumeClaim | undefined {
    return this.claims.get(`${namespace}/${name}`);
  }

  classOf(claim: PersistentVolumeClaim): StorageClass | undefined {
    return this.classes.get(classNameOf(claim));
  }

  /** The claim's class binds volumes only once a node was chosen. */
  waitsForConsumer(claim: PersistentVolumeClaim): boolean {
    return this.classOf(claim)?.volumeBindingMode === "WaitForFirstConsumer";
  }

  /** The volume a claim would be bound to on the node, the smallest that suffices; `taken` are spoken for. */
  match(claim: PersistentVolumeClaim, node: Labelled, taken: ReadonlySet<string>): PersistentVolume | undefined {
    const key = objectKey(claim as KubeObject);
    let best: PersistentVolume | undefined;
    for (const volume of this.volumes.values()) {
      const name = volume.metadata.name ?? "";
      const reference = volume.spec?.claimRef;
      const mine = reference && `${reference.namespace ?? ""}/${reference.name ?? ""}` === key;
      if (mine && (!reference.uid || reference.uid === claim.metadata.uid)) {
        if (fitsNode(volume, node)) return volume;
        continue;
      }
      const promised = this.promised.get(name);
      if (reference || taken.has(name) || (promised !== undefined && promised !== key)) continue;
      if (volume.status?.phase && volume.status.phase !== "Available") continue;
      if (!suits(volume, claim) || !fitsNode(volume, node)) continue;
      if (!best || sizeOf(volume) < sizeOf(best)) best = volume;
    }
    return best;
  }

  /** Whether the claim's class can have a volume made for the node. */
  canProvision(claim: PersistentVolumeClaim, { labels }: Labelled): boolean {
    const storageClass = this.classOf(claim);
    if (!storageClass?.provisioner || storageClass.provisioner === NO_PROVISIONER) return false;
    const topologies = (storageClass.allowedTopologies ?? []) as {
      matchLabelExpressions?: { key: string; values: string[] }[];
    }[];
    return (
      topologies.length === 0 ||
      topologies.some(({ matchLabelExpressions = [] }) =>
        matchLabelExpressions.every(({ key, values }) => values.includes(labels[key] ?? "")),
      )
    );
  }

  /** Whether the driver has room for the claim near the node; drivers that keep no account are believed. */
  hasRoom(claim: PersistentVolumeClaim, { labels }: Labelled): boolean {
    const storageClass = this.classOf(claim);
    if (this.csiDrivers.get(storageClass?.provisioner ?? "")?.spec?.storageCapacity !== true) return true;
    const asked = requestOf(claim);
    for (const { storageClassName, nodeTopology, capacity, maximumVolumeSize } of this.capacities.values()) {
      if (storageClassName !== storageClass?.metadata.name || !nodeTopology) continue;
      const most = maximumVolumeSize ?? capacity;
      if (most === undefined || parseQuantity(most).nano < asked) continue;
      if (selectorFromObject(nodeTopology).matches(labels)) return true;
    }
    return false;
  }
}

/** What a claim asks for, in nano units. */
const requestOf = (claim: PersistentVolumeClaim): bigint =>
  parseQuantity((claim.spec?.resources?.requests?.["storage"] as string | number | undefined) ?? 0).nano;

export function classNameOf(claim: PersistentVolumeClaim): string {
  return claim.metadata.annotations?.[BETA_CLASS] ?? claim.spec?.storageClassName ?? "";
}

/** Claim and volume know of each other. */
export function isBound(claim: PersistentVolumeClaim): boolean {
  return (
    Boolean(claim.spec?.volumeName) &&
    (claim.status?.phase === "Bound" || claim.metadata.annotations?.[BIND_COMPLETED] !== undefined)
  );
}

export function fitsNode(volume: PersistentVolume, node: Labelled): boolean {
  const terms = volume.spec?.nodeAffinity?.required?.nodeSelectorTerms as NodeSelectorTerm[] | undefined;
  return !terms || terms.some((term) => termMatcher(term)(node));
}

function sizeOf(volume: PersistentVolume): bigint {
  return parseQuantity((volume.spec?.capacity?.["storage"] as string | number | undefined) ?? 0).nano;
}

/** Class, mode, access, labels and size; not where it is. */
function suits(volume: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  const asked = claim.spec;
  return (
    volume.metadata.deletionTimestamp === undefined &&
    (volume.spec?.storageClassName ?? "") === classNameOf(claim) &&
    (volume.spec?.volumeMode ?? "Filesystem") === (asked?.volumeMode ?? "Filesystem") &&
    (asked?.accessModes ?? []).every((mode) => volume.spec?.accessModes?.includes(mode)) &&
    (!asked?.selector ||
      selectorFromObject(asked.selector as LabelSelectorObject).matches(volume.metadata.labels ?? {})) &&
    sizeOf(volume) >= requestOf(claim)
  );
}
