/** One replica's own view of the time: it can stand still, as a process that is stopped or a host that sleeps. */
import type { Clock, Timer } from "../../../common/kube/clock.ts";

export class FreezableClock implements Clock {
  readonly #clock: Clock;
  #frozen = false;
  #skew = 0;
  #lost = 0;
  #frozenAt = 0;
  #monotonicStops = false;
  readonly #late: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now() + this.#skew;
  }

  monotonic(): number {
    const stopped = this.#frozen && this.#monotonicStops ? this.#clock.monotonic() - this.#frozenAt : 0;
    return this.#clock.monotonic() - this.#lost - stopped;
  }

  after(milliseconds: number, callback: () => void): Timer {
    let cancelled = false;
    const timer = this.#clock.after(milliseconds, () => {
      if (!this.#frozen) return callback();
      this.#late.push(() => (cancelled ? undefined : callback()));
      return undefined;
    });
    return {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  /** `monotonicStops`: as on hosts whose monotonic clock does not count sleep. */
  freeze(monotonicStops = false): void {
    this.#frozen = true;
    this.#monotonicStops = monotonicStops;
    this.#frozenAt = this.#clock.monotonic();
  }

  /** Timers that became due meanwhile run now. */
  thaw(): void {
    if (this.#monotonicStops) this.#lost += this.#clock.monotonic() - this.#frozenAt;
    this.#frozen = false;
    for (const run of this.#late.splice(0)) run();
  }

  /** The wall clock alone jumps. */
  jump(milliseconds: number): void {
    this.#skew += milliseconds;
  }
}
