/**
 * Makes room for a Pod of higher priority: finds the node where evicting lower ones hurts least. Choice as in
 * Kubernetes' DefaultPreemption: fewest broken disruption budgets, then lowest priorities, then fewest Pods.
 */
import type { ClusterCache } from "./cache.ts";
import { filterNode, prepareAll } from "./cycle.ts";
import type { Refused } from "./cycle.ts";
import type { Plugin } from "./framework.ts";
import type { NodeInfo, PodInfo } from "./model.ts";

export interface Preemption {
  node: string;
  victims: PodInfo[];
  /** Victims whose PodDisruptionBudget has nothing left to give. */
  violations: number;
}

/** Nodes that are tried in earnest; more are not worth the time. */
const MOST_CANDIDATES = 100;

export interface PreemptionInput {
  pod: PodInfo;
  cluster: ClusterCache;
  plugins: readonly Plugin[];
  why: ReadonlyMap<string, Refused>;
  /** Whether evicting it would break a PodDisruptionBudget, after those before it. */
  violates(victims: readonly PodInfo[]): number;
}

/** The place to make, or why there is none, in the words of the event. */
export function decidePreemption(input: PreemptionInput): { preemption: Preemption } | { message: string } {
  const { pod, cluster, why } = input;
  const total = cluster.nodes.length;
  if (pod.pod.spec?.preemptionPolicy === "Never") {
    return { message: `preemption: not eligible due to preemptionPolicy=Never.` };
  }
  let helpless = 0;
  let fruitless = 0;
  const found: Preemption[] = [];
  for (const node of cluster.nodes) {
    const refused = why.get(node.name);
    if (refused?.refusal.unresolvable) {
      helpless += 1;
      continue;
    }
    const preemption = found.length < MOST_CANDIDATES ? tryNode(input, node) : undefined;
    if (preemption) found.push(preemption);
    else fruitless += 1;
  }
  const best = found.toSorted(better)[0];
  if (best) return { preemption: best };
  const reasons = [
    ...(helpless > 0 ? [`${helpless} Preemption is not helpful for scheduling`] : []),
    ...(fruitless > 0 ? [`${fruitless} No preemption victims found for incoming pod`] : []),
  ].toSorted();
  return { message: `preemption: 0/${total} nodes are available: ${reasons.join(", ")}.` };
}

/** Takes all lower Pods away, then gives back as many as can stay, the most important first. */
function tryNode({ pod, cluster, plugins, violates }: PreemptionInput, node: NodeInfo): Preemption | undefined {
  const lower = [...node.pods.values()].filter(({ priority }) => priority < pod.priority);
  if (lower.length === 0) return undefined;
  const lifted = new Map(lower.map((victim) => [victim, cluster.lift(victim.uid)]));
  const fits = (): boolean => filterNode(prepareAll(plugins, pod, cluster), node) === undefined;
  try {
    if (!fits()) return undefined;
    const order = lower.toSorted((a, b) => b.priority - a.priority || age(a) - age(b));
    for (const candidate of order) {
      lifted.get(candidate)?.();
      if (fits()) lifted.delete(candidate);
      else lifted.set(candidate, cluster.lift(candidate.uid));
    }
    const victims = [...lifted.keys()];
    return { node: node.name, victims, violations: violates(victims) };
  } finally {
    for (const restore of lifted.values()) restore();
  }
}

const age = ({ pod }: PodInfo): number =>
  Date.parse(pod.status?.startTime ?? pod.metadata.creationTimestamp ?? "") || 0;

function better(a: Preemption, b: Preemption): number {
  const highest = ({ victims }: Preemption): number => Math.max(...victims.map(({ priority }) => priority));
  const sum = ({ victims }: Preemption): number =>
    victims.reduce((total, { priority }) => total + priority + 2 ** 31, 0);
  return (
    a.violations - b.violations || highest(a) - highest(b) || sum(a) - sum(b) || a.victims.length - b.victims.length
  );
}
