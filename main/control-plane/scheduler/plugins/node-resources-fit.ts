/** A node must have what the Pod asks for; which of those that have is better, the scoring strategy says. */
import { HIGHEST_SCORE } from "../framework.ts";
import type { Plugin, Refusal } from "../framework.ts";
import type { NodeInfo, PodInfo } from "../model.ts";
import { amounts } from "../resources.ts";

export interface ResourceWeight {
  name: string;
  /** Default 1. */
  weight?: number;
}

export interface NodeResourcesFitArgs {
  ignoredResources?: string[];
  ignoredResourceGroups?: string[];
  scoringStrategy?: {
    type?: "LeastAllocated" | "MostAllocated" | "RequestedToCapacityRatio";
    resources?: ResourceWeight[];
    /** utilization 0…100 → score 0…10, rising in utilization. */
    requestedToCapacityRatio?: { shape?: { utilization: number; score: number }[] };
  };
}

/** What is missing on the node, in Kubernetes' words; `unresolvable` when even the empty node is too small. */
export function missing(
  requests: readonly (readonly [name: string, wanted: number])[],
  node: NodeInfo,
  ignored: (name: string) => boolean = () => false,
): Refusal | undefined {
  let reasons: string[] | undefined;
  let unresolvable = false;
  if (node.pods.size + 1 > node.allowedPods) (reasons ??= []).push("Too many pods");
  for (let at = 0; at < requests.length; at += 1) {
    const [name, wanted] = requests[at] as (typeof requests)[number];
    const offered = node.allocatable[name] ?? 0;
    if (wanted === 0 || wanted <= offered - (node.requested[name] ?? 0) || ignored(name)) continue;
    (reasons ??= []).push(`Insufficient ${name}`);
    if (wanted > offered) unresolvable = true;
  }
  return reasons && { reasons, unresolvable };
}

export const DEFAULT_RESOURCES: readonly ResourceWeight[] = [{ name: "cpu" }, { name: "memory" }];

/** Of the resources that Kubernetes itself knows, Pods that ask for nothing count as asking for a little. */
const NATIVE = new Set(["cpu", "memory"]);

/** 0…100 for one resource of which `used` of `offered` would be used. */
type Strategy = (used: number, offered: number) => number;

const least: Strategy = (used, offered) =>
  used > offered ? 0 : Math.floor(((offered - used) * HIGHEST_SCORE) / offered);
const most: Strategy = (used, offered) => (used > offered ? 0 : Math.floor((used * HIGHEST_SCORE) / offered));

/** Straight lines between the points; flat before the first and after the last. */
function ratio(shape: readonly { utilization: number; score: number }[]): Strategy {
  return (used, offered) => {
    const utilization = used > offered ? 100 : Math.floor((used * 100) / offered);
    const next = shape.findIndex((point) => utilization <= point.utilization);
    const right = shape[next === -1 ? shape.length - 1 : next];
    const left = next > 0 ? shape[next - 1] : right;
    if (!left || !right) return 0;
    const width = right.utilization - left.utilization;
    const score =
      width === 0 ? right.score : left.score + ((right.score - left.score) * (utilization - left.utilization)) / width;
    return Math.floor(score * (HIGHEST_SCORE / 10));
  };
}

function strategyOf({ scoringStrategy }: NodeResourcesFitArgs): Strategy {
  if (scoringStrategy?.type === "MostAllocated") return most;
  if (scoringStrategy?.type !== "RequestedToCapacityRatio") return least;
  return ratio(scoringStrategy.requestedToCapacityRatio?.shape ?? []);
}

function score(
  { requests, scoringRequests }: PodInfo,
  node: NodeInfo,
  resources: readonly ResourceWeight[],
  strategy: Strategy,
): number {
  let sum = 0;
  let weights = 0;
  for (const { name, weight = 1 } of resources) {
    const offered = node.allocatable[name] ?? 0;
    const native = NATIVE.has(name);
    if (offered === 0 || (!native && !requests[name])) continue;
    const used = native
      ? (node.scoringRequested[name] ?? 0) + (scoringRequests[name] ?? 0)
      : (node.requested[name] ?? 0) + (requests[name] ?? 0);
    sum += strategy(used, offered) * weight;
    weights += weight;
  }
  return weights === 0 ? 0 : Math.floor(sum / weights);
}

export function nodeResourcesFitWith(args: NodeResourcesFitArgs): Plugin {
  const strategy = strategyOf(args);
  const resources = args.scoringStrategy?.resources ?? DEFAULT_RESOURCES;
  const names = new Set(args.ignoredResources);
  const groups = new Set(args.ignoredResourceGroups);
  const ignored = (name: string): boolean => names.has(name) || groups.has(name.split("/")[0] ?? "");
  return {
    name: "NodeResourcesFit",
    ofNodeAlone: true,
    weight: 1,
    prepare: (pod) => {
      const requests = Object.entries(pod.requests);
      return {
        filter: (node) => missing(requests, node, ignored),
        score: (node) => score(pod, node, resources, strategy),
      };
    },
    mayHelp: (event, pod) => {
      if (event.type === "pod gone") return true;
      if (event.type !== "node added" && event.type !== "node updated") return false;
      const offered = amounts(event.node.status?.allocatable as Record<string, string> | undefined);
      if (Object.entries(pod.requests).some(([name, wanted]) => wanted > (offered[name] ?? 0) && !ignored(name)))
        return false;
      if (event.type === "node added") return true;
      const before = amounts(event.old.status?.allocatable as Record<string, string> | undefined);
      return Object.entries(offered).some(([name, amount]) => amount > (before[name] ?? 0));
    },
  };
}

export const nodeResourcesFit = nodeResourcesFitWith({});
