/** Spreads Pods over zones, hosts or other domains: strictly (DoNotSchedule) or by score (ScheduleAnyway). */
import { selectorFromObject } from "../../../../common/kube/selector.ts";
import type { LabelSelectorObject, Selector } from "../../../../common/kube/selector.ts";
import type { Pod } from "../../../../common/kube/types.ts";
import type { ClusterView } from "../cache.ts";
import { HIGHEST_SCORE, labelsAfter, refuse, refuseForGood } from "../framework.ts";
import type { Plugin } from "../framework.ts";
import type { NodeInfo, PodInfo } from "../model.ts";
import { requiredMatcher } from "./node-affinity.ts";
import { untolerated } from "./taint-toleration.ts";

export interface RawConstraint {
  maxSkew: number;
  topologyKey: string;
  whenUnsatisfiable: string;
  labelSelector?: LabelSelectorObject;
  minDomains?: number;
  nodeAffinityPolicy?: string;
  nodeTaintsPolicy?: string;
  matchLabelKeys?: string[];
}

export interface PodTopologySpreadArgs {
  /** System: siblings over zones and hosts, by score; List: `defaultConstraints`. */
  defaultingType?: "System" | "List";
  /** For Pods without constraints of their own; they have no labelSelector: siblings count. */
  defaultConstraints?: RawConstraint[];
}

interface Constraint {
  topologyKey: string;
  maxSkew: number;
  minDomains: number;
  strict: boolean;
  /** Pods on each node that count. */
  perNode(): ReadonlyMap<string, number>;
  /** The same per domain, over all nodes; undefined: only perNode says it. */
  perDomain: (() => ReadonlyMap<string, number>) | undefined;
  selfMatches: boolean;
  /** undefined: every node is included. */
  includes: ((node: NodeInfo) => boolean) | undefined;
}

/** What Kubernetes spreads by when a Pod says nothing: its siblings, over zones and hosts, by score. */
const SYSTEM: RawConstraint[] = [
  { topologyKey: "topology.kubernetes.io/zone", maxSkew: 3, whenUnsatisfiable: "ScheduleAnyway" },
  { topologyKey: "kubernetes.io/hostname", maxSkew: 5, whenUnsatisfiable: "ScheduleAnyway" },
];

const MISMATCH = "node(s) didn't match pod topology spread constraints";
const NONE: ReadonlyMap<string, number> = new Map();

function ownConstraints(pod: PodInfo, cluster: ClusterView, raw: readonly RawConstraint[]): Constraint[] {
  const required = requiredMatcher(pod.pod);
  return raw.map((constraint) => {
    const extra = (constraint.matchLabelKeys ?? [])
      .filter((key) => key in pod.labels)
      .map((key) => ({ key, operator: "In", values: [pod.labels[key] as string] }));
    const selector: Selector = selectorFromObject(
      constraint.labelSelector && {
        ...constraint.labelSelector,
        matchExpressions: [...(constraint.labelSelector.matchExpressions ?? []), ...extra],
      },
    );
    const id = `spread ${pod.namespace} ${JSON.stringify([constraint.labelSelector, extra])}`;
    const matches = (other: PodInfo): boolean =>
      other.namespace === pod.namespace &&
      other.pod.metadata.deletionTimestamp === undefined &&
      selector.matches(other.labels);
    const affinity = constraint.nodeAffinityPolicy === "Ignore" ? undefined : required;
    const taints = constraint.nodeTaintsPolicy === "Honor";
    return {
      topologyKey: constraint.topologyKey,
      maxSkew: constraint.maxSkew,
      minDomains: constraint.minDomains ?? 1,
      strict: constraint.whenUnsatisfiable !== "ScheduleAnyway",
      perNode: () => cluster.count(id, matches),
      perDomain: () => cluster.countBy(id, constraint.topologyKey, matches),
      selfMatches: selector.matches(pod.labels),
      includes:
        affinity || taints
          ? (node) =>
              (!affinity || affinity(node)) &&
              (!taints ||
                untolerated(pod.pod.spec?.tolerations, node.taints, ["NoSchedule", "NoExecute"]) === undefined)
          : undefined,
    };
  });
}

function defaultConstraints(pod: PodInfo, cluster: ClusterView, raw: readonly RawConstraint[]): Constraint[] {
  const { owner } = pod;
  if (owner === undefined) return [];
  const required = requiredMatcher(pod.pod);
  const siblings = cluster.siblings(owner);
  // The first of them may go anywhere.
  if (!siblings && raw.every(({ whenUnsatisfiable }) => whenUnsatisfiable === "ScheduleAnyway")) return [];
  return raw.map(({ topologyKey, maxSkew, minDomains = 1, whenUnsatisfiable }) => ({
    topologyKey,
    maxSkew,
    minDomains,
    strict: whenUnsatisfiable !== "ScheduleAnyway",
    perNode: () => siblings ?? NONE,
    perDomain: () => {
      const domains = new Map<string, number>();
      for (const [name, count] of siblings ?? NONE) {
        const value = cluster.node(name)?.labels[topologyKey];
        if (value !== undefined) domains.set(value, (domains.get(value) ?? 0) + count);
      }
      return domains;
    },
    selfMatches: true,
    includes: required,
  }));
}

interface Spread {
  /** Pods in a domain that counts; undefined where it does not count. */
  in(domain: string): number | undefined;
  size: number;
  fewest(): number;
}

