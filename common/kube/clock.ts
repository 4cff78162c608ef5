/**
 * Time as controllers see it. Everything that waits or reads the time takes a Clock, so that a simulation
 * can run days of cluster life in seconds of virtual time.
 */

export interface Timer {
  /** Idempotent: the callback does not run after it. */
  cancel(): void;
}

export interface Clock {
  /** Unix milliseconds. Jumps when the host slept or somebody set the clock: only for timestamps. */
  now(): number;
  /**
   * Milliseconds that only rise, from some origin: for measuring how long something took. It may or may not
   * count the time in which the host slept, so a watchdog must also look at its own ticks.
   */
  monotonic(): number;
  /** Runs `callback` once, after at least `milliseconds`. Never keeps a process alive. */
  after(milliseconds: number, callback: () => void): Timer;
}

/** Longer waits than this overflow the host's timers: they are cut, and the waiter looks again. */
const LONGEST_MILLIS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(milliseconds, callback) {
    const timer: unknown = setTimeout(callback, Math.min(Math.max(0, milliseconds), LONGEST_MILLIS));
    // Browsers give a number; Node an object that would hold the process.
    if (typeof timer === "object" && timer !== null && "unref" in timer) (timer as { unref(): void }).unref();
    return { cancel: () => clearTimeout(timer as number) };
  },
};

let latest = { second: Number.NaN, text: "" };

/** RFC 3339 in whole seconds, as metav1.Time is written. Throws RangeError on what is no time. */
export function timestamp(unixMillis: number): string {
  const second = Math.floor(unixMillis / 1000);
  // Many are asked for within one second, and each costs as much as parsing a small object.
  if (second !== latest.second) latest = { second, text: `${new Date(unixMillis).toISOString().slice(0, 19)}Z` };
  return latest.text;
}

/** RFC 3339 with microseconds, as metav1.MicroTime is written. */
export function microTimestamp(unixMillis: number): string {
  return `${new Date(unixMillis).toISOString().slice(0, 23)}000Z`;
}

/** Resolves after the time, or at once when the signal aborts (it does not throw). */
export function sleep(clock: Clock, milliseconds: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      timer.cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = clock.after(milliseconds, done);
    signal?.addEventListener("abort", done, { once: true });
  });
}
