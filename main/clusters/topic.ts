/** Changes as an async iteration: the present value first, then the newest after each change, never a backlog. */

export class Topic {
  private readonly listeners = new Set<() => void>();

  /** Tells everyone who waits that something changed. */
  changed(): void {
    for (const listener of this.listeners) listener();
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /**
   * `read()` now and again after changes, at most once every `pauseMillis`; ends after a value for which
   * `last` is true, or when the signal aborts.
   */
  async *follow<T>(
    read: () => T,
    options: { signal?: AbortSignal | undefined; pauseMillis?: number; last?: (value: T) => boolean } = {},
  ): AsyncGenerator<T, void, void> {
    const { signal, pauseMillis = 100, last } = options;
    let dirty = true;
    let wake: (() => void) | undefined;
    const notify = (): void => {
      dirty = true;
      wake?.();
    };
    const stopListening = this.onChange(notify);
    const onAbort = (): void => wake?.();
    signal?.addEventListener("abort", onAbort);
    try {
      const ended = (): boolean => signal?.aborted === true;
      while (!ended()) {
        if (!dirty) {
          await new Promise<void>((resolve) => {
            wake = resolve;
            if (dirty || signal?.aborted) resolve();
          });
          wake = undefined;
          continue;
        }
        dirty = false;
        const value = read();
        yield value;
        if (last?.(value)) return;
        await pause(pauseMillis, signal);
      }
    } finally {
      stopListening();
      signal?.removeEventListener("abort", onAbort);
    }
  }
}

/** Waits, or less when the signal aborts; never rejects. */
export function pause(millis: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) {
      resolve();
      return;
    }
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, millis);
    signal?.addEventListener("abort", done);
  });
}

/** The promise, or the signal's reason as soon as it aborts. What the promise does after that is its own affair. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

/** Lines that come by callback as an async iteration, in order, all of them. */
export class LineQueue {
  private lines: string[] = [];
  private wake: (() => void) | undefined;
  private ended = false;

  push(line: string): void {
    this.lines.push(line);
    this.wake?.();
  }

  end(): void {
    this.ended = true;
    this.wake?.();
  }

  async *read(): AsyncGenerator<string, void, void> {
    for (;;) {
      const lines = this.lines;
      this.lines = [];
      yield* lines;
      if (this.lines.length > 0) continue;
      if (this.ended) return;
      await new Promise<void>((resolve) => (this.wake = resolve));
      this.wake = undefined;
    }
  }
}
