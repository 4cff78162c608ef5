/** Pods that must or should be near certain others, or far from them; and those others' own wishes. */
import type { Pod } from "../../../../common/kube/types.ts";
import type { ClusterView } from "../cache.ts";
import type { WishKind } from "../counters.ts";
import { HIGHEST_SCORE, labelsAfter, refuse, refuseForGood } from "../framework.ts";
import type { Plugin } from "../framework.ts";
import { PodInfo, matchesTerm, mayMatchTerm } from "../model.ts";
import type { AffinityTerm, NodeInfo } from "../model.ts";

export interface InterPodAffinityArgs {
  /** What a required affinity term of a running Pod counts for an incoming one that it matches. Default 1. */
  hardPodAffinityWeight?: number;
  ignorePreferredTermsOfExistingPods?: boolean;
}

type LabelsOf = (namespace: string) => Record<string, string> | undefined;

/** Matching Pods per topology domain of the term. */
function perDomain(term: AffinityTerm, cluster: ClusterView, labelsOf: LabelsOf): ReadonlyMap<string, number> {
  return cluster.countBy(`affinity ${term.id}`, term.topologyKey, (other) => matchesTerm(term, other, labelsOf));
}

/** Points per domain, by topology key, for what this Pod and the running ones prefer. */
function preferences(
  pod: PodInfo,
  cluster: ClusterView,
  labelsOf: LabelsOf,
  { hardPodAffinityWeight = 1, ignorePreferredTermsOfExistingPods = false }: InterPodAffinityArgs,
): Map<string, Map<string, number>> {
  const points = new Map<string, Map<string, number>>();
  const give = (topologyKey: string, domains: ReadonlyMap<string, number>, weight: number): void => {
    if (domains.size === 0 || weight === 0) return;
    let mine = points.get(topologyKey);
    if (!mine) points.set(topologyKey, (mine = new Map()));
    for (const [value, count] of domains) mine.set(value, (mine.get(value) ?? 0) + weight * count);
  };
  for (const term of pod.preferredAffinity) give(term.topologyKey, perDomain(term, cluster, labelsOf), term.weight);
  for (const term of pod.preferredAntiAffinity)
    give(term.topologyKey, perDomain(term, cluster, labelsOf), -term.weight);
  if (ignorePreferredTermsOfExistingPods && !pod.hasAffinity) return points;
  const wishes: [WishKind, (term: AffinityTerm) => number][] = [
    ["affinity", () => hardPodAffinityWeight],
    ["preferredAffinity", ({ weight }) => weight],
    ["preferredAntiAffinity", ({ weight }) => -weight],
  ];
  for (const [kind, weight] of wishes)
    for (const { term, domains } of cluster.wishes(kind))
      if (matchesTerm(term, pod, labelsOf)) give(term.topologyKey, domains, weight(term));
  return points;
}

export function interPodAffinityWith(args: InterPodAffinityArgs): Plugin {
  return {
    name: "InterPodAffinity",
    weight: 2,
    prepare(pod, cluster) {
      if (!pod.hasAffinity && !cluster.hasWishes) return undefined;
      const labelsOf: LabelsOf = (namespace) => cluster.namespaceLabels(namespace);
      // One running Pod must match all of the terms, and then counts in each one's domain.
      const ids = pod.affinity.map(({ id }) => id).join(" ");
      const matchesAll = (other: PodInfo): boolean => pod.affinity.every((term) => matchesTerm(term, other, labelsOf));
      const near = pod.affinity.map((term) => ({
        term,
        domains: cluster.countBy(`affinity ${ids}`, term.topologyKey, matchesAll),
      }));
      const far = pod.antiAffinity.map((term) => ({ term, domains: perDomain(term, cluster, labelsOf) }));
      // Domains that running Pods keep this one out of, by their own anti-affinity.
      const kept = [...cluster.wishes("antiAffinity")].filter(({ term }) => matchesTerm(term, pod, labelsOf));
      // The first of a group that wants to be together: nobody is there yet, and it matches its own terms.
      const first =
        near.length > 0 && near.every(({ term, domains }) => domains.size === 0 && matchesTerm(term, pod, labelsOf));
      const keys = [...new Set([...far, ...kept].map(({ term }) => term.topologyKey))];
      // Asked of every node: one look into one set for each topology key, however many terms there are.
      const closed = keys.map((key) => {
        const of = (terms: readonly { term: AffinityTerm; domains: ReadonlyMap<string, number> }[]) =>
          terms.filter(({ term }) => term.topologyKey === key).map(({ domains }) => domains);
        return { key, domains: union([...of(far), ...of(kept)]) };
      });
      const isIn = (terms: readonly { term: AffinityTerm; domains: ReadonlyMap<string, number> }[], node: NodeInfo) =>
        terms.some(({ term, domains }) => domains.has(node.labels[term.topologyKey] ?? NOWHERE));
      const filter = (node: NodeInfo) => {
        const { labels } = node;
        for (let at = 0; at < near.length; at += 1) {
          const { term, domains } = near[at] as (typeof near)[number];
          const value = labels[term.topologyKey];
          if (value === undefined || (!first && !domains.has(value)))
            return refuseForGood("node(s) didn't match pod affinity rules");
        }
        for (let at = 0; at < closed.length; at += 1) {
          const { key, domains } = closed[at] as (typeof closed)[number];
          const value = labels[key];
          if (value === undefined || !domains.has(value)) continue;
          if (isIn(far, node)) return refuse("node(s) didn't match pod anti-affinity rules");
          return refuse("node(s) didn't satisfy existing pods anti-affinity rules");
        }
        return undefined;
      };
      const points = preferences(pod, cluster, labelsOf, args);
      return {
        ...(near.length + far.length + kept.length > 0 ? { filter } : {}),
        ...(points.size === 0
          ? {}
          : {
              score: (node: NodeInfo) => {
                let sum = 0;
                for (const [key, domains] of points) sum += domains.get(node.labels[key] ?? "") ?? 0;
                return sum;
              },
              normalize,
            }),
      };
    },
    mayHelp: (event, pod) => {
      // A node in another place is one more to try, whatever it is that keeps the Pod off the others.
      if (event.type === "node added" || event.type === "node updated") return labelsAfter(event) !== undefined;
      const touches = (terms: readonly AffinityTerm[], other: Pod): boolean =>
        terms.some((term) => mayMatchTerm(term, other.metadata));
      if (event.type === "pod placed")
        return touches(pod.affinity, event.pod) || (event.old !== undefined && touches(pod.antiAffinity, event.old));
      if (event.type !== "pod gone") return false;
      return touches(pod.antiAffinity, event.pod) || touches(new PodInfo(event.pod).antiAffinity, pod.pod);
    },
  };
}

/** No label's value. */
const NOWHERE = "\0";

/** All keys of these; a single one as it is. */
function union(all: readonly ReadonlyMap<string, number>[]): { has(key: string): boolean } {
  return all.length === 1 ? (all[0] as ReadonlyMap<string, number>) : new Set(all.flatMap((one) => [...one.keys()]));
}

function normalize(scores: number[]): void {
  let least = Infinity;
  let most = -Infinity;
  for (const score of scores) {
    least = Math.min(least, score);
    most = Math.max(most, score);
  }
  for (let at = 0; at < scores.length; at += 1)
    scores[at] = most === least ? 0 : Math.floor((HIGHEST_SCORE * ((scores[at] as number) - least)) / (most - least));
}

export const interPodAffinity = interPodAffinityWith({});
