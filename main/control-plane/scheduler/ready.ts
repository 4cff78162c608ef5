/** Plug-ins made ready for one Pod, and what they say of nodes. */
import type { ClusterView } from "./cache.ts";
import type { Plugin, Prepared, Refusal } from "./framework.ts";
import type { NodeInfo, PodInfo } from "./model.ts";

export interface Refused {
  plugin: string;
  refusal: Refusal;
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

/** What each node gets from a plug-in, 0…100, before its weight. */
export interface Scores {
  plugin: Plugin;
  scores: number[];
}

/** What each node gets from each plug-in. */
export function scoreNodes(ready: readonly Ready[], nodes: readonly NodeInfo[]): Scores[] {
  const all: Scores[] = [];
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
