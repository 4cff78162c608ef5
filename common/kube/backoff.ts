/** Waits that grow with each failure: first, first × factor, …, at most `max`, spread by a jitter. */

export interface BackoffOptions {
  firstMillis: number;
  maxMillis: number;
  /** Default 2. */
  factor?: number;
  /** 0.2 adds up to 20 % at random, so that many waiters do not come back together. Default 0. */
  jitter?: number;
  random?: () => number;
}

/** The wait after `failures` failures in a row (1 is the first). */
export function backoffMillis(options: BackoffOptions, failures: number): number {
  const { firstMillis, maxMillis, factor = 2, jitter = 0, random = Math.random } = options;
  const base = Math.min(maxMillis, firstMillis * factor ** Math.min(Math.max(0, failures - 1), 64));
  return base * (1 + jitter * random());
}

/** Counts failures in a row. */
export class Backoff {
  readonly #options: BackoffOptions;
  #failures = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  next(): number {
    this.#failures += 1;
    return backoffMillis(this.#options, this.#failures);
  }

  reset(): void {
    this.#failures = 0;
  }
}
