/**
 * The claims of a StatefulSet's Pods: made from its templates, and owned by whoever takes them along when it goes, as
 * persistentVolumeClaimRetentionPolicy says. The garbage collector does the rest.
 *
 *     whenDeleted  whenScaled   a Pod that stays     a Pod that is too many
 *     Retain       Retain       nobody               nobody
 *     Delete       Retain       the StatefulSet      the StatefulSet
 *     Retain       Delete       nobody               the Pod
 *     Delete       Delete       the StatefulSet      the Pod
 */
import type { Client } from "../../../../common/kube/client.ts";
import type { EventRecorder } from "../../../../common/kube/events.ts";
import type { Informer } from "../../../../common/kube/informer.ts";
import type { KubeObject, OwnerReference } from "../../../../common/kube/object.ts";
import { isStatus } from "../../../../common/kube/status.ts";
import type { Pod } from "../../../../common/kube/types.ts";
import { commit } from "../kernel/committer.ts";
import { text } from "../kernel/controller.ts";
import { kinds } from "../kernel/kinds.ts";
import { controllerOf, controllerReference } from "../kernel/ownership.ts";
import type { StatefulSetObject } from "./model.ts";

export const claimName = (template: string, pod: string): string => `${template}-${pod}`;

/** Who owns the claims of this Pod; undefined: nobody. */
export function claimOwner(set: StatefulSetObject, pod: Pod, tooMany: boolean): OwnerReference | undefined {
  const { whenDeleted, whenScaled } = set.spec.persistentVolumeClaimRetentionPolicy ?? {};
  if (tooMany && whenScaled === "Delete") return controllerReference(pod, kinds.pods);
  return whenDeleted === "Delete" ? controllerReference(set, kinds.statefulSets) : undefined;
}

/** The references a claim should have; undefined when they are right. Those of strangers stay. */
export function decideOwners(
  claim: KubeObject,
  set: StatefulSetObject,
  owner: OwnerReference | undefined,
): OwnerReference[] | undefined {
  const before = claim.metadata.ownerReferences ?? [];
  const ours = ({ kind, uid, name }: OwnerReference): boolean =>
    uid === set.metadata.uid || (kind === "Pod" && claim.metadata.name?.endsWith(`-${name}`) === true);
  const controller = controllerOf(claim);
  if (controller && !ours(controller)) return undefined;
  const mine = before.filter(ours);
  const right = owner
    ? mine.length === 1 && mine[0]?.uid === owner.uid && mine[0].controller === true
    : mine.length === 0;
  return right ? undefined : [...before.filter((one) => !ours(one)), ...(owner ? [owner] : [])];
}

/** A claim that is about to go, with a Pod of the same name that went: the new Pod must not begin with it. */
export function isStale(claim: KubeObject | undefined): boolean {
  return (
    claim?.metadata.deletionTimestamp !== undefined ||
    controllerOf(claim ?? ({ metadata: {} } as KubeObject))?.kind === "Pod"
  );
}

export class Claims {
  readonly #client: Client;
  readonly #informer: Informer<KubeObject>;
  readonly #events: EventRecorder;

  constructor(client: Client, informer: Informer<KubeObject>, events: EventRecorder) {
    this.#client = client;
    this.#informer = informer;
    this.#events = events;
  }

  /** Those that are there. */
  of(set: StatefulSetObject, pod: string): KubeObject[] {
    return (set.spec.volumeClaimTemplates ?? []).flatMap(({ metadata }) => {
      const there = this.#informer.get(`${set.metadata.namespace}/${claimName(metadata.name ?? "", pod)}`);
      return there ? [there] : [];
    });
  }

  /** Makes those that are missing. */
  async ensure(set: StatefulSetObject, pod: Pod): Promise<void> {
    const { group, version, resource } = kinds.persistentVolumeClaims;
    const { namespace = "", name: setName } = set.metadata;
    const { name: podName = "" } = pod.metadata;
    const owner = claimOwner(set, pod, false);
    for (const template of set.spec.volumeClaimTemplates ?? []) {
      const name = claimName(template.metadata.name ?? "", podName);
      if (this.#informer.get(`${namespace}/${name}`)) continue;
      const labels = { ...template.metadata.labels, ...set.spec.selector.matchLabels };
      const made = {
        apiVersion: "v1",
        kind: "PersistentVolumeClaim",
        metadata: { ...template.metadata, name, namespace, labels, ...(owner ? { ownerReferences: [owner] } : {}) },
        spec: structuredClone(template.spec),
      };
      const what = `create Claim ${name} Pod ${podName} in StatefulSet ${setName}`;
      try {
        await this.#client.create({ group, version, resource, namespace, name }, made);
        this.#events.record(set, "Normal", "SuccessfulCreate", `${what} success`);
      } catch (error) {
        if (isStatus(error, "AlreadyExists")) continue;
        this.#events.record(set, "Warning", "FailedCreate", `${what} failed error: ${text(error)}`);
        throw error;
      }
    }
  }

  /** Gives the Pod's claims the owner they should have. */
  async own(set: StatefulSetObject, pod: Pod, tooMany: boolean): Promise<void> {
    const owner = claimOwner(set, pod, tooMany);
    for (const claim of this.of(set, pod.metadata.name ?? "")) {
      const ownerReferences = decideOwners(claim, set, owner);
      if (!ownerReferences) continue;
      await commit(this.#client, kinds.persistentVolumeClaims, claim, {
        ...claim,
        metadata: { ...claim.metadata, ownerReferences },
      });
    }
  }
}
