/** A clock that stands still until told to move: timers run in order, and between them all that they set off. */
import type { Clock, Timer } from "../../../common/kube/clock.ts";
import { Heap } from "../../../common/kube/heap.ts";

interface Planned {
  at: number;
  order: number;
  callback: () => void;
  cancelled: boolean;
}

/** Turns of the event loop in which everything that needs no time comes to rest. */
const QUIET_TURNS = 3;

export class VirtualClock implements Clock {
  #elapsed = 0;
  #skew = 0;
  #order = 0;
  readonly #start: number;
  readonly #planned = new Heap<Planned>((a, b) => a.at < b.at || (a.at === b.at && a.order < b.order));

  constructor(start = Date.UTC(2026, 0, 1)) {
    this.#start = start;
  }

  now(): number {
    return this.#start + this.#elapsed + this.#skew;
  }

  monotonic(): number {
    return this.#elapsed;
  }

  after(milliseconds: number, callback: () => void): Timer {
    const planned = { at: this.#elapsed + Math.max(0, milliseconds), order: this.#order++, callback, cancelled: false };
    this.#planned.push(planned);
    return {
      cancel: () => {
        planned.cancelled = true;
      },
    };
  }

  /** The wall clock jumps without a timer running: the host was asleep, or somebody set the time. */
  jump(milliseconds: number): void {
    this.#skew += milliseconds;
  }

  /** Lets everything that is due now come to rest. */
  async settle(): Promise<void> {
    await this.advance(0);
  }

  /** Moves on by so many milliseconds, timer by timer. */
  async advance(milliseconds: number): Promise<void> {
    const until = this.#elapsed + milliseconds;
    await quiet();
    for (let next = this.#planned.peek(); next && next.at <= until; next = this.#planned.peek()) {
      this.#planned.pop();
      if (next.cancelled) continue;
      this.#elapsed = Math.max(this.#elapsed, next.at);
      next.callback();
      await quiet();
    }
    this.#elapsed = until;
  }
}

async function quiet(): Promise<void> {
  for (let turn = 0; turn < QUIET_TURNS; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
