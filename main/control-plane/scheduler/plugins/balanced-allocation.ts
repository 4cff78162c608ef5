/** Prefers nodes on which CPU and memory would be used to a like degree, so that neither is left over. */
import { HIGHEST_SCORE } from "../framework.ts";
import type { Plugin } from "../framework.ts";

const SCORED = ["cpu", "memory"];

export const balancedAllocation: Plugin = {
  name: "NodeResourcesBalancedAllocation",
  weight: 1,
  prepare({ requests }) {
    // A Pod that asks for nothing balances nothing.
    if (SCORED.every((name) => !requests[name])) return undefined;
    return {
      score: (node) => {
        const fractions = SCORED.filter((name) => (node.allocatable[name] ?? 0) > 0).map((name) =>
          Math.min(1, ((node.requested[name] ?? 0) + (requests[name] ?? 0)) / (node.allocatable[name] as number)),
        );
        if (fractions.length === 0) return 0;
        const mean = fractions.reduce((sum, one) => sum + one, 0) / fractions.length;
        const deviation = Math.sqrt(fractions.reduce((sum, one) => sum + (one - mean) ** 2, 0) / fractions.length);
        return Math.floor((1 - deviation) * HIGHEST_SCORE);
      },
    };
  },
  mayHelp: () => false,
};
