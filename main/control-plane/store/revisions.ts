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
import { Entries } from "./entries.ts";
import { Indexes } from "./indexes.ts";
import { eventOf } from "./journal.ts";
import type { InitialState, Journal, Mutation } from "./journal.ts";
import { asTheyWere } from "./past.ts";
import { CompactedError, FutureRevisionError } from "./store.ts";
import type {
  IndexDefinition,
  KeyValue,
  ListOptions,
  ListResult,
  Store,
  StoreEvent,
  Topic,
  WatchHandlers,
  WatchSubscription,
  WriteResult,
} from "./store.ts";
import { Watchers, wantedBy } from "./watchers.ts";
import type { Watcher } from "./watchers.ts";
import { Window } from "./window.ts";

interface Pending {
  mutation: Mutation;
  previous: KeyValue | undefined;
  done(result: WriteResult): void;
  failed(error: Error): void;
}

/** Writes that share one commit. */
const BATCH = 512;
/** Turns of the event loop that a commit waits for others to join it. */
const GATHER_TURNS = 4;
/** Logged writes read at once for a watcher that catches up. */
const CATCH_UP = 500;

export class RevisionStore implements Store {
  readonly #journal: Journal;
  /** Durable values: what readers see. */
  readonly #entries = new Entries();
  readonly #indexes = new Indexes(this.#entries);
  /** Keys with a write on its way: what the next compare-and-swap is held against. */
  readonly #staged = new Map<string, KeyValue | undefined>();
  readonly #window = new Window();
  readonly #watchers = new Watchers();
  #queue: Pending[] = [];
  #flushing: Promise<void> | undefined;
  /** Resolves when the commit that is under way has been told, or has failed. */
  #published = Promise.withResolvers<void>();
  #durable: number;
  #assigned: number;
  #compacted: number;
  #failure: Error | undefined;

  constructor(journal: Journal, initial: InitialState) {
    this.#journal = journal;
    this.#durable = this.#assigned = initial.revision;
    this.#compacted = initial.compactRevision;
    this.#entries.load(initial.current);
  }

  revision(): number {
    return this.#durable;
  }

  compactRevision(): number {
    return this.#compacted;
  }

