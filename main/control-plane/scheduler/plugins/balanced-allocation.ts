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
    ofNodeAlone: true,
    weight: 1,
    prepare({ requests }) {
      // A Pod that asks for nothing balances nothing.
      if (names.every((name) => !requests[name])) return undefined;
      return {
        score: ({ allocatable, requested }) => {
          // Asked of every node for every Pod: mean and deviation in one pass, without a list (Welford).
          let count = 0;
          let mean = 0;
          let squares = 0;
          for (const name of names) {
            const offered = allocatable[name] ?? 0;
            if (offered === 0) continue;
            const fraction = Math.min(1, ((requested[name] ?? 0) + (requests[name] ?? 0)) / offered);
            count += 1;
            const before = fraction - mean;
            mean += before / count;
            squares += before * (fraction - mean);
          }
          if (count === 0) return 0;
          // The last digit of a sum of fractions must not decide a whole point.
          return Math.floor((1 - Math.sqrt(squares / count)) * HIGHEST_SCORE + 1e-9);
        },
      };
    },
    mayHelp: () => false,
  };
}

export const balancedAllocation = balancedAllocationWith({});
