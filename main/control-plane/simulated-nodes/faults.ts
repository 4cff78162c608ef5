/** When what is wrong with a simulated node. Pure. */
import { drawDelay } from "./rules/chance.ts";
import type { Fault, FaultRule } from "./rules/schema.ts";

export interface FaultsNow {
  faults: ReadonlySet<Fault>;
  /** When that changes by itself, in milliseconds from the node's start; Infinity: never. */
  next: number;
}

/** `elapsed`: milliseconds since the node's start; `chance` answers the same question in the same way. */
export function faultsAt(
  rules: readonly FaultRule[],
  elapsed: number,
  chance: (question: string) => number,
): FaultsNow {
  const faults = new Set<Fault>();
  let next = Infinity;
  for (const [at, { fault, after, for: lasts, every, probability }] of rules.entries()) {
    const first = drawDelay(after, () => chance(`fault ${at} after`));
    if (elapsed < first) {
      next = Math.min(next, first);
      continue;
    }
    const coming = every ? Math.floor((elapsed - first) / every) : 0;
    const began = first + coming * (every ?? 0);
    if (every) next = Math.min(next, began + every);
    if (chance(`fault ${at} coming ${coming}`) >= probability) continue;
    const ends = lasts ? began + drawDelay(lasts, () => chance(`fault ${at} lasts ${coming}`)) : Infinity;
    if (elapsed >= ends) continue;
    faults.add(fault);
    next = Math.min(next, ends);
  }
  return { faults, next };
}
