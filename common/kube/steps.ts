/**
 * Long work in steps: a generator that yields wherever others may be let in between. Who has the time takes all steps
 * at once, who must not hold up others lets them come between.
 */
export type Steps<T> = Generator<void, T, void>;

export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}
