/** Chances that need no memory: the same seed and the same question give the same draw, in any order, after any restart. */
import type { Delay } from "./schema.ts";

/** 0 ≤ draw < 1 (FNV-1a over the text, then mixed so that like texts draw unlike numbers). */
export function draw(seed: string | number, ...question: (string | number)[]): number {
  let hash = 0x811c9dc5;
  for (const character of `${seed}\n${question.join("\n")}`) {
    hash ^= character.codePointAt(0) as number;
    hash = Math.imul(hash, 0x01000193);
  }
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  hash ^= hash >>> 16;
  return (hash >>> 0) / 2 ** 32;
}

/** Milliseconds. */
export function drawDelay({ duration, jitter }: Delay, chance: () => number): number {
  return jitter === 0 ? duration : duration + jitter * chance();
}