  async get(key: string, atRevision?: number): Promise<KeyValue | undefined> {
    if (atRevision === undefined || atRevision === this.#durable) return this.#entries.get(key);
    const { items } = await this.list(key, { atRevision, limit: 1 });
    return items[0]?.key === key ? items[0] : undefined;
  }

  async list(prefix: string, options: ListOptions = {}): Promise<ListResult> {
    const { startAfter, limit = Number.POSITIVE_INFINITY, atRevision: at = this.#durable, topic } = options;
    if (at > this.#durable) throw new FutureRevisionError(at, this.#durable);
    if (at < this.#compacted) throw new CompactedError(this.#compacted);
    const past = at === this.#durable ? undefined : await this.#valuesAt(prefix, at);
    // Of those there are now some may not have been there then.
    const most = limit + 1 + (past?.size ?? 0);
    const now =
      (topic && this.#indexes.find(prefix, topic, startAfter)) ?? this.#entries.range(prefix, startAfter, most);
    const items = past ? asTheyWere(now, past, startAfter) : now;
    const more = items.length > limit;
    return { items: more ? items.slice(0, limit) : items, revision: at, more };
  }

  async count(prefix: string): Promise<number> {
    return this.#entries.count(prefix);
  }

  peek(key: string): KeyValue | undefined {
    return this.#entries.get(key);
  }

  peekAll(prefix: string, topic?: Topic): KeyValue[] {
    return (topic && this.#indexes.find(prefix, topic, undefined)) ?? this.#entries.range(prefix);
  }

  put(
    key: string,
    value: Uint8Array | ((revision: number) => Uint8Array),
    expectedRevision: number,
  ): Promise<WriteResult> {
    return this.#write(key, value, expectedRevision);
  }

  delete(key: string, expectedRevision: number): Promise<WriteResult> {
    return this.#write(key, undefined, expectedRevision);
  }

  watch(prefix: string, fromRevision: number, handlers: WatchHandlers, topic?: Topic): WatchSubscription {
    const watcher: Watcher = { prefix, topic, handlers, position: fromRevision, live: false, closed: false };
    this.#watchers.add(watcher);
    // Never from within the call: the caller has no subscription to close yet.
    queueMicrotask(() => {
      this.#catchUp(watcher).catch((error: Error) => this.#watchers.end(watcher, error));
    });
    return {
      delivered: () => (watcher.live ? this.#durable : watcher.position),
      close: () => this.#watchers.remove(watcher),
    };
  }

  addIndexes(prefix: string, definitions: readonly IndexDefinition[]): Promise<void> {
    return this.#indexes.add(prefix, definitions);
  }

  async compact(revision: number): Promise<void> {
    if (revision > this.#durable) throw new FutureRevisionError(revision, this.#durable);
    if (revision <= this.#compacted) return;
    // First: nobody may be promised what the journal is about to forget.
    this.#compacted = revision;
    this.#window.forget(revision);
    await this.#journal.compact(revision);
  }

  async close(): Promise<void> {
    this.#failure ??= new Error("the store is closed");
    await this.#flushing;
    this.#indexes.close();
    this.#watchers.endAll();
    await this.#journal.close();
  }

  #write(
    key: string,
    given: Uint8Array | ((revision: number) => Uint8Array) | undefined,
    expectedRevision: number,
  ): Promise<WriteResult> {
    if (this.#failure) return Promise.reject(this.#failure);
    const previous = this.#staged.has(key) ? this.#staged.get(key) : this.#entries.get(key);
    if ((previous?.modRevision ?? 0) !== expectedRevision || (given === undefined && !previous)) {
      // A writer must not be refused for a value that is not durable yet and might never be.
      if (this.#staged.has(key)) return this.#refuseOnceDurable(key);
      return Promise.resolve({ ok: false, current: previous });
    }
    const revision = this.#assigned + 1;
    const value = typeof given === "function" ? given(revision) : given;
    this.#assigned = revision;
    const createRevision = previous?.createRevision ?? revision;
    const mutation: Mutation = { revision, key, value, createRevision };
    this.#staged.set(key, value && { key, value, createRevision, modRevision: revision, view: undefined });
    return new Promise((done, failed) => {
      this.#queue.push({ mutation, previous, done, failed });
      this.#flushing ??= this.#flush();
    });
  }

  /** Waits for the writes of this key alone: others may go on coming for ever. */
  async #refuseOnceDurable(key: string): Promise<WriteResult> {
    while (this.#staged.has(key) && this.#flushing) await this.#published.promise;
    if (this.#staged.has(key) && this.#failure) throw this.#failure;
    return { ok: false, current: this.#entries.get(key) };
  }

  async #flush(): Promise<void> {
    while (this.#queue.length > 0) {
      await this.#gather();
      const batch = this.#queue.splice(0, BATCH);
      const failure = await this.#journal.commit(batch.map((pending) => pending.mutation)).then(
        () => undefined,
        (error: unknown) => (error instanceof Error ? error : new Error(String(error))),
      );
      if (failure) await this.#refuse(batch, failure);
      else this.#publish(batch);
      this.#wakeRefused();
    }
    this.#flushing = undefined;
    this.#wakeRefused();
  }

  /**
   * Everything that is asked for in this turn goes into one commit, the requests that have come already too; and as
   * long as each turn brings more, the next one's as well. A commit costs two threads a wake-up, which on a virtual
   * machine can be more than half a millisecond of processor, and few of them are cheaper than many.
   */
  async #gather(): Promise<void> {
    let seen = 0;
    for (let turn = 0; turn < GATHER_TURNS && this.#queue.length > seen; turn += 1) {
      seen = this.#queue.length;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /**
   * A batch could not be made durable (the disk is full, say). Where the journal knows that nothing of it is on
   * disk, its writers are told and the store goes on; else only opening it again tells, and no further write is taken.
   */
  async #refuse(batch: readonly Pending[], error: Error): Promise<void> {
    const newest = await this.#journal.newest().catch(() => undefined);
    // What was asked for meanwhile was held against values that will not be.
    const refused = [...batch, ...this.#queue.splice(0)];
    if (newest === this.#durable) {
      this.#staged.clear();
      this.#assigned = this.#durable;
    } else {
      this.#failure ??= error;
      this.#watchers.endAll(error);
    }
    for (const pending of refused) pending.failed(error);
  }

  #wakeRefused(): void {
    this.#published.resolve();
    this.#published = Promise.withResolvers<void>();
  }

  #publish(batch: readonly Pending[]): void {
    const events: StoreEvent[] = [];
    for (const { mutation, previous } of batch) {
      const { key, value, revision, createRevision } = mutation;
      const staged = this.#staged.get(key);
      let current: KeyValue | undefined;
      if (value === undefined) this.#entries.delete(key);
      else {
        // A later write may be staged already: then this value is no longer the staged one.
        current =
          staged?.modRevision === revision
            ? staged
            : { key, value, createRevision, modRevision: revision, view: undefined };
        this.#entries.set(current);
      }
      if (staged?.modRevision === revision || (value === undefined && staged === undefined)) this.#staged.delete(key);
      const event: StoreEvent = {
        type: value === undefined ? "delete" : "put",
        key,
        revision,
        ...(value && current ? { value, current } : {}),
        ...(previous ? { previous } : {}),
      };
      this.#indexes.update(event);
      events.push(event);
    }
    this.#durable = batch.at(-1)?.mutation.revision ?? this.#durable;
    this.#window.push(events);
    this.#watchers.publish(events);
    batch.forEach((pending, at) => {
      const item = events[at]?.current;
      pending.done({ ok: true, revision: pending.mutation.revision, ...(item ? { item } : {}) });
    });
  }

  /** From the log until the window reaches back to where the watcher is, then live. */
  async #catchUp(watcher: Watcher): Promise<void> {
    if (watcher.closed) return;
    if (watcher.position > this.#durable) throw new FutureRevisionError(watcher.position, this.#durable);
    for (;;) {
      if (watcher.position < this.#compacted) throw new CompactedError(this.#compacted);
      const to = (this.#window.oldest ?? this.#durable + 1) - 1;
      if (watcher.position >= to) break;
      const log = await this.#journal.history(watcher.prefix, watcher.position, to, CATCH_UP);
      if (watcher.closed) return;
      // Something of it may have been forgotten before it was read.
      if (watcher.position < this.#compacted) throw new CompactedError(this.#compacted);
      this.#watchers.tell(watcher, wantedBy(watcher, log.map(eventOf)));
      if (watcher.closed) return;
      watcher.position = log.length < CATCH_UP ? to : (log.at(-1)?.revision ?? to);
    }
    // From here on no other code runs: what is not in the window now will be delivered as it happens.
    const missed = wantedBy(watcher, this.#window.after(watcher.position));
    this.#watchers.makeLive(watcher);
    this.#watchers.tell(watcher, missed);
  }

  /** What the keys under a prefix that have changed since a past revision held then. */
  async #valuesAt(prefix: string, at: number): Promise<Map<string, KeyValue | undefined>> {
    const asked = this.#durable;
    const oldest = this.#window.oldest ?? asked + 1;
    if (at + 1 >= oldest) return this.#window.valuesAt(prefix, at);
    const then = new Map(await this.#journal.valuesAt(prefix, at, asked));
    if (at < this.#compacted) throw new CompactedError(this.#compacted);
    // What was written while the log was read is not of this snapshot either; it may even have left the window.
    if (asked < this.#durable && asked + 1 < (this.#window.oldest ?? this.#durable + 1))
      return this.#valuesAt(prefix, at);
    for (const [key, value] of this.#window.valuesAt(prefix, asked)) if (!then.has(key)) then.set(key, value);
    return then;
  }
}
