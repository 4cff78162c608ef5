/**
 * Makes room for a Pod of higher priority: finds the node where evicting lower ones hurts least. Choice as in
 * Kubernetes' DefaultPreemption: fewest broken disruption budgets, then lowest priorities, then fewest Pods,
 * then those that run for the shortest time.
 */
import { conditionOf } from "../controllers/kernel/pods.ts";
import type { ClusterCache } from "./cache.ts";
import { filterKeepingRoom } from "./cycle.ts";
import { prepareAll } from "./ready.ts";
import type { NoNode } from "./cycle.ts";
import type { Plugin } from "./framework.ts";
import type { NodeInfo, PodInfo } from "./model.ts";

export interface Preemption {
  node: string;
  victims: PodInfo[];
  /** Victims whose PodDisruptionBudget has nothing left to give. */
  violations: number;
}

/** A PodDisruptionBudget, as far as preemption asks. */
export interface Budget {
  namespace: string;
  matches(labels: Record<string, string>): boolean;
  /** Disruptions it still allows. */
  allowed: number;
  /** Names of Pods whose eviction it has counted already. */
  disrupted: ReadonlySet<string>;
}

/** Nodes that are tried in earnest: a tenth of the cluster, and so many at least. */
const LEAST_CANDIDATES = 100;
const CANDIDATES_PERCENT = 10;

export interface PreemptionInput {
  pod: PodInfo;
  cluster: ClusterCache;
  plugins: readonly Plugin[];
  verdict: NoNode;
  budgets: readonly Budget[];
}

/** The place to make, or why there is none, in the words of the event. */
export function decidePreemption(input: PreemptionInput): { preemption: Preemption } | { message: string } {
  const { pod, cluster, verdict } = input;
  const total = cluster.nodes.length;
  if (pod.pod.spec?.preemptionPolicy === "Never")
    return { message: "preemption: not eligible due to preemptionPolicy=Never." };
  if (waitsForVictims(pod, cluster, verdict))
    return { message: "preemption: not eligible due to a terminating pod on the nominated node." };
  let helpless = 0;
  let fruitless = 0;
  const found: Preemption[] = [];
  const most = Math.max(LEAST_CANDIDATES, Math.floor((total * CANDIDATES_PERCENT) / 100));
  for (const node of cluster.nodes) {
    const refused = verdict.all ?? verdict.why.get(node.name);
    if (refused?.refusal.unresolvable) {
      helpless += 1;
      continue;
    }
    const preemption = found.length < most ? tryNode(input, node) : undefined;
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

/** Room is being made for it already: those that must go have not gone yet. */
function waitsForVictims(pod: PodInfo, cluster: ClusterCache, { why }: NoNode): boolean {
  const name = cluster.nomination(pod.uid);
  const node = cluster.node(name ?? "");
  if (!node || why.get(node.name)?.refusal.unresolvable) return false;
  for (const other of node.pods.values()) if (other.priority < pod.priority && isLeavingForAnother(other)) return true;
  return false;
}

/** Others that are going take their room with them, too, but nobody has reckoned with it for this Pod. */
function isLeavingForAnother({ pod }: PodInfo): boolean {
  const target = conditionOf(pod, "DisruptionTarget");
  return (
    pod.metadata.deletionTimestamp !== undefined &&
    target?.status === "True" &&
    target.reason === "PreemptionByScheduler"
  );
}

/** Takes all lower Pods away, then gives back as many as can stay: first those that budgets protect. */
function tryNode({ pod, cluster, plugins, budgets }: PreemptionInput, node: NodeInfo): Preemption | undefined {
  const lower = [...node.pods.values()].filter(({ priority }) => priority < pod.priority);
  if (lower.length === 0) return undefined;
  const order = lower.toSorted((a, b) => b.priority - a.priority || startOf(a) - startOf(b));
  const lifted = new Map(order.map((victim) => [victim, cluster.lift(victim.uid)]));
  // Room that others of no less priority wait for is not there to be taken.
  const fits = (): boolean =>
    filterKeepingRoom(plugins, prepareAll(plugins, pod, cluster), pod, cluster, node) === undefined;
  const isProtected = protectedBy(budgets, order);
  try {
    if (!fits()) return undefined;
    let violations = 0;
    for (const first of [true, false]) {
      for (const candidate of order) {
        if (isProtected.has(candidate) !== first) continue;
        lifted.get(candidate)?.();
        if (fits()) lifted.delete(candidate);
        else {
          lifted.set(candidate, cluster.lift(candidate.uid));
          if (first) violations += 1;
        }
      }
    }
    return { node: node.name, victims: [...lifted.keys()], violations };
  } finally {
    for (const restore of lifted.values()) restore();
  }
}

/** Pods whose eviction, after those before them, would break a budget. */
function protectedBy(budgets: readonly Budget[], pods: readonly PodInfo[]): Set<PodInfo> {
  const left = new Map(budgets.map((budget) => [budget, budget.allowed]));
  return new Set(
    pods.filter((pod) => {
      let broken = false;
      for (const budget of budgets) {
        if (budget.namespace !== pod.namespace || !budget.matches(pod.labels)) continue;
        if (budget.disrupted.has(pod.pod.metadata.name ?? "")) continue;
        const rest = (left.get(budget) ?? 0) - 1;
        left.set(budget, rest);
        if (rest < 0) broken = true;
      }
      return broken;
    }),
  );
}

const startOf = ({ pod }: PodInfo): number =>
  Date.parse(pod.status?.startTime ?? pod.metadata.creationTimestamp ?? "") || 0;

function better(a: Preemption, b: Preemption): number {
  const highest = ({ victims }: Preemption): number =>
    victims.reduce((most, { priority }) => Math.max(most, priority), -Infinity);
  const sum = ({ victims }: Preemption): number =>
    victims.reduce((total, { priority }) => total + priority + 2 ** 31, 0);
  const earliest = (one: Preemption): number => {
    const top = highest(one);
    return Math.min(...one.victims.filter(({ priority }) => priority === top).map(startOf));
  };
  return (
    a.violations - b.violations ||
    highest(a) - highest(b) ||
    sum(a) - sum(b) ||
    a.victims.length - b.victims.length ||
    earliest(b) - earliest(a)
  );
}
