/** Which volume suits a claim: the smallest of those that fit, one that was reserved for it first. Pure. */
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

/** What keeps a volume from satisfying the claim, in Kubernetes' words; undefined: nothing. */
export function misfit(volume: PersistentVolume, claim: PersistentVolumeClaim): string | undefined {
  const wanted = claim.spec?.resources?.requests?.["storage"] ?? "0";
  const has = volume.spec?.capacity?.["storage"] ?? "0";
  if (compareQuantity(parseQuantity(has), parseQuantity(wanted)) < 0) return "requested PV is too small";
  if (classOf(volume) !== classOf(claim)) return "storageClassName does not match";
  if ((volume.spec?.volumeMode ?? "Filesystem") !== (claim.spec?.volumeMode ?? "Filesystem"))
    return "incompatible volumeMode";
  const modes: readonly string[] = volume.spec?.accessModes ?? [];
  if (!(claim.spec?.accessModes ?? []).every((mode) => modes.includes(mode))) return "incompatible accessMode";
  return undefined;
}

/** `onlyReserved`: the claim waits for its first Pod, and only what was reserved for it may be taken before. */
export function chooseVolume(
  claim: PersistentVolumeClaim,
  volumes: Iterable<PersistentVolume>,
  onlyReserved: boolean,
): PersistentVolume | undefined {
  const selector = selectorFromObject((claim.spec?.selector ?? {}) as LabelSelectorObject);
  let best: PersistentVolume | undefined;
  for (const volume of volumes) {
    if (volume.metadata.deletionTimestamp || misfit(volume, claim) !== undefined) continue;
    if (isReservedFor(volume, claim)) return volume;
    if (onlyReserved || volume.spec?.claimRef || volume.status?.phase !== "Available") continue;
    if (!selector.matches(volume.metadata.labels)) continue;
    if (!best || isSmaller(volume, best)) best = volume;
  }
  return best;
}

function isSmaller(a: PersistentVolume, b: PersistentVolume): boolean {
  const size = (volume: PersistentVolume) => parseQuantity(volume.spec?.capacity?.["storage"] ?? "0");
  const order = compareQuantity(size(a), size(b));
  return order < 0 || (order === 0 && (a.metadata.name ?? "") < (b.metadata.name ?? ""));
}
