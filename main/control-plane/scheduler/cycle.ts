/**
 * Finds the node for one Pod: filters, scores, chooses. All in one turn, so that nothing changes meanwhile.
 * On a large cluster only so many fitting nodes are looked for as Kubernetes would, beginning where the
 * search before ended.
 */
import { NodeAnswers, tellApart } from "./answers.ts";
import type { ClusterCache } from "./cache.ts";
import type { Plugin } from "./framework.ts";
import type { NodeInfo, PodInfo } from "./model.ts";
import type { Profile } from "./profiles.ts";
import { filterNode, prepareAll, scoreNodes } from "./ready.ts";
import type { Ready, Refused, Scores } from "./ready.ts";

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

/** As filterNode, with room for those Pods of no less priority that wait to be bound to the node. */
export function filterKeepingRoom(
  plugins: readonly Plugin[],
  ready: readonly Ready[],
  pod: PodInfo,
  cluster: ClusterCache,
  node: NodeInfo,
): Refused | undefined {
  return filterNode(ready, node) ?? refusedByRivals(plugins, pod, cluster, node);
}

function refusedByRivals(
  plugins: readonly Plugin[],
  pod: PodInfo,
  cluster: ClusterCache,
  node: NodeInfo,
): Refused | undefined {
  if (!cluster.hasNominations) return undefined;
  const rivals = cluster
    .nominatedOn(node.name)
    .filter(({ uid, priority }) => uid !== pod.uid && priority >= pod.priority);
  if (rivals.length === 0) return undefined;
  return cluster.withPods(rivals, node.name, () => filterNode(prepareAll(plugins, pod, cluster), node));
}

export class Cycle {
  readonly #random: () => number;
  readonly #answers = new NodeAnswers();
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
    const { nodes } = cluster;
    const only = ready.find(({ prepared }) => prepared.onlyNodes !== undefined);
    const names = only?.prepared.onlyNodes;
    if (only && names) {
      const named = [...names].map((name) => cluster.node(name)).filter((node) => node !== undefined);
      const fitting = named.filter((node) => {
        const refused = filterKeepingRoom(plugins, ready, pod, cluster, node);
        if (refused) why.set(node.name, refused);
        return !refused;
      });
      if (fitting.length > 0) return { node: this.#best(fitting, scoreNodes(ready, fitting)).name };
      const refusal = { reasons: [`node(s) didn't satisfy plugin(s) [${only.plugin.name}]`], unresolvable: true };
      for (const { name } of nodes) if (!names.has(name)) why.set(name, { plugin: only.plugin.name, refusal });
      return { why };
    }
    const asked = tellApart(ready);
    const answers = this.#answers.of(profile, pod, nodes);
    const places = this.#filter(nodes, profile, (node, at) => {
      const refused =
        answers.refusal(at, asked) ?? filterNode(asked.filters, node) ?? refusedByRivals(plugins, pod, cluster, node);
      if (refused) why.set(node.name, refused);
      return !refused;
    });
    if (places.length === 0) return { why };
    const fitting = places.map((at) => nodes[at] as NodeInfo);
    const kept = asked.keptScores.map(({ plugin, prepared }, which) => {
      const scores = answers.scores(which, places);
      prepared.normalize?.(scores, fitting);
      return { plugin, scores };
    });
    return { node: this.#best(fitting, [...kept, ...scoreNodes(asked.scores, fitting)]).name };
  }

  /** The places of nodes that fit: as many as are enough. */
  #filter(
    nodes: readonly NodeInfo[],
    { percentageOfNodesToScore }: Profile,
    fits: (node: NodeInfo, at: number) => boolean,
  ): number[] {
    const wanted = enough(nodes.length, percentageOfNodesToScore);
    const fitting: number[] = [];
    let looked = 0;
    for (; looked < nodes.length && fitting.length < wanted; looked += 1) {
      const at = (this.#start + looked) % nodes.length;
      if (fits(nodes[at] as NodeInfo, at)) fitting.push(at);
    }
    this.#start = nodes.length === 0 ? 0 : (this.#start + looked) % nodes.length;
    return fitting;
  }

  #best(nodes: readonly NodeInfo[], given: readonly Scores[]): NodeInfo {
    const totals = nodes.map(() => 0);
    for (const { plugin, scores } of given) {
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
