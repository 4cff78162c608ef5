/** Makes the claims of generic ephemeral volumes: `<pod>-<volume>`, owned by the Pod, so that they go with it. */
import { isStatus } from "../../../../common/kube/status.ts";
import type { PersistentVolumeClaim, Pod } from "../../../../common/kube/types.ts";
import { follow } from "../kernel/controller.ts";
import type { ControllerDefinition } from "../kernel/controller.ts";
import { kinds } from "../kernel/kinds.ts";

/** The claims that the Pod's volumes ask for. Pure. */
export function claimsOf(pod: Pod): PersistentVolumeClaim[] {
  return (pod.spec?.volumes ?? []).flatMap((volume) => {
    const template = volume.ephemeral?.volumeClaimTemplate;
    if (!template) return [];
    const { name = "", namespace = "", uid = "" } = pod.metadata;
    const { labels, annotations } = template.metadata ?? {};
    return [
      {
        apiVersion: "v1",
        kind: "PersistentVolumeClaim",
        metadata: {
          name: `${name}-${volume.name}`,
          namespace,
          ...(labels ? { labels } : {}),
          ...(annotations ? { annotations } : {}),
          ownerReferences: [{ apiVersion: "v1", kind: "Pod", name, uid, controller: true, blockOwnerDeletion: true }],
        },
        spec: template.spec,
      } as unknown as PersistentVolumeClaim,
    ];
  });
}

export const ephemeralVolumeController: ControllerDefinition = {
  name: "ephemeral-volume-controller",
  concurrency: 4,
  setup({ client, informers, events }, keys) {
    const asks = (pod: Pod): string[] =>
      pod.spec?.volumes?.some(({ ephemeral }) => ephemeral) ? [`${pod.metadata.namespace}/${pod.metadata.name}`] : [];
    const pods = follow(informers.for<Pod>(kinds.pods), keys, asks);
    const claims = informers.for<PersistentVolumeClaim>(kinds.persistentVolumeClaims);
    return {
      async reconcile(key) {
        const pod = pods.get(key);
        if (!pod || pod.metadata.deletionTimestamp) return;
        const { phase } = pod.status ?? {};
        if (phase === "Succeeded" || phase === "Failed") return;
        for (const claim of claimsOf(pod)) {
          const { namespace = "", name = "" } = claim.metadata;
          const there = claims.get(`${namespace}/${name}`);
          const owner = there?.metadata.ownerReferences?.find(({ controller }) => controller);
          if (there && owner?.uid === pod.metadata.uid) continue;
          if (there) {
            const message = `PVC ${namespace}/${name} was not created for pod ${key} (pod is not owner)`;
            events.record(pod, "Warning", "EphemeralVolumeFailed", message);
            throw new Error(message);
          }
          const { group, version, resource } = kinds.persistentVolumeClaims;
          try {
            await client.create({ group, version, resource, namespace, name }, claim);
          } catch (error) {
            if (!isStatus(error, "AlreadyExists")) throw error;
          }
        }
      },
    };
  },
};
