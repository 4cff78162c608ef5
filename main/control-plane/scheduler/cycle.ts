/**
 * Finds the node for one Pod: filters, scores, chooses. All in one turn, so that nothing changes meanwhile.
 * On a large cluster only so many fitting nodes are looked for as Kubernetes would, beginning where the
 * search before ended.
 */
import type { ClusterCache, ClusterView } from "./cache.ts";
import type { Plugin, Prepared, Refusal } from "./framework.ts";
import type { NodeInfo, PodInfo } from "./model.ts";
import type { Profile } from "./profiles.ts";

export interface Refused {
  plugin: string;
  refusal: Refusal;
}

/** No node will do. `why` has every node that was looked at; `all` stands for the whole cluster. */
export interface NoNode {
  why: Map<string, Refused>;
  all?: Refused;
}

export type Verdict = { node: string } | NoNode;

const LEAST_NODES = 100;
const LEAST_PERCENT = 5;

/** How many fitting nodes are enough to choose from; `percentage` 0 or absent: adapted to the cluster's size. */
export function enough(nodes: number, percentage = 0): number {
  if (nodes < LEAST_NODES) return nodes;
  const percent = percentage > 0 ? percentage : Math.max(LEAST_PERCENT, 50 - Math.floor(nodes / 125));
  return Math.min(nodes, Math.max(LEAST_NODES, Math.floor((nodes * percent) / 100)));
}

export interface Ready {
  plugin: Plugin;
  prepared: Prepared;
}

export function prepareAll(plugins: readonly Plugin[], pod: PodInfo, cluster: ClusterView): Ready[] {
  const ready: Ready[] = [];
  for (const plugin of plugins) {
    const prepared = plugin.prepare(pod, cluster);
    if (prepared) ready.push({ plugin, prepared });
  }
  return ready;
}

/** The first plug-in that refuses the node. */
export function filterNode(ready: readonly Ready[], node: NodeInfo): Refused | undefined {
  for (let at = 0; at < ready.length; at += 1) {
    const { plugin, prepared } = ready[at] as Ready;
    const refusal = prepared.filter?.(node);
    if (refusal) return { plugin: plugin.name, refusal };
  }
  return undefined;
}

/** As filterNode, with room for those Pods of no less priority that wait to be bound to the node. */
export function filterKeepingRoom(
  plugins: readonly Plugin[],
  ready: readonly Ready[],
  pod: PodInfo,
  cluster: ClusterCache,
  node: NodeInfo,
): Refused | undefined {
  const refused = filterNode(ready, node);
  if (refused || !cluster.hasNominations) return refused;
  const rivals = cluster
    .nominatedOn(node.name)
    .filter(({ uid, priority }) => uid !== pod.uid && priority >= pod.priority);
  if (rivals.length === 0) return undefined;
  return cluster.withPods(rivals, node.name, () => filterNode(prepareAll(plugins, pod, cluster), node));
}

/** What each node gets from each plug-in, 0…100, before the weights. */
export function scoreNodes(
  ready: readonly Ready[],
  nodes: readonly NodeInfo[],
): { plugin: Plugin; scores: number[] }[] {
  const all: { plugin: Plugin; scores: number[] }[] = [];
  for (const { plugin, prepared } of ready) {
    const { score } = prepared;
    if (!score) continue;
    const scores: number[] = [];
    for (let at = 0; at < nodes.length; at += 1) scores.push(score(nodes[at] as NodeInfo));
    prepared.normalize?.(scores, nodes);
    all.push({ plugin, scores });
  }
  return all;
}

