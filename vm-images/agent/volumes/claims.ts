/** From a Pod's claim to what is mounted: the claim, the PersistentVolume it is bound to, and what that stands for. */
import type { PersistentVolume, PersistentVolumeClaim, Pod } from "../../../common/kube/types.ts";
import type { Volume } from "./payload.ts";
import { VolumeError } from "./payload.ts";

export interface ClaimSources {
  claim(name: string): Promise<PersistentVolumeClaim | undefined>;
  persistentVolume(name: string): Promise<PersistentVolume | undefined>;
}

/** The claim's name, for volumes that are claims. */
export function claimName(pod: Pod, volume: Volume): string | undefined {
  if (volume.persistentVolumeClaim) return volume.persistentVolumeClaim.claimName;
  return volume.ephemeral ? `${pod.metadata.name}-${volume.name}` : undefined;
}

export async function boundVolume(
  pod: Pod,
  volume: Volume,
  name: string,
  sources: ClaimSources,
): Promise<PersistentVolume> {
  const claim = await sources.claim(name);
  if (!claim) throw new VolumeError(`persistentvolumeclaim "${name}" not found`);
  const owner = claim.metadata.ownerReferences?.find(({ controller }) => controller);
  if (volume.ephemeral && owner?.uid !== pod.metadata.uid)
    throw new VolumeError(`PVC ${pod.metadata.namespace}/${name} was not created for the pod`);
  if (claim.metadata.deletionTimestamp) throw new VolumeError(`can't start pod because PVC "${name}" is being deleted`);
  if (claim.status?.phase !== "Bound" || !claim.spec?.volumeName)
    throw new VolumeError(`persistentvolumeclaim "${name}" is not bound`);
  const found = await sources.persistentVolume(claim.spec.volumeName);
  if (!found) throw new VolumeError(`persistentvolume "${claim.spec.volumeName}" not found`);
  const ref = found.spec?.claimRef;
  if (ref?.uid !== claim.metadata.uid)
    throw new VolumeError(`persistentvolume "${found.metadata.name}" is bound to another claim`);
  return found;
}
