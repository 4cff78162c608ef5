/** Spreads Pods over zones, hosts or other domains: strictly (DoNotSchedule) or by score (ScheduleAnyway). */
import { selectorFromObject } from "../../../../common/kube/selector.ts";
import type { LabelSelectorObject, Selector } from "../../../../common/kube/selector.ts";
import type { ClusterView } from "../cache.ts";
import { HIGHEST_SCORE, refuse, refuseForGood } from "../framework.ts";
import type { Plugin } from "../framework.ts";
import type { NodeInfo, PodInfo } from "../model.ts";
import { requiredMatcher } from "./node-affinity.ts";
import { untolerated } from "./taint-toleration.ts";

interface RawConstraint {
  maxSkew: number;
  topologyKey: string;
  whenUnsatisfiable: string;
  labelSelector?: LabelSelectorObject;
  minDomains?: number;
  nodeAffinityPolicy?: string;
  nodeTaintsPolicy?: string;
  matchLabelKeys?: string[];
}

interface Constraint {
  topologyKey: string;
  maxSkew: number;
  minDomains: number;
  strict: boolean;
  /** Pods on each node that count. */
  counts: ReadonlyMap<string, number>;
  selfMatches: boolean;
  includes(node: NodeInfo): boolean;
}

/** What Kubernetes spreads by when a Pod says nothing: its siblings, over zones and hosts, by score. */
const DEFAULTS = [
  { topologyKey: "topology.kubernetes.io/zone", maxSkew: 3 },
  { topologyKey: "kubernetes.io/hostname", maxSkew: 5 },
];

const MISMATCH = "node(s) didn't match pod topology spread constraints";

function constraintsOf(pod: PodInfo, cluster: ClusterView): Constraint[] {
  const required = requiredMatcher(pod.pod);
  const raw = (pod.pod.spec?.topologySpreadConstraints ?? []) as RawConstraint[];
  if (raw.length > 0) {
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
      return {
        topologyKey: constraint.topologyKey,
        maxSkew: constraint.maxSkew,
        minDomains: constraint.minDomains ?? 1,
        strict: constraint.whenUnsatisfiable !== "ScheduleAnyway",
        counts: cluster.count(
          id,
          (other) =>
            other.namespace === pod.namespace &&
            other.pod.metadata.deletionTimestamp === undefined &&
            selector.matches(other.labels),
        ),
        selfMatches: selector.matches(pod.labels),
        includes: (node) =>
          (constraint.nodeAffinityPolicy === "Ignore" || !required || required(node)) &&
          (constraint.nodeTaintsPolicy !== "Honor" ||
            untolerated(pod.pod.spec?.tolerations, node.taints, ["NoSchedule", "NoExecute"]) === undefined),
      };
    });
  }
  const { owner } = pod;
  if (owner === undefined) return [];
  const counts = new Map<string, number>();
  for (const node of cluster.nodes) {
    const siblings = node.siblings.get(owner);
    if (siblings !== undefined) counts.set(node.name, siblings);
  }
  if (counts.size === 0) return [];
  return DEFAULTS.map(({ topologyKey, maxSkew }) => ({
    topologyKey,
    maxSkew,
    minDomains: 1,
    strict: false,
    counts,
    selfMatches: true,
    includes: (node) => !required || required(node),
  }));
}

/** Pods per domain, over the nodes that count: those with every key of the constraints. */
function perDomain(
  constraint: Constraint,
  all: readonly Constraint[],
  nodes: readonly NodeInfo[],
): Map<string, number> {
  const domains = new Map<string, number>();
  for (const node of nodes) {
    const domain = node.labels[constraint.topologyKey];
    if (
      domain === undefined ||
      all.some(({ topologyKey }) => node.labels[topologyKey] === undefined) ||
      !constraint.includes(node)
    )
      continue;
    domains.set(domain, (domains.get(domain) ?? 0) + (constraint.counts.get(node.name) ?? 0));
  }
  return domains;
}

export const podTopologySpread: Plugin = {
  name: "PodTopologySpread",
  weight: 2,
  prepare(pod, cluster) {
    const constraints = constraintsOf(pod, cluster);
    const strict = constraints.filter((one) => one.strict);
    const soft = constraints.filter((one) => !one.strict);
    if (constraints.length === 0) return undefined;
    const rules = strict.map((constraint) => {
      const domains = perDomain(constraint, strict, cluster.nodes);
      // With fewer domains than asked for, an empty one is imagined.
      const fewest = domains.size < constraint.minDomains ? 0 : Math.min(...domains.values());
      return { constraint, domains, fewest: Number.isFinite(fewest) ? fewest : 0 };
    });
    const filter = (node: NodeInfo) => {
      for (const { constraint, domains, fewest } of rules) {
        const domain = node.labels[constraint.topologyKey];
        if (domain === undefined) return refuseForGood(`${MISMATCH} (missing required label)`);
        if ((domains.get(domain) ?? 0) + (constraint.selfMatches ? 1 : 0) - fewest > constraint.maxSkew)
          return refuse(MISMATCH);
      }
      return undefined;
    };
    if (soft.length === 0) return { filter };
    // Default constraints do not ask that a node has every label.
    const isDefault = (pod.pod.spec?.topologySpreadConstraints ?? []).length === 0;
    const scored = soft.map((constraint) => {
      const domains = perDomain(constraint, isDefault ? [constraint] : soft, cluster.nodes);
      return { constraint, domains, weight: Math.log(domains.size + 2) };
    });
    const lacks = (node: NodeInfo): boolean =>
      !isDefault && soft.some(({ topologyKey }) => node.labels[topologyKey] === undefined);
    return {
      ...(rules.length > 0 ? { filter } : {}),
      score: (node) =>
        Math.round(
          scored.reduce((sum, { constraint, domains, weight }) => {
            const domain = node.labels[constraint.topologyKey];
            return domain === undefined ? sum : sum + (domains.get(domain) ?? 0) * weight + (constraint.maxSkew - 1);
          }, 0),
        ),
      normalize: (scores, nodes) => {
        const counted = scores.filter((_, at) => !lacks(nodes[at] as NodeInfo));
        const least = Math.min(...counted);
        const most = Math.max(...counted);
        for (let at = 0; at < scores.length; at += 1) {
          if (lacks(nodes[at] as NodeInfo)) scores[at] = 0;
          else
            scores[at] =
              most === 0 ? HIGHEST_SCORE : Math.floor((HIGHEST_SCORE * (most + least - (scores[at] as number))) / most);
        }
      },
    };
  },
  mayHelp: (event, pod) => {
    if (event.type === "node added" || event.type === "node updated") return true;
    if (event.type !== "pod gone" && event.type !== "pod placed") return false;
    return event.pod.metadata.namespace === pod.namespace;
  },
};
