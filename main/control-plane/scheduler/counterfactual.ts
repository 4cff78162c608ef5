/**
 * What would make a Pod schedulable: changes of the Pod or of a node, each really tried against the plug-ins,
 * the smallest first. Nothing is said that was not seen to work.
 */
import type { NodeReport, Remedy } from "../../../common/kube/explain.ts";
import type { Node, Pod } from "../../../common/kube/types.ts";
import type { ClusterCache } from "./cache.ts";
import { filterNode, prepareAll } from "./ready.ts";
import type { Plugin } from "./framework.ts";
import { NodeInfo, PodInfo } from "./model.ts";
import { proposalsFor } from "./proposals.ts";
import type { Proposal } from "./proposals.ts";

const MOST_REMEDIES = 8;
const MOST_NAMED = 20;
/** Nodes whose remedies are looked for: those that fewest filters refuse. */
const MOST_NODES = 50;
const MOST_COMBINATIONS = 32;

interface Found {
  proposals: Proposal[];
  cost: number;
  nodes: string[];
}

export function remediesFor(
  pod: PodInfo,
  cluster: ClusterCache,
  plugins: readonly Plugin[],
  refused: readonly NodeReport[],
): Remedy[] {
  const found = new Map<string, Found>();
  const nearest = refused.toSorted((a, b) => a.refusals.length - b.refusals.length).slice(0, MOST_NODES);
  for (const report of nearest) {
    const node = cluster.node(report.name);
    if (!node) continue;
    const choices = report.refusals.map(({ plugin }) => proposalsFor(plugin, pod, node, cluster));
    const climbed = new Set<string>();
    for (const combination of combinations(choices)) {
      const proposals = combination.filter(({ implied }) => !implied);
      const climb = proposals.some(({ ladder }) => ladder) ? proposals.map(stepOrText).join("; ") : undefined;
      if (climb !== undefined && climbed.has(climb)) continue;
      if (!works(proposals, pod, node, cluster, plugins)) continue;
      if (climb !== undefined) climbed.add(climb);
      const id = proposals.map(({ change }) => `${change.target} ${change.text}`).join("; ");
      const known = found.get(id);
      if (known) known.nodes.push(node.name);
      else found.set(id, { proposals, cost: proposals.reduce((sum, { cost }) => sum + cost, 0), nodes: [node.name] });
    }
  }
  const more = anotherNode(pod, cluster, plugins);
  return [...found.values(), ...(more ? [more] : [])]
    .toSorted((a, b) => a.proposals.length - b.proposals.length || a.cost - b.cost || b.nodes.length - a.nodes.length)
    .slice(0, MOST_REMEDIES)
    .map(({ proposals, nodes }) => ({
      text: proposals.map(({ change }) => change.text).join(", and "),
      nodes: nodes.slice(0, MOST_NAMED),
      changes: proposals.map(({ change }) => change),
    }));
}

const stepOrText = ({ ladder, change }: Proposal): string => ladder ?? `${change.target} ${change.text}`;

/** One proposal for each refusal, the cheapest combinations first. Empty where one refusal has no remedy. */
function combinations(choices: readonly (readonly Proposal[])[]): Proposal[][] {
  let all: Proposal[][] = [[]];
  for (const choice of choices) {
    all = all.flatMap((before) => choice.map((proposal) => [...before, proposal]));
    if (all.length > MOST_COMBINATIONS) all = all.slice(0, MOST_COMBINATIONS);
  }
  return all;
}

function works(
  proposals: readonly Proposal[],
  { pod }: PodInfo,
  node: NodeInfo,
  cluster: ClusterCache,
  plugins: readonly Plugin[],
): boolean {
  if (proposals.length === 0) return false;
  let changedPod: Pod = structuredClone(pod);
  let changedNode: Node = structuredClone(node.node);
  for (const { onPod, onNode } of proposals) {
    if (onPod) changedPod = onPod(changedPod);
    if (onNode) changedNode = onNode(changedNode);
  }
  const lifted = proposals.flatMap(({ without = [] }) => without.map((uid) => cluster.lift(uid)));
  try {
    const info = new PodInfo(changedPod);
    const there = new NodeInfo(changedNode);
    for (const other of node.pods.values()) there.add(other);
    const ready = prepareAll(plugins, info, cluster);
    return (
      ready.every(({ prepared }) => !prepared.impossible && (prepared.onlyNodes?.has(node.name) ?? true)) &&
      filterNode(ready, there) === undefined
    );
  } finally {
    for (const restore of lifted) restore();
  }
}

/** One more node like one of those that are there, empty. */
function anotherNode(pod: PodInfo, cluster: ClusterCache, plugins: readonly Plugin[]): Found | undefined {
  const ready = prepareAll(plugins, pod, cluster);
  if (ready.some(({ prepared }) => prepared.impossible ?? prepared.onlyNodes)) return undefined;
  for (const { node, name } of cluster.nodes.slice(0, MOST_NODES)) {
    if (node.spec?.unschedulable) continue;
    const labels = { ...node.metadata.labels, "kubernetes.io/hostname": "another-node" };
    const twin = new NodeInfo({ ...node, metadata: { ...node.metadata, name: "another-node", labels } });
    if (filterNode(ready, twin)) continue;
    const text = `add a node like ${name}`;
    return { proposals: [{ change: { target: "Cluster", name: "", text }, cost: 50 }], cost: 50, nodes: [] };
  }
  return undefined;
}
