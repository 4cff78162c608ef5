/**
 * The part of a store that is the same whatever lies underneath: current values and recent history in
 * memory, compare-and-swap, and watchers. An engine only has to make batches of writes durable.
 *
 * A key's life, and what the log holds of it:
 *
 *     revision   4        7        9            12
 *     key a      put ───► put ───► delete       put          (a second life: createRevision 12)
 *     log        4:a      7:a      9:a †        12:a
 *
 *     compact(7) forgets what happened up to 7; "a at 7" is still readable, "a at 6" is not:
 *     log                 (7:a)    9:a †        12:a
 *
 * A watcher is in one of two states, as in etcd: *catching up*, while it is fed from the log, and
 * *live*, when each durable batch reaches it as it happens. The step from one to the other happens
 * in one turn of the event loop, so that nothing falls between.
 */
import { CompactedError, FutureRevisionError } from "./store.ts";
import type {
  KeyValue,
  ListResult,
  Store,
  StoreEvent,
  WatchHandlers,
  WatchSubscription,
  WriteResult,
} from "./store.ts";
import { SortedKeys } from "./sorted-keys.ts";

/** One write on its way to disk. */
export interface Mutation {
  revision: number;
  key: string;
  /** undefined deletes. */
  value: Uint8Array | undefined;
  createRevision: number;
}

/** What an engine must be able to do. */
export interface Journal {
  /** Makes the mutations durable, all or none, then resolves. Called for one batch at a time. */
  commit(batch: Mutation[]): Promise<void>;
  /** Every logged mutation with revision > from and <= to, in order. */
  history(from: number, to: number): Promise<Mutation[]>;
  compact(revision: number): Promise<void>;
  close(): Promise<void>;
}

export interface InitialState {
  revision: number;
  compactRevision: number;
  current: KeyValue[];
  /** The newest mutations, oldest first: what watchers most often ask for. */
  recent: Mutation[];
}

interface Pending {
  mutation: Mutation;
  previous: KeyValue | undefined;
  done(result: WriteResult): void;
  failed(error: Error): void;
}

interface Watcher {
  prefix: string;
  handlers: WatchHandlers;
  live: boolean;
  closed: boolean;
}

/** Events kept in memory for watchers that start a little in the past. */
const RECENT = 20_000;
/** Writes that share one commit. */
const BATCH = 512;

export class RevisionStore implements Store {
  private readonly journal: Journal;
  /** Durable values: what readers see. */
  private readonly current = new Map<string, KeyValue>();
  private readonly keys = new SortedKeys();
  /** Keys with a write on its way: what the next compare-and-swap is held against. */
  private readonly staged = new Map<string, KeyValue | undefined>();
  private recent: StoreEvent[] = [];
  private readonly watchers = new Set<Watcher>();
  private queue: Pending[] = [];
  private flushing: Promise<void> | undefined;
  /** Resolves when the commit that is under way has been told, or has failed. */
  private published = Promise.withResolvers<void>();
  private durable: number;
  private assigned: number;
  private compacted: number;
  private failure: Error | undefined;

  constructor(journal: Journal, initial: InitialState) {
    this.journal = journal;
    this.durable = this.assigned = initial.revision;
    this.compacted = initial.compactRevision;
    for (const item of initial.current) this.current.set(item.key, item);
    this.keys.load(initial.current.map((item) => item.key));
    this.recent = completeTail(eventsOf(initial.recent));
  }

  revision(): number {
    return this.durable;
  }

  compactRevision(): number {
    return this.compacted;
  }

  async get(key: string, atRevision?: number): Promise<KeyValue | undefined> {
    if (atRevision === undefined || atRevision === this.durable) return this.current.get(key);
    const { items } = await this.list(key, { atRevision, limit: 1 });
    return items[0]?.key === key ? items[0] : undefined;
  }

  async list(
    prefix: string,
    options: { startAfter?: string; limit?: number; atRevision?: number } = {},
  ): Promise<ListResult> {
    const at = options.atRevision ?? this.durable;
    if (at > this.durable) throw new FutureRevisionError(at, this.durable);
    if (at < this.compacted) throw new CompactedError(this.compacted);
    const asked = this.durable;
    const past = at === asked ? undefined : await this.valuesAt(prefix, at);
    if (past) {
      if (at < this.compacted) throw new CompactedError(this.compacted);
      // What was written while the log was read is not of this snapshot either.
      for (const event of this.recent) {
        if (event.revision > asked && event.key.startsWith(prefix) && !past.has(event.key))
          past.set(event.key, event.previous);
      }
    }
    const items: KeyValue[] = [];
    const limit = options.limit ?? Number.POSITIVE_INFINITY;
    let more = false;
    const keys = past
      ? [...new Set([...this.keys.range(prefix), ...past.keys()].filter((key) => key.startsWith(prefix)))].toSorted(
          byBytes,
        )
      : this.keys.range(prefix, options.startAfter);
    for (const key of keys) {
      if (past && options.startAfter !== undefined && byBytes(key, options.startAfter) <= 0) continue;
      const item = past?.has(key) ? past.get(key) : this.current.get(key);
      if (!item) continue;
      if (items.length >= limit) {
        more = true;
        break;
      }
      items.push(item);
    }
    return { items, revision: at, more };
  }

