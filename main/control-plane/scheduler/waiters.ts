/** Who waits for the cluster to come to a state: looks when told that something changed, and not for ever. */
import type { Clock, Timer } from "../../../common/kube/clock.ts";

interface Waiter {
  done(): boolean;
  end(error?: Error): void;
}

export class Waiters {
  readonly #clock: Clock;
  readonly #all = new Set<Waiter>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Rejects with what `done` throws, when the time is over, and when the scheduler stops. */
  until(done: () => boolean, milliseconds: number): Promise<void> {
    return new Promise((resolve, reject) => {
      let timer: Timer | undefined;
      const waiter: Waiter = {
        done,
        end: (error) => {
          timer?.cancel();
          this.#all.delete(waiter);
          if (error) reject(error);
          else resolve();
        },
      };
      this.#all.add(waiter);
      timer = this.#clock.after(milliseconds, () =>
        waiter.end(new Error("binding volumes: timed out waiting for the condition")),
      );
      look(waiter);
    });
  }

  /** Something changed. */
  look(): void {
    for (const waiter of this.#all) look(waiter);
  }

  stop(): void {
    for (const waiter of this.#all) waiter.end(new Error("the scheduler stops"));
  }
}

function look(waiter: Waiter): void {
  try {
    if (waiter.done()) waiter.end();
  } catch (error) {
    waiter.end(error instanceof Error ? error : new Error(String(error)));
  }
}
