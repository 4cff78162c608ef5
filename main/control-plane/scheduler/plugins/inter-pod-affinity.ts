/** Pods that must or should be near certain others, or far from them; and those others' own wishes. */
import type { ClusterView } from "../cache.ts";
import { HIGHEST_SCORE, refuse, refuseForGood } from "../framework.ts";
import type { Plugin } from "../framework.ts";
import { PodInfo, matchesTerm } from "../model.ts";
import type { AffinityTerm, NodeInfo } from "../model.ts";

/** What a preferred term of a running Pod's required affinity counts for an incoming one. */
const HARD_AFFINITY_WEIGHT = 1;

const domainOf = (topologyKey: string, value: string): string => `${topologyKey}=${value}`;

/** Matching Pods per topology domain of the term. */
function perDomain(term: AffinityTerm, cluster: ClusterView): Map<string, number> {
  const labelsOf = (namespace: string): Record<string, string> | undefined => cluster.namespaceLabels(namespace);
  const counts = cluster.count(`affinity ${term.id}`, (other) => matchesTerm(term, other, labelsOf));
  const domains = new Map<string, number>();
  for (const [name, count] of counts) {
    const value = cluster.node(name)?.labels[term.topologyKey];
    if (value !== undefined) domains.set(value, (domains.get(value) ?? 0) + count);
  }
  return domains;
}

/** Domains that running Pods keep this one out of, by their own anti-affinity. */
function forbidden(pod: PodInfo, cluster: ClusterView): Set<string> {
  const labelsOf = (namespace: string): Record<string, string> | undefined => cluster.namespaceLabels(namespace);
  const domains = new Set<string>();
  const judged = new Map<string, boolean>();
  for (const node of cluster.nodesWithAffinity) {
    for (const other of node.withAffinity.values()) {
      for (const term of other.antiAffinity) {
        let matches = judged.get(term.id);
        if (matches === undefined) judged.set(term.id, (matches = matchesTerm(term, pod, labelsOf)));
        const value = node.labels[term.topologyKey];
        if (matches && value !== undefined) domains.add(domainOf(term.topologyKey, value));
      }
    }
  }
  return domains;
}

/** Points per domain for what this Pod and the running ones prefer. */
function preferences(pod: PodInfo, cluster: ClusterView): Map<string, number> {
  const labelsOf = (namespace: string): Record<string, string> | undefined => cluster.namespaceLabels(namespace);
  const points = new Map<string, number>();
  const give = (topologyKey: string, value: string | undefined, more: number): void => {
    if (value === undefined || more === 0) return;
    const domain = domainOf(topologyKey, value);
    points.set(domain, (points.get(domain) ?? 0) + more);
  };
  for (const [terms, sign] of [
    [pod.preferredAffinity, 1],
    [pod.preferredAntiAffinity, -1],
  ] as const) {
    for (const term of terms)
      for (const [value, count] of perDomain(term, cluster)) give(term.topologyKey, value, sign * term.weight * count);
  }
  const judged = new Map<string, boolean>();
  for (const node of cluster.nodesWithAffinity) {
    for (const other of node.withAffinity.values()) {
      const wishes: [readonly AffinityTerm[], (term: AffinityTerm) => number][] = [
        [other.affinity, () => HARD_AFFINITY_WEIGHT],
        [other.preferredAffinity, ({ weight }) => weight],
        [other.preferredAntiAffinity, ({ weight }) => -weight],
      ];
      for (const [terms, weight] of wishes) {
        for (const term of terms) {
          let matches = judged.get(term.id);
          if (matches === undefined) judged.set(term.id, (matches = matchesTerm(term, pod, labelsOf)));
          if (matches) give(term.topologyKey, node.labels[term.topologyKey], weight(term));
        }
      }
    }
  }
  return points;
}

export const interPodAffinity: Plugin = {
  name: "InterPodAffinity",
  weight: 2,
  prepare(pod, cluster) {
    if (!pod.hasAffinity && cluster.nodesWithAffinity.size === 0) return undefined;
    const labelsOf = (namespace: string): Record<string, string> | undefined => cluster.namespaceLabels(namespace);
    const near = pod.affinity.map((term) => ({ term, domains: perDomain(term, cluster) }));
    const far = pod.antiAffinity.map((term) => ({ term, domains: perDomain(term, cluster) }));
    const kept = forbidden(pod, cluster);
    // The first of a group that wants to be together: nobody is there yet, and it matches its own terms.
    const first =
      near.length > 0 && near.every(({ term, domains }) => domains.size === 0 && matchesTerm(term, pod, labelsOf));
    const filter = (node: NodeInfo) => {
      for (const { term, domains } of near) {
        const value = node.labels[term.topologyKey];
        if (value === undefined || (!first && !domains.has(value)))
          return refuseForGood("node(s) didn't match pod affinity rules");
      }
      for (const { term, domains } of far) {
        const value = node.labels[term.topologyKey];
        if (value !== undefined && domains.has(value)) return refuse("node(s) didn't match pod anti-affinity rules");
      }
      for (const domain of kept) {
        const at = domain.indexOf("=");
        if (node.labels[domain.slice(0, at)] === domain.slice(at + 1))
          return refuse("node(s) didn't satisfy existing pods anti-affinity rules");
      }
      return undefined;
    };
    const points = preferences(pod, cluster);
    const keys = new Set([...points.keys()].map((domain) => domain.slice(0, domain.indexOf("="))));
    return {
      ...(near.length + far.length + kept.size > 0 ? { filter } : {}),
      ...(points.size === 0
        ? {}
        : {
            score: (node: NodeInfo) =>
              [...keys].reduce((sum, key) => sum + (points.get(domainOf(key, node.labels[key] ?? "")) ?? 0), 0),
            normalize: (scores: number[]) => {
              const least = Math.min(...scores);
              const most = Math.max(...scores);
              for (let at = 0; at < scores.length; at += 1) {
                scores[at] =
                  most === least ? 0 : Math.floor((HIGHEST_SCORE * ((scores[at] as number) - least)) / (most - least));
              }
            },
          }),
    };
  },
  mayHelp: (event, pod) => {
    if (event.type === "node added" || event.type === "node updated") return true;
    if (event.type === "pod placed") return pod.affinity.length > 0;
    if (event.type !== "pod gone") return false;
    return pod.antiAffinity.length > 0 || new PodInfo(event.pod).antiAffinity.length > 0;
  },
};
