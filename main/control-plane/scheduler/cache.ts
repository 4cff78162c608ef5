/**
 * The cluster as scheduling sees it, kept up to date change by change. Since one Pod is decided without
 * giving up the thread, plug-ins read it as it stands and no snapshot is taken.
 */
import type { Namespace, Node, Pod } from "../../../common/kube/types.ts";
import { isTerminated } from "../controllers/kernel/pods.ts";
import { Counters } from "./counters.ts";
import type { Wish, WishKind } from "./counters.ts";
import { NodeInfo, PodInfo } from "./model.ts";
import { allocationOf } from "./resources.ts";
import { Volumes } from "./volumes.ts";

type Matches = (pod: PodInfo) => boolean;

/** Values of topology labels, over the nodes that have all of the keys. */
export interface Domains {
  values: ReadonlyMap<string, ReadonlySet<string>>;
  /** No node has one of the keys without the others. */
  uniform: boolean;
}

export interface ClusterView {
  /** In a stable order. */
  readonly nodes: readonly NodeInfo[];
  readonly volumes: Volumes;
  node(name: string): NodeInfo | undefined;
  namespaceLabels(namespace: string): Record<string, string> | undefined;
  /** Pods per node that match; `id` names the interest: same id, same matches. */
  count(id: string, matches: Matches): ReadonlyMap<string, number>;
  /** The same per value of a node label. */
  countBy(id: string, topologyKey: string, matches: Matches): ReadonlyMap<string, number>;
  /** Pods per node that one controller made. */
  siblings(owner: string): ReadonlyMap<string, number> | undefined;
  /** Affinity terms of Pods on nodes. */
  wishes(kind: WishKind): Iterable<Wish>;
  readonly hasWishes: boolean;
  /** How many nodes list the image. */
  nodesWithImage(image: string): number;
  domainsOf(topologyKeys: readonly string[]): Domains;
}

export class ClusterCache implements ClusterView {
  readonly volumes = new Volumes();
  readonly #nodes = new Map<string, NodeInfo>();
  #list: NodeInfo[] | undefined;
  /** Where each Pod that counts is: uid → node name. Its node may not be known (yet). */
  readonly #places = new Map<string, { node: string; pod: PodInfo; assumed: boolean }>();
  /** Pods of nodes that are not known. */
  readonly #strays = new Map<string, Map<string, PodInfo>>();
  readonly #namespaces = new Map<string, Record<string, string>>();
  readonly #counters = new Counters();
  /** Pods for which room was made on a node, and that wait until it is free. */
  readonly #nominated = new Map<string, { node: string; pod: PodInfo }>();
  readonly #nominatedOn = new Map<string, Set<string>>();
  readonly #domains = new Map<string, Domains>();
  readonly #images = new Map<string, number>();

  get nodes(): readonly NodeInfo[] {
    this.#list ??= [...this.#nodes.values()];
    return this.#list;
  }

  get hasWishes(): boolean {
    return this.#counters.hasWishes;
  }

  node(name: string): NodeInfo | undefined {
    return this.#nodes.get(name);
  }

  namespaceLabels(namespace: string): Record<string, string> | undefined {
    return this.#namespaces.get(namespace);
  }

  wishes(kind: WishKind): Iterable<Wish> {
    return this.#counters.wishes(kind);
  }

  siblings(owner: string): ReadonlyMap<string, number> | undefined {
    return this.#counters.siblings(owner);
  }

  count(id: string, matches: Matches): ReadonlyMap<string, number> {
    return this.#counters.count(id, matches, () => this.#places.values());
  }

