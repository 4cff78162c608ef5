/** What there is to do, and how often. */
import type { Step } from "./lane.ts";
import { log, noHttp, odd, plain, read, stranger, upgrade, watch } from "./read-steps.ts";
import { create, patch, putBack, remove, review, subresource, update } from "./write-steps.ts";

const steps: readonly (readonly [weight: number, step: Step])[] = [
  [20, create],
  [12, update],
  [20, patch],
  [8, remove],
  [10, subresource],
  [3, putBack],
  [3, review],
  [14, read],
  [3, watch],
  [7, plain],
  [3, odd],
  [2, stranger],
  [1, noHttp],
  [2, upgrade],
  [1, log],
];

export const anyStep: Step = (lane, dice) => dice.weighted(steps)(lane, dice);
