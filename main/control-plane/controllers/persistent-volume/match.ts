/** Which volume suits a claim: one that was reserved for it first, else the one that offers least beyond what is asked. Pure. */
import { selectorFromObject } from "../../../../common/kube/selector.ts";
import type { LabelSelectorObject } from "../../../../common/kube/selector.ts";
import { compareQuantity, parseQuantity } from "../../../../common/kube/quantity.ts";
import type { PersistentVolume, PersistentVolumeClaim } from "../../../../common/kube/types.ts";

/** The claim names no class: the annotation of old comes first, as the API still has it. */
export function classOf({ metadata, spec }: PersistentVolume | PersistentVolumeClaim): string {
  return metadata.annotations?.["volume.beta.kubernetes.io/storage-class"] ?? spec?.storageClassName ?? "";
}

export function isReservedFor(volume: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  const reference = volume.spec?.claimRef;
  if (!reference) return false;
  const { namespace, name, uid } = claim.metadata;
  return reference.namespace === namespace && reference.name === name && (!reference.uid || reference.uid === uid);
}

/**
 * What keeps a volume that the claim names from satisfying it, in Kubernetes' words; undefined: nothing. A volume whose
 * `claimRef` names the claim may be of another class.
 */
export function misfit(volume: PersistentVolume, claim: PersistentVolumeClaim): string | undefined {
  if (volume.metadata.deletionTimestamp) return `the volume is marked for deletion "${volume.metadata.name}"`;
  if (compareQuantity(sizeOf(volume), parseQuantity(claim.spec?.resources?.requests?.["storage"] ?? "0")) < 0)
    return "requested PV is too small";
  if (classOf(volume) !== classOf(claim) && !isReservedFor(volume, claim)) return "storageClassName does not match";
  if ((volume.spec?.volumeAttributesClassName ?? "") !== (claim.spec?.volumeAttributesClassName ?? ""))
    return "volumeAttributesClassName does not match";
  if (!sameMode(volume, claim)) return "incompatible volumeMode";
  const modes: readonly string[] = volume.spec?.accessModes ?? [];
  if (!(claim.spec?.accessModes ?? []).every((mode) => modes.includes(mode))) return "incompatible accessMode";
  return undefined;
}

/** Both a file system, or both a block device. */
export function sameMode(volume: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  return (volume.spec?.volumeMode ?? "Filesystem") === (claim.spec?.volumeMode ?? "Filesystem");
}

/** `onlyReserved`: the scheduler chooses, with the claim's first Pod; here only what was reserved for it may be taken. */
export function chooseVolume(
  claim: PersistentVolumeClaim,
  volumes: Iterable<PersistentVolume>,
  onlyReserved: boolean,
): PersistentVolume | undefined {
  const selector = selectorFromObject((claim.spec?.selector ?? {}) as LabelSelectorObject);
  let best: PersistentVolume | undefined;
  for (const volume of volumes) {
    if (misfit(volume, claim) !== undefined) continue;
    if (isReservedFor(volume, claim)) return volume;
    if (onlyReserved || volume.spec?.claimRef || volume.status?.phase !== "Available") continue;
    if (!selector.matches(volume.metadata.labels)) continue;
    if (!best || isTighter(volume, best)) best = volume;
  }
  return best;
}

/** Fewer access modes come first, then the smaller size. */
function isTighter(a: PersistentVolume, b: PersistentVolume): boolean {
  const modes = (volume: PersistentVolume): number => volume.spec?.accessModes?.length ?? 0;
  const order = modes(a) - modes(b) || compareQuantity(sizeOf(a), sizeOf(b));
  return order < 0 || (order === 0 && (a.metadata.name ?? "") < (b.metadata.name ?? ""));
}

function sizeOf(volume: PersistentVolume): ReturnType<typeof parseQuantity> {
  return parseQuantity(volume.spec?.capacity?.["storage"] ?? "0");
}
