/** Who owns what: controller references, adoption of orphans and release of what no longer matches. */
import type { Client } from "../../../../common/kube/client.ts";
import type { Informer } from "../../../../common/kube/informer.ts";
import type { KubeObject, OwnerReference } from "../../../../common/kube/object.ts";
import type { Selector } from "../../../../common/kube/selector.ts";
import { isStatus } from "../../../../common/kube/status.ts";
import { apiVersion } from "./kinds.ts";
import type { Kind } from "./kinds.ts";

/** The one reference that says who controls the object. */
export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find(({ controller }) => controller === true);
}

export function isControlledBy(object: KubeObject, owner: KubeObject): boolean {
  return controllerOf(object)?.uid === owner.metadata.uid;
}

/** The reference an owner of this kind puts on what it makes. */
export function controllerReference(owner: KubeObject, kind: Kind): OwnerReference {
  return {
    apiVersion: apiVersion(kind),
    kind: kind.kind,
    name: owner.metadata.name ?? "",
    uid: owner.metadata.uid ?? "",
    controller: true,
    blockOwnerDeletion: true,
  };
}

const BY_OWNER = "controller uid";

/** An index of objects by the uid of their controller; those without one are under "". */
export function indexByController<T extends KubeObject>(informer: Informer<T>): Informer<T> {
  return informer.addIndex(BY_OWNER, (object) => [orphanOr(object)]);
}

function orphanOr(object: KubeObject): string {
  const owner = controllerOf(object);
  return owner ? owner.uid : `orphan/${object.metadata.namespace ?? ""}`;
}

export function controlledBy<T extends KubeObject>(informer: Informer<T>, owner: KubeObject): T[] {
  return informer.byIndex(BY_OWNER, owner.metadata.uid ?? "");
}

export function orphansIn<T extends KubeObject>(informer: Informer<T>, namespace: string | undefined): T[] {
  return informer.byIndex(BY_OWNER, `orphan/${namespace ?? ""}`);
}

export interface Claims<T> {
  /** What the owner has and keeps. */
  keep: T[];
  /** Orphans that match: to adopt. */
  adopt: T[];
  /** Its own that no longer match: to release. */
  release: T[];
}

/** Which of the objects belong to the owner, should, and should no longer. */
export function decideClaims<T extends KubeObject>(
  owner: KubeObject,
  owned: T[],
  orphans: T[],
  selector: Selector,
): Claims<T> {
  const matches = (object: T): boolean => selector.matches(object.metadata.labels);
  const leaving = owner.metadata.deletionTimestamp !== undefined;
  return {
    keep: owned.filter(matches),
    adopt: leaving
      ? []
      : orphans.filter((object) => object.metadata.deletionTimestamp === undefined && matches(object)),
    release: leaving ? [] : owned.filter((object) => !matches(object)),
  };
}

export interface ClaimOptions<T extends KubeObject> {
  client: Client;
  owner: KubeObject;
  ownerKind: Kind;
  kind: Kind;
  informer: Informer<T>;
  selector: Selector;
  /** Only orphans for which this holds are adopted (a StatefulSet: the name must fit). */
  mayAdopt?(object: T): boolean;
}

/** Adopts and releases; returns what the owner has afterwards. Before adopting it makes sure that the owner still lives. */
export async function claim<T extends KubeObject>(options: ClaimOptions<T>): Promise<T[]> {
  const { client, owner, ownerKind, kind, informer, selector, mayAdopt } = options;
  const orphans = orphansIn(informer, owner.metadata.namespace).filter((object) => mayAdopt?.(object) ?? true);
  const claims = decideClaims(owner, controlledBy(informer, owner), orphans, selector);
  if (claims.adopt.length > 0) {
    const { group, version, resource } = ownerKind;
    const { namespace = "", name = "" } = owner.metadata;
    const fresh = await client.get({ group, version, resource, namespace, name });
    if (fresh.metadata.uid !== owner.metadata.uid)
      throw new Error(
        `original ${ownerKind.kind} ${namespace}/${name} is gone: got uid ${fresh.metadata.uid}, wanted ${owner.metadata.uid}`,
      );
    if (fresh.metadata.deletionTimestamp !== undefined)
      throw new Error(`${namespace}/${name} has just been deleted at ${fresh.metadata.deletionTimestamp}`);
  }
  const kept = [...claims.keep];
  for (const object of claims.adopt) {
    const references = [...(object.metadata.ownerReferences ?? []), controllerReference(owner, ownerKind)];
    const adopted = await setOwners(client, kind, object, references);
    if (adopted) kept.push(adopted);
  }
  for (const object of claims.release) {
    const references = (object.metadata.ownerReferences ?? []).filter(({ uid }) => uid !== owner.metadata.uid);
    await setOwners(client, kind, object, references);
  }
  return kept;
}

async function setOwners<T extends KubeObject>(
  client: Client,
  kind: Kind,
  object: T,
  ownerReferences: OwnerReference[],
): Promise<T | undefined> {
  const { group, version, resource } = kind;
  const { namespace = "", name = "", uid, resourceVersion } = object.metadata;
  try {
    return await client.patch<T>({ group, version, resource, namespace, name }, "application/merge-patch+json", {
      metadata: { uid, resourceVersion, ownerReferences: ownerReferences.length > 0 ? ownerReferences : null },
    });
  } catch (error) {
    if (isStatus(error, "NotFound")) return undefined;
    throw error;
  }
}

/**
 * The keys of owners that an object concerns: its controller of this kind, or, of an orphan, every owner in
 * its namespace whose selector matches it.
 */
export function ownersOf(
  object: KubeObject,
  ownerKind: Kind,
  owners: Informer,
  selectorOf: (owner: KubeObject) => Selector,
): string[] {
  const { namespace } = object.metadata;
  const reference = controllerOf(object);
  if (reference) {
    const fits =
      reference.kind === ownerKind.kind && reference.apiVersion.split("/")[0] === apiVersion(ownerKind).split("/")[0];
    return fits ? [namespace === undefined ? reference.name : `${namespace}/${reference.name}`] : [];
  }
  if (object.metadata.deletionTimestamp !== undefined) return [];
  return owners
    .list(namespace)
    .filter((owner) => selectorOf(owner).matches(object.metadata.labels))
    .map((owner) => `${owner.metadata.namespace}/${owner.metadata.name}`);
}
