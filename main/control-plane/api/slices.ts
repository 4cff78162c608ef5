/** Long work in short slices: between them whatever else waits gets its turn. */
import { atOnce } from "../../../common/kube/steps.ts";
import type { Steps } from "../../../common/kube/steps.ts";

/** One slice. A request that waits behind a few of them waits less than a person notices. */
const SLICE_MILLIS = 8;
/** Looking at the clock costs something too. */
const BETWEEN_LOOKS = 16;

const waiting: (() => void)[] = [];

/** Waits for a turn of the event loop that no other long work has: slices of many requests do not add up in one. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    if (waiting.push(resolve) === 1) setImmediate(next);
  });
}

function next(): void {
  waiting.shift()?.();
  if (waiting.length > 0) setImmediate(next);
}

const LARGE_BYTES = 64 * 1024;

/** Whether each step of work on an object of so many bytes (to patch, compare, track, encode it) deserves a turn. */
export const isLarge = (bytes: number): boolean => bytes > LARGE_BYTES;

let turnBegan: number | undefined;

/**
 * For small pieces of work that follow one another by promises alone, without a turn of the loop in between: waits
 * where this turn has been worked in for a slice. `now` in milliseconds; of a clock that stands still, never.
 */
export async function inTurn(now: () => number): Promise<void> {
  while (isSpent(now())) await turn();
}

function isSpent(now: number): boolean {
  if (turnBegan !== undefined) return now - turnBegan > SLICE_MILLIS;
  turnBegan = now;
  setImmediate(() => (turnBegan = undefined));
  return false;
}

/** Calls `each` for all, in order. `stop` is asked between slices; the rest is left out once it says so. */
export async function inSlices<T>(
  items: Iterable<T>,
  each: (item: T) => void,
  stop: () => boolean = () => false,
): Promise<void> {
  let began = performance.now();
  let count = 0;
  for (const item of items) {
    if ((count += 1) % BETWEEN_LOOKS === 0 && performance.now() - began > SLICE_MILLIS) {
      await turn();
      if (stop()) return;
      began = performance.now();
    }
    each(item);
  }
}

/** Takes the steps of long work, in slices. */
export async function stepwise<T>(steps: Steps<T>): Promise<T> {
  let began = performance.now();
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    if (performance.now() - began <= SLICE_MILLIS) continue;
    await turn();
    began = performance.now();
  }
}

/** The same, where it is about a large object; else at once. */
export function stepwiseIfLarge<T>(steps: Steps<T>, large: boolean): T | Promise<T> {
  return large ? stepwise(steps) : atOnce(steps);
}