  async count(prefix: string): Promise<number> {
    return this.keys.count(prefix);
  }

  put(key: string, value: Uint8Array, expectedRevision: number): Promise<WriteResult> {
    return this.write(key, value, expectedRevision);
  }

  delete(key: string, expectedRevision: number): Promise<WriteResult> {
    return this.write(key, undefined, expectedRevision);
  }

  watch(prefix: string, fromRevision: number, handlers: WatchHandlers): WatchSubscription {
    const watcher: Watcher = { prefix, handlers, live: false, closed: false };
    this.watchers.add(watcher);
    const close = (): void => {
      watcher.closed = true;
      this.watchers.delete(watcher);
    };
    // Never from within the call: the caller has no subscription to close yet.
    queueMicrotask(() => {
      this.catchUp(watcher, fromRevision).catch((error: Error) => this.endWatch(watcher, error));
    });
    return { close };
  }

  async compact(revision: number): Promise<void> {
    if (revision > this.durable) throw new FutureRevisionError(revision, this.durable);
    if (revision <= this.compacted) return;
    await this.journal.compact(revision);
    this.compacted = revision;
    this.recent = this.recent.filter((event) => event.revision > revision);
  }

  async close(): Promise<void> {
    this.failure ??= new Error("the store is closed");
    await this.flushing;
    for (const watcher of this.watchers) this.endWatch(watcher);
    await this.journal.close();
  }

  private write(key: string, value: Uint8Array | undefined, expectedRevision: number): Promise<WriteResult> {
    if (this.failure) return Promise.reject(this.failure);
    const previous = this.staged.has(key) ? this.staged.get(key) : this.current.get(key);
    if ((previous?.modRevision ?? 0) !== expectedRevision || (value === undefined && !previous)) {
      // A writer must not be refused for a value that is not durable yet and might never be.
      if (this.staged.has(key)) return this.refuseOnceDurable(key);
      return Promise.resolve({ ok: false, current: previous });
    }
    const revision = (this.assigned += 1);
    const createRevision = previous?.createRevision ?? revision;
    const mutation: Mutation = { revision, key, value, createRevision };
    this.staged.set(key, value === undefined ? undefined : { key, value, createRevision, modRevision: revision });
    return new Promise((done, failed) => {
      this.queue.push({ mutation, previous, done, failed });
      this.flushing ??= this.flush();
    });
  }

  /** Waits for the writes of this key alone: others may go on coming for ever. */
  private async refuseOnceDurable(key: string): Promise<WriteResult> {
    while (this.staged.has(key) && this.flushing) await this.published.promise;
    if (this.staged.has(key) && this.failure) throw this.failure;
    return { ok: false, current: this.current.get(key) };
  }

  private async flush(): Promise<void> {
    // Everything that was asked for in this turn goes into one commit.
    await Promise.resolve();
    while (this.queue.length > 0) {
      const batch = this.queue.splice(0, BATCH);
      try {
        await this.journal.commit(batch.map((pending) => pending.mutation));
      } catch (error) {
        // Which of its revisions are on disk is unknown: only reopening tells. No further write is taken.
        this.failure = error instanceof Error ? error : new Error(String(error));
        for (const pending of [...batch, ...this.queue.splice(0)]) pending.failed(this.failure);
        for (const watcher of this.watchers) this.endWatch(watcher, this.failure);
        break;
      }
      this.publish(batch);
      this.wakeRefused();
    }
    this.flushing = undefined;
    this.wakeRefused();
  }

  private wakeRefused(): void {
    this.published.resolve();
    this.published = Promise.withResolvers<void>();
  }

