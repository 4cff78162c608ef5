/** A node must have what the Pod asks for; the one with more to spare is better (LeastAllocated). */
import { HIGHEST_SCORE } from "../framework.ts";
import type { Plugin, Refusal } from "../framework.ts";
import type { NodeInfo } from "../model.ts";
import type { Amounts } from "../resources.ts";

/** What is missing on the node, in Kubernetes' words; `unresolvable` when even the empty node is too small. */
export function missing(requests: Amounts, node: NodeInfo): Refusal | undefined {
  let reasons: string[] | undefined;
  let unresolvable = false;
  if (node.pods.size + 1 > node.allowedPods) (reasons ??= []).push("Too many pods");
  for (const name in requests) {
    const wanted = requests[name] as number;
    const offered = node.allocatable[name] ?? 0;
    if (wanted === 0 || wanted <= offered - (node.requested[name] ?? 0)) continue;
    (reasons ??= []).push(`Insufficient ${name}`);
    if (wanted > offered) unresolvable = true;
  }
  return reasons && { reasons, unresolvable };
}

const SCORED = ["cpu", "memory"];

export const nodeResourcesFit: Plugin = {
  name: "NodeResourcesFit",
  weight: 1,
  prepare({ requests, scoringRequests }) {
    return {
      filter: (node) => missing(requests, node),
      score: (node) => {
        let sum = 0;
        let counted = 0;
        for (const name of SCORED) {
          const offered = node.allocatable[name] ?? 0;
          if (offered === 0) continue;
          const used = (node.scoringRequested[name] ?? 0) + (scoringRequests[name] ?? 0);
          sum += used > offered ? 0 : Math.floor(((offered - used) * HIGHEST_SCORE) / offered);
          counted += 1;
        }
        return counted === 0 ? 0 : Math.floor(sum / counted);
      },
    };
  },
  mayHelp: (event) => {
    if (event.type === "pod gone" || event.type === "node added") return true;
    return (
      event.type === "node updated" &&
      JSON.stringify(event.old.status?.allocatable) !== JSON.stringify(event.node.status?.allocatable)
    );
  },
};
