/** Lets a few work at a time, in the order in which they came. */
export class Turns {
  readonly #patience: number;
  readonly #waiting: (() => void)[] = [];
  #free: number;

  /** `atOnce`: how many; `patience`: milliseconds after which the next begins although one has not ended: it may never. */
  constructor(atOnce: number, patience: number) {
    this.#free = atOnce;
    this.#patience = patience;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    let over = false;
    const leave = (): void => {
      if (over) return;
      over = true;
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    };
    const timer = setTimeout(leave, this.#patience);
    timer.unref();
    try {
      return await work();
    } finally {
      clearTimeout(timer);
      leave();
    }
  }
}