  private publish(batch: Pending[]): void {
    const events: StoreEvent[] = [];
    const items: (KeyValue | undefined)[] = [];
    for (const { mutation, previous } of batch) {
      const { key, value, revision, createRevision } = mutation;
      let current: KeyValue | undefined;
      if (value === undefined) {
        this.current.delete(key);
        this.keys.delete(key);
      } else {
        if (!this.current.has(key)) this.keys.add(key);
        // A later write may be staged already: then this value is no longer the staged one.
        const staged = this.staged.get(key);
        current = staged?.modRevision === revision ? staged : { key, value, createRevision, modRevision: revision };
        this.current.set(key, current);
      }
      if (this.staged.get(key)?.modRevision === revision || (value === undefined && this.staged.get(key) === undefined))
        this.staged.delete(key);
      items.push(current);
      events.push({
        type: value === undefined ? "delete" : "put",
        key,
        revision,
        ...(value ? { value } : {}),
        ...(current ? { current } : {}),
        ...(previous ? { previous } : {}),
      });
    }
    this.durable = batch.at(-1)?.mutation.revision ?? this.durable;
    this.recent.push(...events);
    if (this.recent.length > RECENT * 1.25) this.recent = this.recent.slice(-RECENT);
    for (const watcher of this.watchers) if (watcher.live) this.deliver(watcher, events);
    batch.forEach((pending, at) => {
      const item = items[at];
      pending.done({ ok: true, revision: pending.mutation.revision, ...(item ? { item } : {}) });
    });
  }

  private deliver(watcher: Watcher, events: StoreEvent[]): void {
    const wanted = events.filter((event) => event.key.startsWith(watcher.prefix));
    if (wanted.length > 0 && !watcher.closed) watcher.handlers.events(wanted);
    if (!watcher.closed) watcher.handlers.progress?.(this.durable);
  }

  private async catchUp(watcher: Watcher, fromRevision: number): Promise<void> {
    if (watcher.closed) return;
    let from = fromRevision;
    // Again, when `recent` has let go of its oldest while the log was read.
    for (;;) {
      if (from < this.compacted) throw new CompactedError(this.compacted);
      const oldest = this.recent[0]?.revision ?? this.durable + 1;
      if (from + 1 >= oldest) break;
      const after = from;
      from = oldest - 1;
      const log = await this.journal.history(0, from);
      if (watcher.closed) return;
      if (after < this.compacted) throw new CompactedError(this.compacted);
      this.deliver(
        watcher,
        eventsOf(log).filter((event) => event.revision > after),
      );
    }
    // From here to `live` no other code runs: what is not in `recent` now will be delivered as it happens.
    if (watcher.closed) return;
    const missed = this.recent.filter((event) => event.revision > from);
    watcher.live = true;
    this.deliver(watcher, missed);
  }

  private endWatch(watcher: Watcher, error?: Error): void {
    if (watcher.closed) return;
    watcher.closed = true;
    this.watchers.delete(watcher);
    watcher.handlers.end(error);
  }

  /** The values under a prefix as they were at a past revision, for keys that have changed since. */
  private async valuesAt(prefix: string, at: number): Promise<Map<string, KeyValue | undefined>> {
    const changed = new Map<string, KeyValue | undefined>();
    const oldest = this.recent[0]?.revision ?? this.durable + 1;
    if (at + 1 >= oldest) {
      // Backwards: the first event after `at` tells in `previous` what was there before it.
      for (const event of this.recent.filter((item) => item.revision > at && item.key.startsWith(prefix)).toReversed())
        changed.set(event.key, event.previous);
      return changed;
    }
    const log = await this.journal.history(0, this.durable);
    const then = new Map<string, KeyValue>();
    for (const { key, value, revision, createRevision } of log) {
      if (!key.startsWith(prefix)) continue;
      if (revision > at) {
        if (!changed.has(key)) changed.set(key, then.get(key));
      } else if (value === undefined) then.delete(key);
      else then.set(key, { key, value, createRevision, modRevision: revision });
    }
    return changed;
  }
}

/** The longest tail of events that all know what was there before them: the others are read from the log again. */
function completeTail(events: StoreEvent[]): StoreEvent[] {
  const lacking = events.findLastIndex((event) => !event.previous && event.current?.createRevision !== event.revision);
  return events.slice(lacking + 1);
}

/** Order of keys: by code unit, which for Kubernetes' ASCII keys is byte order. */
function byBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Turns mutations into events, finding each one's previous value among the earlier ones. */
function eventsOf(mutations: Mutation[]): StoreEvent[] {
  const last = new Map<string, KeyValue | undefined>();
  return mutations.map(({ key, value, revision, createRevision }) => {
    const previous = last.get(key);
    const current = value === undefined ? undefined : { key, value, createRevision, modRevision: revision };
    last.set(key, current);
    return {
      type: value === undefined ? "delete" : "put",
      key,
      revision,
      ...(value ? { value } : {}),
      ...(current ? { current } : {}),
      ...(previous ? { previous } : {}),
    };
  });
}
