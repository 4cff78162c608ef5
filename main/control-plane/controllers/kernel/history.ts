/**
 * Revisions of a workload's template, as DaemonSets and StatefulSets keep them: ControllerRevision objects, one
 * per template that ever was in use, from which kubectl rollout history and undo work.
 */
import type { Client } from "../../../../common/kube/client.ts";
import type { Informer } from "../../../../common/kube/informer.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { selectorFromObject } from "../../../../common/kube/selector.ts";
import type { LabelSelectorObject } from "../../../../common/kube/selector.ts";
import { isStatus } from "../../../../common/kube/status.ts";
import { safeHash } from "../deployment/template.ts";
import { commit, equal } from "./committer.ts";
import { kinds } from "./kinds.ts";
import type { Kind } from "./kinds.ts";
import { claim, controllerReference } from "./ownership.ts";
import type { PodTemplate } from "./pods.ts";

export const REVISION_HASH = "controller-revision-hash";

export type ControllerRevision = KubeObject & { data?: object; revision: number };

/** A strategic merge patch that sets the template back: what kubectl rollout undo applies. */
export function revisionData(template: PodTemplate): object {
  return { spec: { template: { ...template, $patch: "replace" } } };
}

/** The template a revision stands for. */
export function templateOf(revision: ControllerRevision): PodTemplate {
  const { template = {} } =
    (revision.data as { spec?: { template?: PodTemplate & { $patch?: string } } } | undefined)?.spec ?? {};
  const { $patch: _patch, ...rest } = template as { $patch?: string };
  return rest;
}

type Owner = KubeObject & {
  spec: { selector: LabelSelectorObject; template: PodTemplate; revisionHistoryLimit?: number };
  status?: { collisionCount?: number };
};

export interface History {
  /** Oldest first. */
  all: ControllerRevision[];
  /** That of the present template. */
  current: ControllerRevision;
  /** The name was taken by another template: the owner's collisionCount has to rise. */
  collided: boolean;
}

/** Finds or makes the revision of the owner's present template; an old one that came back is the newest again. */
export async function syncHistory(
  client: Client,
  informer: Informer<ControllerRevision>,
  owner: Owner,
  ownerKind: Kind,
): Promise<History> {
  const selector = selectorFromObject(owner.spec.selector);
  const owned = await claim({ client, owner, ownerKind, kind: kinds.controllerRevisions, informer, selector });
  const all = owned.toSorted((a, b) => Number(a.revision) - Number(b.revision));
  const data = revisionData(owner.spec.template);
  const newest = Number(all.at(-1)?.revision ?? 0);
  const same = all.findLast((revision) => equal(revision.data, data));
  if (same) {
    if (Number(same.revision) === newest) return { all, current: same, collided: false };
    const current = await commit(client, kinds.controllerRevisions, same, { ...same, revision: newest + 1 });
    return { all: [...all.filter((one) => one !== same), current], current, collided: false };
  }
  const collisions = owner.status?.collisionCount ?? 0;
  const hash = safeHash(`${JSON.stringify(data)}#${collisions}`);
  const { group, version, resource } = kinds.controllerRevisions;
  const { namespace = "", name: ownerName = "", annotations = {} } = owner.metadata;
  const name = `${ownerName}-${hash}`;
  const { "kubectl.kubernetes.io/last-applied-configuration": _applied, ...handedOn } = annotations;
  const revision: ControllerRevision = {
    apiVersion: "apps/v1",
    kind: "ControllerRevision",
    metadata: {
      name,
      namespace,
      labels: { ...owner.spec.template.metadata?.labels, [REVISION_HASH]: hash },
      ...(Object.keys(handedOn).length > 0 ? { annotations: handedOn } : {}),
      ownerReferences: [controllerReference(owner, ownerKind)],
    },
    data,
    revision: newest + 1,
  };
  try {
    const current = await client.create<ControllerRevision>({ group, version, resource, namespace, name }, revision);
    return { all: [...all, current], current, collided: false };
  } catch (error) {
    if (!isStatus(error, "AlreadyExists")) throw error;
    const there = await client.get<ControllerRevision>({ group, version, resource, namespace, name });
    return { all, current: there, collided: !equal(there.data, data) };
  }
}

/** Removes the oldest revisions beyond the limit that no Pod and nobody else uses. */
export async function pruneHistory(
  client: Client,
  history: readonly ControllerRevision[],
  owner: Owner,
  inUse: ReadonlySet<string>,
): Promise<void> {
  const idle = history.filter(({ metadata }) => !inUse.has(hashOf({ metadata }) ?? ""));
  const { group, version, resource } = kinds.controllerRevisions;
  for (const { metadata } of idle.slice(0, Math.max(0, idle.length - (owner.spec.revisionHistoryLimit ?? 10)))) {
    try {
      await client.delete(
        { group, version, resource, namespace: metadata.namespace ?? "", name: metadata.name ?? "" },
        { preconditions: { uid: metadata.uid ?? "" } },
      );
    } catch (error) {
      if (!isStatus(error, "NotFound")) throw error;
    }
  }
}

export function hashOf({ metadata }: Pick<KubeObject, "metadata">): string | undefined {
  return metadata.labels?.[REVISION_HASH];
}