  countBy(id: string, topologyKey: string, matches: Matches): ReadonlyMap<string, number> {
    return this.#counters.countBy(
      id,
      topologyKey,
      matches,
      () => this.#places.values(),
      (node) => this.#nodes.get(node)?.labels,
    );
  }

  nodesWithImage(image: string): number {
    return this.#images.get(image) ?? 0;
  }

  domainsOf(topologyKeys: readonly string[]): Domains {
    const id = topologyKeys.join(" ");
    let known = this.#domains.get(id);
    if (!known) {
      const values = new Map(topologyKeys.map((key) => [key, new Set<string>()]));
      let uniform = true;
      for (const { labels } of this.nodes) {
        const having = topologyKeys.filter((key) => labels[key] !== undefined).length;
        if (having > 0 && having < topologyKeys.length) uniform = false;
        if (having < topologyKeys.length) continue;
        for (const [key, set] of values) set.add(labels[key] as string);
      }
      this.#domains.set(id, (known = { values, uniform }));
    }
    return known;
  }

  setNamespace({ metadata }: Namespace): void {
    const { name = "", labels = {} } = metadata;
    const known = this.#namespaces.get(name);
    this.#namespaces.set(name, labels);
    // Interests may choose namespaces by label.
    if (JSON.stringify(known ?? {}) !== JSON.stringify(labels)) this.#counters.forget();
  }

  setNode(node: Node): void {
    const name = node.metadata.name ?? "";
    const known = this.#nodes.get(name);
    if (known) {
      const same = JSON.stringify(known.labels) === JSON.stringify(node.metadata.labels ?? {});
      this.#countImages(known, -1);
      if (!same) this.#counters.changeNode(known.pods.values(), known, -1);
      known.setNode(node);
      this.#countImages(known, 1);
      if (same) return;
      this.#counters.changeNode(known.pods.values(), known, 1);
      this.#domains.clear();
      return;
    }
    const info = new NodeInfo(node);
    this.#nodes.set(name, info);
    this.#countImages(info, 1);
    this.#list = undefined;
    this.#domains.clear();
    for (const pod of this.#strays.get(name)?.values() ?? []) info.add(pod);
    this.#strays.delete(name);
    this.#counters.changeNode(info.pods.values(), info, 1);
    return undefined;
  }

  removeNode(name: string): void {
    const info = this.#nodes.get(name);
    if (!info) return;
    this.#counters.changeNode(info.pods.values(), info, -1);
    this.#countImages(info, -1);
    if (info.pods.size > 0) this.#strays.set(name, new Map(info.pods));
    this.#nodes.delete(name);
    this.#list = undefined;
    this.#domains.clear();
  }

  /** A Pod as the API shows it: bound ones count until they end. Whether it asks for less than before. */
  setPod(pod: Pod): boolean {
    const uid = pod.metadata.uid ?? "";
    const place = this.#places.get(uid);
    const nodeName = pod.spec?.nodeName;
    if (isTerminated(pod)) {
      this.removePod(uid);
      return false;
    }
    // Bound by us a moment ago, and the API has not told yet.
    if (!nodeName) return false;
    if (place && place.node === nodeName && sameForScheduling(place.pod.pod, pod)) {
      place.assumed = false;
      place.pod.pod = pod;
      return false;
    }
    if (place) this.#take(uid);
    const info = new PodInfo(pod);
    this.#place(info, nodeName, false);
    const before = place?.node === nodeName ? place.pod.requests : {};
    return Object.entries(before).some(([name, amount]) => amount > (info.requests[name] ?? 0));
  }

  removePod(uid: string): void {
    this.#take(uid);
  }

  isPlaced(uid: string): boolean {
    return this.#places.has(uid);
  }

  /** Counts the Pod on the node before the API knows of it. */
  assume(pod: PodInfo, node: string): void {
    this.#place(pod, node, true);
  }

  /** The binding failed. */
  forget(uid: string): void {
    if (this.#places.get(uid)?.assumed) this.#take(uid);
  }

  /** Takes a Pod out for a try; the returned function puts it back where it was. */
  lift(uid: string): () => void {
    const place = this.#places.get(uid);
    if (!place) return () => undefined;
    this.#take(uid);
    return () => this.#place(place.pod, place.node, place.assumed);
  }

  /** Runs with these Pods on the node, as if they were bound there. */
  withPods<T>(pods: readonly PodInfo[], node: string, run: () => T): T {
    for (const pod of pods) this.#place(pod, node, true);
    try {
      return run();
    } finally {
      for (const { uid } of pods) this.#take(uid);
    }
  }

  /** Room on the node is kept for the Pod; undefined: no longer. */
  nominate(pod: PodInfo, node: string | undefined): void {
    const old = this.#nominated.get(pod.uid);
    if (old) {
      const on = this.#nominatedOn.get(old.node);
      on?.delete(pod.uid);
      if (on?.size === 0) this.#nominatedOn.delete(old.node);
      this.#nominated.delete(pod.uid);
    }
    if (node === undefined) return;
    this.#nominated.set(pod.uid, { node, pod });
    const on = this.#nominatedOn.get(node) ?? new Set();
    this.#nominatedOn.set(node, on.add(pod.uid));
  }

  nomination(uid: string): string | undefined {
    return this.#nominated.get(uid)?.node;
  }

  /** Room is kept for somebody somewhere. */
  get hasNominations(): boolean {
    return this.#nominated.size > 0;
  }

  nominatedOn(node: string): PodInfo[] {
    const uids = this.#nominatedOn.get(node);
    return uids ? [...uids].map((uid) => (this.#nominated.get(uid) as { pod: PodInfo }).pod) : [];
  }

  #countImages({ imageSizes }: NodeInfo, by: 1 | -1): void {
    for (const image of imageSizes.keys()) {
      const count = this.nodesWithImage(image) + by;
      if (count > 0) this.#images.set(image, count);
      else this.#images.delete(image);
    }
  }

  #place(pod: PodInfo, node: string, assumed: boolean): void {
    this.#places.set(pod.uid, { node, pod, assumed });
    const info = this.#nodes.get(node);
    if (info) info.add(pod);
    else this.#strays.set(node, (this.#strays.get(node) ?? new Map<string, PodInfo>()).set(pod.uid, pod));
    this.#counters.change(pod, node, info, 1);
  }

  #take(uid: string): void {
    const place = this.#places.get(uid);
    if (!place) return;
    this.#places.delete(uid);
    const info = this.#nodes.get(place.node);
    info?.remove(uid);
    const strays = this.#strays.get(place.node);
    strays?.delete(uid);
    if (strays?.size === 0) this.#strays.delete(place.node);
    this.#counters.change(place.pod, place.node, info, -1);
  }
}

/** Most updates of a running Pod are of its status, which changes nothing here; nor does our own binding. */
function sameForScheduling(a: Pod, b: Pod): boolean {
  const { generation } = a.metadata;
  const expected = generation === undefined ? undefined : generation + (a.spec?.nodeName ? 0 : 1);
  return (
    b.metadata.generation === expected &&
    (a.metadata.deletionTimestamp === undefined) === (b.metadata.deletionTimestamp === undefined) &&
    JSON.stringify(a.metadata.labels) === JSON.stringify(b.metadata.labels) &&
    allocationOf(a) === allocationOf(b) &&
    (expected !== undefined || JSON.stringify(a.spec) === JSON.stringify(b.spec))
  );
}
