/**
 * The cluster as scheduling sees it, kept up to date change by change. Since one Pod is decided without
 * giving up the thread, plug-ins read it as it stands and no snapshot is taken.
 */
import type { Namespace, Node, Pod } from "../../../common/kube/types.ts";
import { isTerminated } from "../controllers/kernel/pods.ts";
import { NodeInfo, PodInfo } from "./model.ts";

/** Counts, per node, the Pods that somebody is interested in; kept as Pods come and go. */
interface Counter {
  matches(pod: PodInfo): boolean;
  perNode: Map<string, number>;
  used: number;
}

/** Interests that nobody asked for in so many scheduled Pods are forgotten. */
const FORGET_AFTER = 2000;

export interface ClusterView {
  /** In a stable order. */
  readonly nodes: readonly NodeInfo[];
  node(name: string): NodeInfo | undefined;
  /** Nodes with Pods that have affinity terms of their own. */
  readonly nodesWithAffinity: ReadonlySet<NodeInfo>;
  namespaceLabels(namespace: string): Record<string, string> | undefined;
  /** Pods per node that match; `id` names the interest: same id, same matches. */
  count(id: string, matches: (pod: PodInfo) => boolean): ReadonlyMap<string, number>;
}

export class ClusterCache implements ClusterView {
  readonly #nodes = new Map<string, NodeInfo>();
  #list: NodeInfo[] | undefined;
  /** Where each Pod that counts is: uid → node name. Its node may not be known (yet). */
  readonly #places = new Map<string, { node: string; pod: PodInfo; assumed: boolean }>();
  readonly #namespaces = new Map<string, Record<string, string>>();
  readonly #counters = new Map<string, Counter>();
  readonly nodesWithAffinity = new Set<NodeInfo>();
  #clock = 0;

  get nodes(): readonly NodeInfo[] {
    this.#list ??= [...this.#nodes.values()];
    return this.#list;
  }

  node(name: string): NodeInfo | undefined {
    return this.#nodes.get(name);
  }

  namespaceLabels(namespace: string): Record<string, string> | undefined {
    return this.#namespaces.get(namespace);
  }

  setNamespace({ metadata }: Namespace): void {
    this.#namespaces.set(metadata.name ?? "", metadata.labels ?? {});
    // Interests may choose namespaces by label.
    this.#counters.clear();
  }

  setNode(node: Node): void {
    const name = node.metadata.name ?? "";
    const known = this.#nodes.get(name);
    if (known) return known.setNode(node);
    const info = new NodeInfo(node);
    this.#nodes.set(name, info);
    this.#list = undefined;
    for (const place of this.#places.values()) if (place.node === name) info.add(place.pod);
    this.#noteAffinity(info);
  }

  removeNode(name: string): void {
    const info = this.#nodes.get(name);
    if (info) this.nodesWithAffinity.delete(info);
    this.#nodes.delete(name);
    this.#list = undefined;
  }

  /** A Pod as the API shows it: bound ones count until they end. */
  setPod(pod: Pod): void {
    const uid = pod.metadata.uid ?? "";
    const place = this.#places.get(uid);
    const nodeName = pod.spec?.nodeName;
    if (isTerminated(pod)) return this.removePod(uid);
    // Bound by us a moment ago, and the API has not told yet.
    if (!nodeName) return undefined;
    if (place && !place.assumed && place.node === nodeName && sameForScheduling(place.pod.pod, pod)) return undefined;
    if (place) this.#take(uid);
    this.#place(new PodInfo(pod), nodeName, false);
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

  count(id: string, matches: (pod: PodInfo) => boolean): ReadonlyMap<string, number> {
    this.#clock += 1;
    let counter = this.#counters.get(id);
    if (!counter) {
      counter = { matches, perNode: new Map(), used: this.#clock };
      for (const { node, pod } of this.#places.values()) countIn(counter, pod, node, 1);
      this.#counters.set(id, counter);
      for (const [old, { used }] of this.#counters) if (this.#clock - used > FORGET_AFTER) this.#counters.delete(old);
    }
    counter.used = this.#clock;
    return counter.perNode;
  }

  #place(pod: PodInfo, node: string, assumed: boolean): void {
    this.#places.set(pod.uid, { node, pod, assumed });
    const info = this.#nodes.get(node);
    info?.add(pod);
    if (info) this.#noteAffinity(info);
    for (const counter of this.#counters.values()) countIn(counter, pod, node, 1);
  }

  #take(uid: string): void {
    const place = this.#places.get(uid);
    if (!place) return;
    this.#places.delete(uid);
    const info = this.#nodes.get(place.node);
    info?.remove(uid);
    if (info) this.#noteAffinity(info);
    for (const counter of this.#counters.values()) countIn(counter, place.pod, place.node, -1);
  }

  #noteAffinity(info: NodeInfo): void {
    if (info.withAffinity.size > 0) this.nodesWithAffinity.add(info);
    else this.nodesWithAffinity.delete(info);
  }
}

function countIn(counter: Counter, pod: PodInfo, node: string, by: number): void {
  if (!counter.matches(pod)) return;
  const count = (counter.perNode.get(node) ?? 0) + by;
  if (count > 0) counter.perNode.set(node, count);
  else counter.perNode.delete(node);
}

/** Most updates of a running Pod are of its status, which changes nothing here. */
function sameForScheduling(a: Pod, b: Pod): boolean {
  return (
    a.metadata.generation === b.metadata.generation &&
    a.spec?.nodeName === b.spec?.nodeName &&
    (a.metadata.deletionTimestamp === undefined) === (b.metadata.deletionTimestamp === undefined) &&
    JSON.stringify(a.metadata.labels) === JSON.stringify(b.metadata.labels) &&
    (a.metadata.generation !== undefined || JSON.stringify(a.spec) === JSON.stringify(b.spec))
  );
}
