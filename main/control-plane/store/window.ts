/** The newest events, kept in memory for watchers that start a little in the past and for pages of lists begun then. */
import type { KeyValue, StoreEvent } from "./store.ts";

/** No more than so many, and no more than values of so many bytes. */
const MOST_EVENTS = 20_000;
const MOST_BYTES = 32 * 1024 * 1024;

export class Window {
  /** From `first` on; what is before it has been let go and is cut off now and then. */
  #events: StoreEvent[] = [];
  #first = 0;
  #bytes = 0;

  /** The revision of the oldest event that is kept; undefined when there is none. */
  get oldest(): number | undefined {
    return this.#events[this.#first]?.revision;
  }

  push(events: readonly StoreEvent[]): void {
    for (const event of events) {
      // Objects of its own: what others keep by an event goes when they have dealt with it.
      this.#events.push({ ...event });
      this.#bytes += event.value?.length ?? 0;
    }
    while (this.#events.length - this.#first > MOST_EVENTS || this.#bytes > MOST_BYTES) this.#letGo();
    this.#cut();
  }

  /** Lets go of what happened up to this revision. */
  forget(revision: number): void {
    while ((this.oldest ?? Number.POSITIVE_INFINITY) <= revision) this.#letGo();
    this.#cut();
  }

  /** Events with a greater revision, oldest first. */
  after(revision: number): StoreEvent[] {
    let low = this.#first;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#events[middle] as StoreEvent).revision <= revision) low = middle + 1;
      else high = middle;
    }
    return this.#events.slice(low);
  }

  /** What the keys under a prefix that were written after a revision held at it. The window must reach back to it. */
  valuesAt(prefix: string, revision: number): Map<string, KeyValue | undefined> {
    const then = new Map<string, KeyValue | undefined>();
    // The first event after it tells in `previous` what was there before.
    for (const { key, previous } of this.after(revision))
      if (key.startsWith(prefix) && !then.has(key)) then.set(key, previous);
    return then;
  }

  #letGo(): void {
    this.#bytes -= this.#events[this.#first]?.value?.length ?? 0;
    this.#first += 1;
  }

  #cut(): void {
    if (this.#first * 2 < this.#events.length && this.#first < MOST_EVENTS / 4) return;
    this.#events = this.#events.slice(this.#first);
    this.#first = 0;
  }
}
