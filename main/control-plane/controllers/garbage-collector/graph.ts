/**
 * Who depends on whom: a graph over all objects of the cluster by uid, built from their owner references as
 * they are seen.
 *
 *     Deployment ◄── ReplicaSet ◄── Pod        an arrow is an owner reference
 *                    dependents of the Deployment ─┘
 */
import type { GroupVersionResource, KubeObject, OwnerReference } from "../../../../common/kube/object.ts";

export interface GraphNode {
  uid: string;
  gvr: GroupVersionResource;
  kind: string;
  apiVersion: string;
  namespace: string | undefined;
  name: string;
  owners: readonly OwnerReference[];
  finalizers: readonly string[];
  deleting: boolean;
  /** Not seen itself, only named by a dependent: it may not exist. */
  virtual: boolean;
  dependents: Set<GraphNode>;
}

export const FOREGROUND = "foregroundDeletion";
export const ORPHAN = "orphan";

/** Uids whose owners should be looked at again after a change. */
export type Affected = Iterable<string>;

export class OwnerGraph {
  readonly #nodes = new Map<string, GraphNode>();

  get(uid: string): GraphNode | undefined {
    return this.#nodes.get(uid);
  }

  get size(): number {
    return this.#nodes.size;
  }

  /** An object as it is now. Returns what has to be looked at. */
  put(gvr: GroupVersionResource, object: KubeObject): Affected {
    const {
      uid = "",
      namespace,
      name = "",
      ownerReferences = [],
      finalizers = [],
      deletionTimestamp,
    } = object.metadata;
    let node = this.#nodes.get(uid);
    const before = node && {
      owners: node.owners,
      deleting: node.deleting,
      finalizers: node.finalizers,
      virtual: node.virtual,
    };
    if (!node) this.#nodes.set(uid, (node = blank(uid)));
    Object.assign(node, {
      gvr,
      kind: object.kind,
      apiVersion: object.apiVersion,
      namespace,
      name,
      owners: ownerReferences,
      finalizers,
      deleting: deletionTimestamp !== undefined,
      virtual: false,
    });
    const affected = new Set<string>();
    if (!before || !sameOwners(before.owners, ownerReferences)) {
      for (const { uid: owner } of before?.owners ?? []) {
        if (ownerReferences.some((one) => one.uid === owner)) continue;
        const released = this.#nodes.get(owner);
        released?.dependents.delete(node);
        this.#drop(released);
        if (released?.deleting) affected.add(owner);
      }
      for (const owner of ownerReferences) {
        let there = this.#nodes.get(owner.uid);
        if (!there) {
          there = {
            ...blank(owner.uid),
            kind: owner.kind,
            apiVersion: owner.apiVersion,
            namespace,
            name: owner.name,
            virtual: true,
          };
          this.#nodes.set(owner.uid, there);
          // Nobody has seen the owner: it may be gone for long.
          affected.add(uid);
        } else if (there.virtual || (there.namespace !== undefined && there.namespace !== namespace)) affected.add(uid);
        there.dependents.add(node);
        if (there.deleting) affected.add(uid).add(owner.uid);
      }
      if (before && before.owners.length > 0) affected.add(uid);
    }
    if (node.deleting && (node.finalizers.includes(FOREGROUND) || node.finalizers.includes(ORPHAN))) affected.add(uid);
    // Dependents that block it may hold their owner's foreground deletion up no longer.
    if (node.deleting && !before?.deleting)
      for (const { uid: owner } of ownerReferences) if (this.#nodes.get(owner)?.deleting) affected.add(owner);
    return affected;
  }

  /** The object is gone: its dependents, and owners that wait for it, have to be looked at. */
  remove(uid: string): Affected {
    const node = this.#nodes.get(uid);
    if (!node) return [];
    const affected = new Set([...node.dependents].map((dependent) => dependent.uid));
    for (const { uid: owner } of node.owners) {
      const there = this.#nodes.get(owner);
      there?.dependents.delete(node);
      if (there?.deleting) affected.add(owner);
      this.#drop(there);
    }
    if (node.dependents.size === 0) this.#nodes.delete(uid);
    else Object.assign(node, { virtual: true, deleting: false, owners: [], finalizers: [] });
    return affected;
  }

  /** Forgets owners nobody has seen and nobody names any more. */
  #drop(node: GraphNode | undefined): void {
    if (node?.virtual && node.dependents.size === 0) this.#nodes.delete(node.uid);
  }
}

function blank(uid: string): GraphNode {
  return {
    uid,
    gvr: { group: "", version: "", resource: "" },
    kind: "",
    apiVersion: "",
    namespace: undefined,
    name: "",
    owners: [],
    finalizers: [],
    deleting: false,
    virtual: false,
    dependents: new Set(),
  };
}

function sameOwners(a: readonly OwnerReference[], b: readonly OwnerReference[]): boolean {
  return (
    a.length === b.length &&
    a.every((one, at) => one.uid === b[at]?.uid && one.blockOwnerDeletion === b[at]?.blockOwnerDeletion)
  );
}

export type OwnerState = "alive" | "gone" | "waiting for dependents";

export type Judgement =
  | { do: "nothing" }
  | { do: "delete"; policy: "Background" | "Foreground" | "Orphan" }
  /** Remove these owners' references: others still hold the object. */
  | { do: "unlink"; owners: string[] };

/** What becomes of an object, by the state of each of its owners. */
export function judge(
  node: Pick<GraphNode, "owners" | "finalizers">,
  stateOf: (owner: OwnerReference) => OwnerState,
  hasDependents: boolean,
): Judgement {
  if (node.owners.length === 0) return { do: "nothing" };
  const of = (state: OwnerState): string[] =>
    node.owners.filter((owner) => stateOf(owner) === state).map(({ uid }) => uid);
  const [gone, waiting] = [of("gone"), of("waiting for dependents")];
  if (node.owners.length > gone.length + waiting.length) {
    return gone.length + waiting.length > 0 ? { do: "unlink", owners: [...gone, ...waiting] } : { do: "nothing" };
  }
  // Its owner waits for it: its own dependents go before it, likewise.
  if (waiting.length > 0 && hasDependents) return { do: "delete", policy: "Foreground" };
  if (node.finalizers.includes(ORPHAN)) return { do: "delete", policy: "Orphan" };
  if (node.finalizers.includes(FOREGROUND)) return { do: "delete", policy: "Foreground" };
  return { do: "delete", policy: "Background" };
}
