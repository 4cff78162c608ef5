/** A store that forgets at the end of the process: for unit tests and throw-away control planes. */
import type { Journal, LoggedWrite, Mutation, Then } from "./journal.ts";
import { RevisionStore } from "./revisions.ts";
import type { KeyValue, Store } from "./store.ts";

export function openMemoryStore(): Store {
  return new RevisionStore(new MemoryJournal(), { revision: 0, compactRevision: 0, current: [] });
}

/** A log in an array. */
export class MemoryJournal implements Journal {
  log: Mutation[];

  constructor(log: Mutation[] = []) {
    this.log = log;
  }

  async commit(batch: Mutation[]): Promise<void> {
    this.log.push(...batch);
  }

  async newest(): Promise<number> {
    return this.log.at(-1)?.revision ?? 0;
  }

  async history(prefix: string, from: number, to: number, most: number): Promise<LoggedWrite[]> {
    const last = new Map<string, KeyValue | undefined>();
    const found: LoggedWrite[] = [];
    for (const mutation of this.log) {
      const { key, value, revision, createRevision } = mutation;
      if (revision > to || found.length >= most) break;
      if (!key.startsWith(prefix)) continue;
      if (revision > from) found.push({ ...mutation, previous: last.get(key) });
      last.set(key, value && { key, value, createRevision, modRevision: revision });
    }
    return found;
  }

  async valuesAt(prefix: string, at: number, to: number): Promise<Then[]> {
    const writes = await this.history(prefix, at, to, Number.POSITIVE_INFINITY);
    const then = new Map<string, KeyValue | undefined>();
    for (const { key, previous } of writes) if (!then.has(key)) then.set(key, previous);
    return [...then];
  }

  async compact(revision: number): Promise<void> {
    const newest = new Map<string, Mutation>();
    for (const mutation of this.log) if (mutation.revision <= revision) newest.set(mutation.key, mutation);
    this.log = this.log.filter(
      (mutation) =>
        mutation.revision > revision || (newest.get(mutation.key) === mutation && mutation.value !== undefined),
    );
  }

  async close(): Promise<void> {}
}
