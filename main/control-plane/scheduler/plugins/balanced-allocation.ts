/** Prefers nodes on which CPU and memory would be used to a like degree, so that neither is left over. */
import { HIGHEST_SCORE } from "../framework.ts";
import type { Plugin } from "../framework.ts";
import { DEFAULT_RESOURCES } from "./node-resources-fit.ts";

export interface BalancedAllocationArgs {
  resources?: { name: string }[];
}

export function balancedAllocationWith({ resources = [...DEFAULT_RESOURCES] }: BalancedAllocationArgs): Plugin {
  const names = resources.map(({ name }) => name);
  return {
    name: "NodeResourcesBalancedAllocation",
    weight: 1,
    prepare({ requests }) {
      // A Pod that asks for nothing balances nothing.
      if (names.every((name) => !requests[name])) return undefined;
      return {
        score: ({ allocatable, requested }) => {
          const fractions: number[] = [];
          for (const name of names) {
            const offered = allocatable[name] ?? 0;
            if (offered > 0) fractions.push(Math.min(1, ((requested[name] ?? 0) + (requests[name] ?? 0)) / offered));
          }
          if (fractions.length === 0) return 0;
          let sum = 0;
          for (const fraction of fractions) sum += fraction;
          const mean = sum / fractions.length;
          let squares = 0;
          for (const fraction of fractions) squares += (fraction - mean) ** 2;
          return Math.floor((1 - Math.sqrt(squares / fractions.length)) * HIGHEST_SCORE);
        },
      };
    },
    mayHelp: () => false,
  };
}

export const balancedAllocation = balancedAllocationWith({});