/** Pods per domain, over the nodes that count: those with every key of the constraints. */
function spreadOf(constraint: Constraint, all: readonly Constraint[], cluster: ClusterView): Spread {
  const { topologyKey, includes, perDomain } = constraint;
  const known = cluster.domainsOf(all.map((one) => one.topologyKey));
  if (perDomain && !includes && known.uniform) {
    const counts = perDomain();
    const values = known.values.get(topologyKey) ?? new Set<string>();
    return {
      in: (domain) => (values.has(domain) ? (counts.get(domain) ?? 0) : undefined),
      size: values.size,
      fewest: () => {
        // A domain without a Pod is the emptiest there can be.
        if (counts.size < values.size) return 0;
        let fewest = Infinity;
        for (const value of values) fewest = Math.min(fewest, counts.get(value) ?? 0);
        return fewest;
      },
    };
  }
  const perNode = constraint.perNode();
  const domains = new Map<string, number>();
  for (const node of cluster.nodes) {
    const domain = node.labels[topologyKey];
    if (domain === undefined || all.some((one) => node.labels[one.topologyKey] === undefined)) continue;
    if (includes && !includes(node)) continue;
    domains.set(domain, (domains.get(domain) ?? 0) + (perNode.get(node.name) ?? 0));
  }
  return {
    in: (domain) => domains.get(domain),
    size: domains.size,
    fewest: () => [...domains.values()].reduce((least, count) => Math.min(least, count), Infinity),
  };
}

export function podTopologySpreadWith(args: PodTopologySpreadArgs): Plugin {
  const byDefault = args.defaultingType === "List" ? (args.defaultConstraints ?? []) : SYSTEM;
  const isSystem = byDefault === SYSTEM;
  return {
    name: "PodTopologySpread",
    weight: 2,
    prepare(pod, cluster) {
      const raw = (pod.pod.spec?.topologySpreadConstraints ?? []) as RawConstraint[];
      const own = raw.length > 0;
      const constraints = own ? ownConstraints(pod, cluster, raw) : defaultConstraints(pod, cluster, byDefault);
      if (constraints.length === 0) return undefined;
      const strict = constraints.filter((one) => one.strict);
      const soft = constraints.filter((one) => !one.strict);
      const rules = strict.map((constraint) => {
        const spread = spreadOf(constraint, strict, cluster);
        // With fewer domains than asked for, an empty one is imagined.
        const fewest = spread.size < constraint.minDomains ? 0 : spread.fewest();
        return { constraint, spread, fewest: Number.isFinite(fewest) ? fewest : 0 };
      });
      const filter = (node: NodeInfo) => {
        for (const { constraint, spread, fewest } of rules) {
          const domain = node.labels[constraint.topologyKey];
          if (domain === undefined) return refuseForGood(`${MISMATCH} (missing required label)`);
          const skew = (spread.in(domain) ?? 0) + (constraint.selfMatches ? 1 : 0) - fewest;
          if (skew > constraint.maxSkew) return refuse(MISMATCH);
        }
        return undefined;
      };
      return {
        ...(rules.length > 0 ? { filter } : {}),
        // The system's own constraints do not ask that a node has every label.
        ...(soft.length > 0 ? scoring(soft, cluster, own || !isSystem) : {}),
      };
    },
    mayHelp: (event, pod) => {
      const raw = (pod.pod.spec?.topologySpreadConstraints ?? []) as RawConstraint[];
      const placed = (labels: Record<string, string> | undefined): boolean =>
        raw.every(({ topologyKey }) => labels?.[topologyKey] !== undefined);
      // The emptiest domain may be gone with its last node.
      if (event.type === "node gone") return placed(event.node.metadata.labels);
      if (event.type === "node added" || event.type === "node updated") {
        // Taints, too, may count (nodeTaintsPolicy).
        if (event.type === "node updated" && raw.some(({ nodeTaintsPolicy }) => nodeTaintsPolicy === "Honor"))
          return true;
        const changed = labelsAfter(event);
        return changed !== undefined && (placed(changed.labels) || placed(changed.old));
      }
      if (event.type !== "pod gone" && event.type !== "pod placed") return false;
      if (event.pod.metadata.namespace !== pod.namespace) return false;
      const counts = (other: Pod | undefined): boolean =>
        other !== undefined &&
        raw.some(({ labelSelector }) => selectorFromObject(labelSelector).matches(other.metadata.labels ?? {}));
      return raw.length === 0 || counts(event.pod) || ("old" in event && counts(event.old));
    },
  };
}

function scoring(soft: readonly Constraint[], cluster: ClusterView, requireAll: boolean) {
  const scored = soft.map((constraint) => {
    const spread = spreadOf(constraint, requireAll ? soft : [constraint], cluster);
    return { constraint, spread, weight: Math.log(spread.size + 2) };
  });
  const lacks = (node: NodeInfo): boolean =>
    requireAll && soft.some(({ topologyKey }) => node.labels[topologyKey] === undefined);
  return {
    score: (node: NodeInfo): number => {
      let sum = 0;
      for (const { constraint, spread, weight } of scored) {
        const domain = node.labels[constraint.topologyKey];
        if (domain !== undefined) sum += (spread.in(domain) ?? 0) * weight + (constraint.maxSkew - 1);
      }
      return Math.round(sum);
    },
    normalize: (scores: number[], nodes: readonly NodeInfo[]): void => {
      let least = Infinity;
      let most = 0;
      for (const [at, score] of scores.entries()) {
        if (lacks(nodes[at] as NodeInfo)) continue;
        least = Math.min(least, score);
        most = Math.max(most, score);
      }
      for (let at = 0; at < scores.length; at += 1) {
        if (lacks(nodes[at] as NodeInfo)) scores[at] = 0;
        else
          scores[at] =
            most === 0 ? HIGHEST_SCORE : Math.floor((HIGHEST_SCORE * (most + least - (scores[at] as number))) / most);
      }
    },
  };
}

export const podTopologySpread = podTopologySpreadWith({});
