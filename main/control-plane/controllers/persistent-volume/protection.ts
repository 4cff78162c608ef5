/**
 * Keeps claims that Pods use, and volumes that are bound, from being removed under them: a finalizer that is taken
 * off when the last use has ended.
 */
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { PersistentVolume, PersistentVolumeClaim, Pod } from "../../../../common/kube/types.ts";
import type { Client } from "../../../../common/kube/client.ts";
import { commit } from "../kernel/committer.ts";
import { follow } from "../kernel/controller.ts";
import type { ControllerDefinition } from "../kernel/controller.ts";
import { kinds } from "../kernel/kinds.ts";
import type { Kind } from "../kernel/kinds.ts";
import { BY_CLAIM, claimsOf } from "./pods.ts";

const CLAIM_PROTECTION = "kubernetes.io/pvc-protection";
const VOLUME_PROTECTION = "kubernetes.io/pv-protection";

/** On while it lives, off once it is to go and nothing uses it. */
async function guard(
  client: Client,
  kind: Kind,
  object: KubeObject,
  finalizer: string,
  isUsed: () => boolean,
): Promise<void> {
  const has = object.metadata.finalizers ?? [];
  const going = object.metadata.deletionTimestamp !== undefined;
  if (going ? !has.includes(finalizer) || isUsed() : has.includes(finalizer)) return;
  const finalizers = going ? has.filter((one) => one !== finalizer) : [...has, finalizer];
  await commit(client, kind, object, { ...object, metadata: { ...object.metadata, finalizers } });
}

/**
 * Whether a claim must wait for this Pod, which names it. One without a node has not begun to use it: it will find the
 * claim gone. One that has ended counts until it is removed; but a claim made for the Pod may go before it when only
 * finalizers keep the Pod, for they may be waiting for the claim.
 */
function uses({ metadata, spec }: Pod, claim: PersistentVolumeClaim): boolean {
  if (!spec?.nodeName) return false;
  if (spec.volumes?.some((volume) => volume.persistentVolumeClaim?.claimName === claim.metadata.name)) return true;
  const isShutDown = metadata.deletionTimestamp !== undefined && metadata.deletionGracePeriodSeconds === 0;
  return !isShutDown && (claim.metadata.ownerReferences ?? []).some(({ uid }) => uid === metadata.uid);
}

export const claimProtection: ControllerDefinition = {
  name: "persistentvolumeclaim-protection-controller",
  concurrency: 2,
  setup({ client, informers }, keys) {
    const claims = follow(informers.for<PersistentVolumeClaim>(kinds.persistentVolumeClaims), keys);
    const pods = informers.for<Pod>(kinds.pods).addIndex(BY_CLAIM, claimsOf);
    follow(pods, keys, claimsOf);
    return {
      async reconcile(key) {
        const claim = claims.get(key);
        const isUsed = (): boolean =>
          pods.byIndex(BY_CLAIM, key).some((pod) => claim !== undefined && uses(pod, claim));
        if (claim) await guard(client, kinds.persistentVolumeClaims, claim, CLAIM_PROTECTION, isUsed);
      },
    };
  },
};

export const volumeProtection: ControllerDefinition = {
  name: "persistentvolume-protection-controller",
  concurrency: 2,
  setup({ client, informers }, keys) {
    const volumes = follow(informers.for<PersistentVolume>(kinds.persistentVolumes), keys);
    return {
      async reconcile(key) {
        const volume = volumes.get(key);
        if (volume)
          await guard(
            client,
            kinds.persistentVolumes,
            volume,
            VOLUME_PROTECTION,
            () => volume.status?.phase === "Bound",
          );
      },
    };
  },
};
