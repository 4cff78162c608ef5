/**
 * A queue of keys for level-based workers. A key stands in it at most once; while one worker has a key, no
 * other gets it, and an add in the meantime makes it come again afterwards.
 *
 *     add(k) ──► waiting ──► at work ──► gone
 *                   ▲           │ add(k) meanwhile, again(after), or an error (with growing waits)
 *                   └───────────┘
 */
import { backoffMillis } from "./backoff.ts";
import type { BackoffOptions } from "./backoff.ts";
import { systemClock } from "./clock.ts";
import type { Clock, Timer } from "./clock.ts";
import { Heap } from "./heap.ts";

/** What a worker says of a key: nothing more to do, or look again after some milliseconds. */
export type Outcome = { again: number } | undefined | void;

export const done: Outcome = undefined;

export function again(afterMillis: number): Outcome {
  return { again: afterMillis };
}

/** Who is told of a queue's keys, for its figures. */
export interface QueueObserver {
  /** `waiting`: keys that wait now. */
  added(waiting: number): void;
  /** Returns what is called when the work is done. */
  started(waitedMillis: number, waiting: number): () => void;
  retried(): void;
}

export interface WorkQueueOptions {
  /** Called for one key at a time per key, for at most `concurrency` keys at once. A throw means: retry. */
  work(key: string): Promise<Outcome> | Outcome;
  /** Default 1. */
  concurrency?: number;
  /** Waits between retries of a failing key. Default 5 ms doubling to 1,000 s, as client-go. */
  backoff?: BackoffOptions;
  clock?: Clock;
  observer?: QueueObserver | undefined;
  /** Told of every failure, before the retry is planned. */
  failed?(key: string, error: unknown, failures: number): void;
}

const DEFAULT_BACKOFF: BackoffOptions = { firstMillis: 5, maxMillis: 1_000_000 };

export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #clock: Clock;
  readonly #ready = new Set<string>();
  /** Where in them the next is looked for: from their beginning it would pass by all that were taken before. */
  #place = this.#ready.values();
  readonly #working = new Set<string>();
  readonly #dirty = new Set<string>();
  /** Since when each key waits, where somebody wants to know. */
  readonly #since = new Map<string, number>();
  readonly #failures = new Map<string, number>();
  readonly #later = new Heap<{ at: number; key: string }>((a, b) => a.at < b.at);
  /** The earliest planned time of each key in `later`; other entries of the heap are stale. */
  readonly #due = new Map<string, number>();
  #timer: { at: number; timer: Timer } | undefined;
  #scheduled = false;
  #stopped = false;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Keys waiting or at work; delayed ones are not counted. */
  get size(): number {
    return this.#ready.size + this.#working.size;
  }

  /** Keys planned for later. */
  get delayed(): number {
    return this.#due.size;
  }

  add(key: string): void {
    if (this.#stopped) return;
    if (this.#working.has(key)) this.#dirty.add(key);
    else {
      this.#ready.add(key);
      this.#noteAdded(key);
      this.#schedule();
    }
  }

  /** Adds after a wait; when the key is planned already, the earlier time counts. */
  addAfter(key: string, milliseconds: number): void {
    if (this.#stopped) return;
    if (milliseconds <= 0) return this.add(key);
    const at = this.#clock.monotonic() + milliseconds;
    const planned = this.#due.get(key);
    if (planned !== undefined && planned <= at) return;
    this.#due.set(key, at);
    this.#later.push({ at, key });
    this.#plan();
  }

  /** Adds after a wait that grows with each call, until `forget`. */
  addRateLimited(key: string): void {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    this.addAfter(key, backoffMillis(this.#options.backoff ?? DEFAULT_BACKOFF, failures));
  }

  /** The key did well: its next failure waits the shortest time again. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** Resolves when nothing is waiting or at work (delayed keys do not count). */
  whenIdle(): Promise<void> {
    if (this.size === 0) return Promise.resolve();
    this.#idle ??= Promise.withResolvers<void>();
    return this.#idle.promise;
  }

  /** No key is handed out any more; resolves when those at work are done. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#ready.clear();
    this.#since.clear();
    this.#dirty.clear();
    this.#due.clear();
    this.#later.clear();
    this.#timer?.timer.cancel();
    this.#timer = undefined;
    await this.whenIdle();
  }

  #noteAdded(key: string): void {
    const { observer } = this.#options;
    if (!observer || this.#since.has(key)) return;
    this.#since.set(key, this.#clock.monotonic());
    observer.added(this.#ready.size);
  }

  #noteStarted(key: string): (() => void) | undefined {
    const { observer } = this.#options;
    if (!observer) return undefined;
    const now = this.#clock.monotonic();
    const since = this.#since.get(key) ?? now;
    this.#since.delete(key);
    return observer.started(now - since, this.#ready.size);
  }

  #schedule(): void {
    if (this.#scheduled || this.#stopped) return;
    this.#scheduled = true;
    // Later in this turn, so that a burst of adds is one start.
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#start();
    });
  }

  #start(): void {
    const most = this.#options.concurrency ?? 1;
    while (this.#working.size < most && !this.#stopped) {
      const key = this.#next();
      if (key === undefined) return;
      this.#ready.delete(key);
      this.#working.add(key);
      void this.#run(key);
    }
  }

  #next(): string | undefined {
    if (this.#ready.size === 0) return undefined;
    const { value, done: atEnd } = this.#place.next();
    if (!atEnd) return value;
    this.#place = this.#ready.values();
    return this.#place.next().value;
  }

  async #run(key: string): Promise<void> {
    const finished = this.#noteStarted(key);
    try {
      const outcome = await this.#options.work(key);
      this.#failures.delete(key);
      if (outcome) this.addAfter(key, Math.max(1, outcome.again));
    } catch (error) {
      if (!this.#stopped) {
        this.addRateLimited(key);
        this.#options.observer?.retried();
        this.#options.failed?.(key, error, this.#failures.get(key) ?? 1);
      }
    } finally {
      finished?.();
      this.#working.delete(key);
      if (this.#dirty.delete(key)) this.add(key);
      if (this.#ready.size > 0) this.#schedule();
      if (this.size === 0) {
        this.#idle?.resolve();
        this.#idle = undefined;
      }
    }
  }

  #plan(): void {
    const next = this.#later.peek();
    if (!next || (this.#timer && this.#timer.at <= next.at)) return;
    this.#timer?.timer.cancel();
    const at = next.at;
    this.#timer = { at, timer: this.#clock.after(at - this.#clock.monotonic(), () => this.#ring()) };
  }

  #ring(): void {
    this.#timer = undefined;
    const now = this.#clock.monotonic();
    for (let next = this.#later.peek(); next && next.at <= now + 0.5; next = this.#later.peek()) {
      this.#later.pop();
      if (this.#due.get(next.key) !== next.at) continue;
      this.#due.delete(next.key);
      this.add(next.key);
    }
    this.#plan();
  }
}
