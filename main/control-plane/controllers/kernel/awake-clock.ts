/**
 * Time in which this process was awake. A host that sleeps, a machine that is suspended or a process that is
 * stopped makes clocks jump; watchdogs that counted the jump would punish everybody for it. So time is
 * counted in ticks: one that comes late counts as one tick only, and those who keep watch are told of the gap.
 *
 *     ticks    |  5 s |  5 s |           1 h asleep            |  5 s |
 *     awake    0      5     10                                15     20      gap() is called here ▲
 */
import type { Clock, Timer } from "../../../../common/kube/clock.ts";

export interface AwakeClockOptions {
  clock: Clock;
  tickMillis: number;
  tick(awakeMillis: number): void;
  /** Called before the tick that comes after a gap. */
  gap(missedMillis: number): void;
}

/** A tick that is this many times late, or a wall clock that moved so much more, means that we were asleep. */
const LATE = 3;

export class AwakeClock {
  readonly #options: AwakeClockOptions;
  #awake = 0;
  #monotonic: number;
  #wall: number;
  #timer: Timer | undefined;

  constructor(options: AwakeClockOptions) {
    this.#options = options;
    this.#monotonic = options.clock.monotonic();
    this.#wall = options.clock.now();
  }

  /** Milliseconds awake, up to the last tick. */
  now(): number {
    return this.#awake;
  }

  start(): void {
    this.#monotonic = this.#options.clock.monotonic();
    this.#wall = this.#options.clock.now();
    this.#plan();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #plan(): void {
    const { clock, tickMillis } = this.#options;
    this.#timer = clock.after(tickMillis, () => {
      this.#plan();
      this.#tick();
    });
  }

  #tick(): void {
    const { clock, tickMillis, tick, gap } = this.#options;
    const passed = clock.monotonic() - this.#monotonic;
    const wallPassed = clock.now() - this.#wall;
    this.#monotonic = clock.monotonic();
    this.#wall = clock.now();
    // Some clocks stop while the host sleeps: then only the wall clock tells.
    const asleep = Math.max(passed, wallPassed) > LATE * tickMillis;
    this.#awake += asleep ? tickMillis : Math.max(0, passed);
    if (asleep) gap(Math.max(passed, wallPassed) - tickMillis);
    tick(this.#awake);
  }
}
