/**
 * What plug-ins count over and over, kept as Pods come and go: how many Pods match an interest, per node and
 * per topology domain, and which affinity wishes the running Pods have. One Pod's cost does not grow with the
 * number of Pods or nodes, only with the number of different interests.
 */
import type { AffinityTerm, NodeInfo, PodInfo } from "./model.ts";

/** Interests that nobody asked for in so many questions are forgotten. */
const FORGET_AFTER = 2000;

interface Counter {
  matches(pod: PodInfo): boolean;
  perNode: Map<string, number>;
  /** By topology key: Pods per value of that label. */
  domains: Map<string, Map<string, number>>;
  used: number;
}

/** A term that Pods on nodes have, with how many of them are in each of its domains. */
export interface Wish {
  term: AffinityTerm;
  domains: Map<string, number>;
}

export type WishKind = "affinity" | "antiAffinity" | "preferredAffinity" | "preferredAntiAffinity";
const WISH_KINDS: readonly WishKind[] = ["affinity", "antiAffinity", "preferredAffinity", "preferredAntiAffinity"];

function add(map: Map<string, number>, key: string, by: number): void {
  const count = (map.get(key) ?? 0) + by;
  if (count > 0) map.set(key, count);
  else map.delete(key);
}

export class Counters {
  readonly #counters = new Map<string, Counter>();
  readonly #wishes: Record<WishKind, Map<string, Wish>> = {
    affinity: new Map(),
    antiAffinity: new Map(),
    preferredAffinity: new Map(),
    preferredAntiAffinity: new Map(),
  };
  /** Per controller's uid: its Pods per node. */
  readonly #siblings = new Map<string, Map<string, number>>();
  #clock = 0;

  /** `places` gives all Pods with their nodes, for an interest that is new. */
  count(
    id: string,
    matches: (pod: PodInfo) => boolean,
    places: () => Iterable<{ pod: PodInfo; node: string }>,
  ): ReadonlyMap<string, number> {
    return this.#of(id, matches, places).perNode;
  }

  countBy(
    id: string,
    topologyKey: string,
    matches: (pod: PodInfo) => boolean,
    places: () => Iterable<{ pod: PodInfo; node: string }>,
    labelsOf: (node: string) => Record<string, string> | undefined,
  ): ReadonlyMap<string, number> {
    const counter = this.#of(id, matches, places);
    let domains = counter.domains.get(topologyKey);
    if (!domains) {
      domains = new Map();
      for (const [node, count] of counter.perNode) {
        const value = labelsOf(node)?.[topologyKey];
        if (value !== undefined) add(domains, value, count);
      }
      counter.domains.set(topologyKey, domains);
    }
    return domains;
  }

  wishes(kind: WishKind): Iterable<Wish> {
    return this.#wishes[kind].values();
  }

  get hasWishes(): boolean {
    return WISH_KINDS.some((kind) => this.#wishes[kind].size > 0);
  }

  siblings(owner: string): ReadonlyMap<string, number> | undefined {
    return this.#siblings.get(owner);
  }

  /** Interests may choose namespaces by their labels. */
  forget(): void {
    this.#counters.clear();
  }

  /** A Pod came to a node or left it; the node may not be known (yet). */
  change(pod: PodInfo, node: string, info: NodeInfo | undefined, by: 1 | -1): void {
    for (const counter of this.#counters.values()) {
      if (!counter.matches(pod)) continue;
      add(counter.perNode, node, by);
      if (info) addToDomains(counter, info, by);
    }
    if (info) this.#changeWishes(pod, info, by);
    if (pod.owner === undefined) return;
    let siblings = this.#siblings.get(pod.owner);
    if (!siblings) this.#siblings.set(pod.owner, (siblings = new Map()));
    add(siblings, node, by);
    if (siblings.size === 0) this.#siblings.delete(pod.owner);
  }

  /** The node of these Pods, its labels as `info` has them, came (1) or is about to go (-1). */
  changeNode(pods: Iterable<PodInfo>, info: NodeInfo, by: 1 | -1): void {
    for (const pod of pods) {
      for (const counter of this.#counters.values()) if (counter.matches(pod)) addToDomains(counter, info, by);
      this.#changeWishes(pod, info, by);
    }
  }

  #changeWishes(pod: PodInfo, info: NodeInfo, by: 1 | -1): void {
    if (!pod.hasAffinity) return;
    for (const kind of WISH_KINDS) {
      for (const term of pod[kind]) {
        const value = info.labels[term.topologyKey];
        if (value === undefined) continue;
        const key = `${term.weight} ${term.topologyKey} ${term.id}`;
        let wish = this.#wishes[kind].get(key);
        if (!wish) this.#wishes[kind].set(key, (wish = { term, domains: new Map() }));
        add(wish.domains, value, by);
        if (wish.domains.size === 0) this.#wishes[kind].delete(key);
      }
    }
  }

  #of(id: string, matches: (pod: PodInfo) => boolean, places: () => Iterable<{ pod: PodInfo; node: string }>): Counter {
    this.#clock += 1;
    let counter = this.#counters.get(id);
    if (!counter) {
      counter = { matches, perNode: new Map(), domains: new Map(), used: this.#clock };
      for (const { node, pod } of places()) if (matches(pod)) add(counter.perNode, node, 1);
      this.#counters.set(id, counter);
      for (const [old, { used }] of this.#counters) if (this.#clock - used > FORGET_AFTER) this.#counters.delete(old);
    }
    counter.used = this.#clock;
    return counter;
  }
}

function addToDomains(counter: Counter, { labels }: NodeInfo, by: 1 | -1): void {
  for (const [topologyKey, domains] of counter.domains) {
    const value = labels[topologyKey];
    if (value !== undefined) add(domains, value, by);
  }
}
