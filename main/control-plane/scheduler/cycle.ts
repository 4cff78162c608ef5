/**
 * Finds the node for one Pod: filters, scores, chooses. All in one turn, so that nothing changes meanwhile.
 * On a large cluster only so many fitting nodes are looked for as Kubernetes would, beginning where the
 * search before ended.
 */
import type { ClusterView } from "./cache.ts";
import type { Plugin, Prepared, Refusal } from "./framework.ts";
import type { NodeInfo, PodInfo } from "./model.ts";

export interface Refused {
  plugin: string;
  refusal: Refusal;
}

export type Verdict =
  | { node: string }
  /** No node will do. `why` has every node that was looked at; `all` stands for the whole cluster. */
  | { why: Map<string, Refused>; all?: Refused };

const LEAST_NODES = 100;
const LEAST_PERCENT = 5;

/** How many fitting nodes are enough to choose from. */
export function enough(nodes: number): number {
  if (nodes < LEAST_NODES) return nodes;
  const percent = Math.max(LEAST_PERCENT, 50 - Math.floor(nodes / 125));
  return Math.max(LEAST_NODES, Math.floor((nodes * percent) / 100));
}

interface Ready {
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
  for (const { plugin, prepared } of ready) {
    const refusal = prepared.filter?.(node);
    if (refusal) return { plugin: plugin.name, refusal };
  }
  return undefined;
}

export class Cycle {
  readonly #plugins: readonly Plugin[];
  readonly #random: () => number;
  #start = 0;

  constructor(plugins: readonly Plugin[], random: () => number) {
    this.#plugins = plugins;
    this.#random = random;
  }

  decide(pod: PodInfo, cluster: ClusterView): Verdict {
    const why = new Map<string, Refused>();
    const ready = prepareAll(this.#plugins, pod, cluster);
    for (const { plugin, prepared } of ready) {
      if (prepared.impossible) return { why, all: { plugin: plugin.name, refusal: prepared.impossible } };
    }
    const fitting = this.#filter(ready, cluster, why);
    if (fitting.length === 0) return { why };
    return { node: fitting.length === 1 ? (fitting[0] as NodeInfo).name : this.#choose(ready, fitting).name };
  }

  #filter(ready: readonly Ready[], cluster: ClusterView, why: Map<string, Refused>): NodeInfo[] {
    const { nodes } = cluster;
    const only = ready
      .map(({ prepared, plugin }) => ({ names: prepared.onlyNodes, plugin }))
      .find(({ names }) => names !== undefined);
    if (only?.names) {
      const named = [...only.names].map((name) => cluster.node(name)).filter((node) => node !== undefined);
      const refusal = { reasons: ["node(s) didn't satisfy plugin(s) [NodeAffinity]"], unresolvable: true };
      if (named.length < nodes.length)
        for (const { name } of nodes) if (!only.names.has(name)) why.set(name, { plugin: only.plugin.name, refusal });
      return named.filter((node) => fits(node));
    }
    const wanted = enough(nodes.length);
    const fitting: NodeInfo[] = [];
    let looked = 0;
    for (; looked < nodes.length && fitting.length < wanted; looked += 1) {
      const node = nodes[(this.#start + looked) % nodes.length] as NodeInfo;
      if (fits(node)) fitting.push(node);
    }
    this.#start = nodes.length === 0 ? 0 : (this.#start + looked) % nodes.length;
    return fitting;

    function fits(node: NodeInfo): boolean {
      const refused = filterNode(ready, node);
      if (refused) why.set(node.name, refused);
      return !refused;
    }
  }

  #choose(ready: readonly Ready[], nodes: readonly NodeInfo[]): NodeInfo {
    const totals = nodes.map(() => 0);
    for (const { plugin, prepared } of ready) {
      if (!prepared.score) continue;
      const scores = nodes.map((node) => prepared.score?.(node) ?? 0);
      prepared.normalize?.(scores, nodes);
      for (let at = 0; at < totals.length; at += 1)
        totals[at] = (totals[at] as number) + (scores[at] as number) * (plugin.weight ?? 1);
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

/** "1 node(s) had untolerated taint {a: b}, 2 Insufficient cpu": reasons with how many nodes gave them, sorted. */
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
export function explain(
  verdict: { why: Map<string, Refused>; all?: Refused },
  nodes: number,
  preemption?: string,
): string {
  if (nodes === 0) return "no nodes available to schedule pods";
  const head = `0/${nodes} nodes are available: `;
  if (verdict.all) return `${head}${verdict.all.refusal.reasons.join(", ")}.${preemption ? ` ${preemption}` : ""}`;
  return `${head}${histogram(verdict.why.values())}.${preemption ? ` ${preemption}` : ""}`;
}