export class Cycle {
  readonly #random: () => number;
  #start = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  decide(pod: PodInfo, cluster: ClusterCache, profile: Profile): Verdict {
    const { plugins } = profile;
    const why = new Map<string, Refused>();
    const ready = prepareAll(plugins, pod, cluster);
    for (const { plugin, prepared } of ready) {
      if (prepared.impossible) return { why, all: { plugin: plugin.name, refusal: prepared.impossible } };
    }
    const nominated = cluster.node(cluster.nomination(pod.uid) ?? "");
    // Room was made for it there: nothing else is looked at when it is free.
    if (nominated && !filterKeepingRoom(plugins, ready, pod, cluster, nominated)) return { node: nominated.name };
    const fitting = this.#filter(ready, pod, cluster, profile, why);
    if (fitting.length === 0) return { why };
    return { node: fitting.length === 1 ? (fitting[0] as NodeInfo).name : this.#choose(ready, fitting).name };
  }

  #filter(
    ready: readonly Ready[],
    pod: PodInfo,
    cluster: ClusterCache,
    { plugins, percentageOfNodesToScore }: Profile,
    why: Map<string, Refused>,
  ): NodeInfo[] {
    const { nodes } = cluster;
    const filtering = ready.filter(({ prepared }) => prepared.filter !== undefined);
    const fits = (node: NodeInfo): boolean => {
      const refused = filterKeepingRoom(plugins, filtering, pod, cluster, node);
      if (refused) why.set(node.name, refused);
      return !refused;
    };
    const only = ready.find(({ prepared }) => prepared.onlyNodes !== undefined);
    const names = only?.prepared.onlyNodes;
    if (only && names) {
      const named = [...names].map((name) => cluster.node(name)).filter((node) => node !== undefined);
      const fitting = named.filter((node) => fits(node));
      if (fitting.length > 0) return fitting;
      const refusal = { reasons: [`node(s) didn't satisfy plugin(s) [${only.plugin.name}]`], unresolvable: true };
      for (const { name } of nodes) if (!names.has(name)) why.set(name, { plugin: only.plugin.name, refusal });
      return fitting;
    }
    const wanted = enough(nodes.length, percentageOfNodesToScore);
    const fitting: NodeInfo[] = [];
    let looked = 0;
    for (; looked < nodes.length && fitting.length < wanted; looked += 1) {
      const node = nodes[(this.#start + looked) % nodes.length] as NodeInfo;
      if (fits(node)) fitting.push(node);
    }
    this.#start = nodes.length === 0 ? 0 : (this.#start + looked) % nodes.length;
    return fitting;
  }

  #choose(ready: readonly Ready[], nodes: readonly NodeInfo[]): NodeInfo {
    const totals = nodes.map(() => 0);
    for (const { plugin, scores } of scoreNodes(ready, nodes)) {
      const { weight = 1 } = plugin;
      for (let at = 0; at < totals.length; at += 1)
        totals[at] = (totals[at] as number) + (scores[at] as number) * weight;
    }
    // Among equals each has the same chance.
    let best = 0;
    let equals = 1;
    for (let at = 1; at < totals.length; at += 1) {
      if ((totals[at] as number) > (totals[best] as number)) {
        best = at;
        equals = 1;
      } else if (totals[at] === totals[best]) {
        equals += 1;
        if (this.#random() * equals < 1) best = at;
      }
    }
    return nodes[best] as NodeInfo;
  }
}

/** "1 node(s) had untolerated taint(s), 2 Insufficient cpu": reasons with how many nodes gave them, sorted. */
function histogram(why: Iterable<Refused>): string {
  const counts = new Map<string, number>();
  for (const { refusal } of why)
    for (const reason of refusal.reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return [...counts]
    .map(([reason, count]) => `${count} ${reason}`)
    .toSorted()
    .join(", ");
}

/** The message of the FailedScheduling event and the PodScheduled condition, as Kubernetes words it. */
export function explain(verdict: NoNode, nodes: number, preemption?: string): string {
  if (nodes === 0) return "no nodes available to schedule pods";
  const head = `0/${nodes} nodes are available: `;
  if (verdict.all) return `${head}${verdict.all.refusal.reasons.join(", ")}.${preemption ? ` ${preemption}` : ""}`;
  return `${head}${histogram(verdict.why.values())}.${preemption ? ` ${preemption}` : ""}`;
}
