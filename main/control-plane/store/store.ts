/**
 * The store: a key-value space with history, in the manner of etcd v3, holding a cluster's
 * configuration and state. Everything above it depends on this interface alone.
 *
 * Promises:
 *  - Revisions rise by one with each successful write and are never reused, across restarts too.
 *  - A write that was acknowledged survives kill -9 and power loss.
 *  - A watch from revision R delivers every event with revision > R exactly once, in order, or ends
 *    with `CompactedError`. No event is delivered before it is durable.
 */

/** A key's current value. `modRevision` is the revision of the write that made it. */
export interface KeyValue {
  key: string;
  value: Uint8Array;
  createRevision: number;
  modRevision: number;
  /** For those above: what they made of the value and want to have for as long as it is there. */
  view?: object | undefined;
}

export interface StoreEvent {
  type: "put" | "delete";
  key: string;
  /** The revision of this write. */
  revision: number;
  /** For put: the new value. For delete: undefined. */
  value?: Uint8Array;
  /** For put: what the key holds after it; the very object that `get` and `list` answer while it is current. */
  current?: KeyValue;
  /** The value before this write; undefined when the key was created. */
  previous?: KeyValue;
}

export interface ListResult {
  items: KeyValue[];
  /** The revision of the snapshot this page shows. */
  revision: number;
  /** True when keys after the last item exist. */
  more: boolean;
}

/** What a compare-and-swap write did. */
export type WriteResult =
  | { ok: true; revision: number; /** For put: what the key holds now. */ item?: KeyValue }
  /** The key was not at the expected revision; `current` is what is there now. */
  | { ok: false; current: KeyValue | undefined };

export class CompactedError extends Error {
  readonly compactRevision: number;
  constructor(compactRevision: number) {
    super(`the requested revision is older than the compaction at ${compactRevision}`);
    this.name = "CompactedError";
    this.compactRevision = compactRevision;
  }
}

export class FutureRevisionError extends Error {
  readonly revision: number;
  readonly currentRevision: number;
  constructor(requested: number, currentRevision: number) {
    super(`revision ${requested} is in the future: the store is at ${currentRevision}`);
    this.name = "FutureRevisionError";
    this.revision = requested;
    this.currentRevision = currentRevision;
  }
}

/**
 * What a reader wants of a collection, by something its values say: `name` is the question ("spec.nodeName"),
 * `value` the answer wanted, `of` finds the answer in a value. Whoever asks alike must give the same `of`; it
 * must not throw.
 */
export interface Topic {
  name: string;
  value: string;
  of(item: KeyValue): string | undefined;
  /** The index that finds it, where that is not of the same name and value: one of all labels, say. */
  index?: { name: string; value: string };
}

/** What an index keeps values by: one answer, none, or several. */
export interface IndexDefinition {
  name: string;
  of(item: KeyValue): string | readonly string[] | undefined;
}

export interface ListOptions {
  /** Exclusive. */
  startAfter?: string | undefined;
  limit?: number | undefined;
  /** Default: now. */
  atRevision?: number | undefined;
  /** A hint: with an index of that name values that answer otherwise are left out, without one they may be there. */
  topic?: Topic | undefined;
}

export interface WatchSubscription {
  /** Every event up to this revision that concerns the watcher was delivered (for bookmarks). */
  delivered(): number;
  /** Idempotent. No callback runs after it returns. */
  close(): void;
}

export interface WatchHandlers {
  /** Events in revision order; a batch holds one or more whole revisions. What it throws ends the watch. */
  events(batch: StoreEvent[]): void;
  /** Terminal: CompactedError, FutureRevisionError, or the store closed. */
  end(error?: Error): void;
}

export interface Store {
  /** The newest durable revision. */
  revision(): number;
  compactRevision(): number;
  get(key: string, atRevision?: number): Promise<KeyValue | undefined>;
  /**
   * Keys with `prefix`, in byte order. Throws CompactedError / FutureRevisionError.
   */
  list(prefix: string, options?: ListOptions): Promise<ListResult>;
  count(prefix: string): Promise<number>;
  /** What `get` answers at this moment, for whoever must decide within one turn. */
  peek(key: string): KeyValue | undefined;
  /** What `list` answers at this moment. */
  peekAll(prefix: string, topic?: Topic): KeyValue[];
  /**
   * expectedRevision 0 means "must not exist". Resolves once durable. A value that holds its own revision is
   * given as a function of it, which is called at once, and only when the write is taken.
   */
  put(
    key: string,
    value: Uint8Array | ((revision: number) => Uint8Array),
    expectedRevision: number,
  ): Promise<WriteResult>;
  /** Resolves once durable. A missing key gives { ok: false, current: undefined }. */
  delete(key: string, expectedRevision: number): Promise<WriteResult>;
  /**
   * Delivers every event under `prefix` with revision > fromRevision, history first, then live. With a topic, those
   * events alone before or after which the value answered as wanted; others cost the watcher nothing.
   */
  watch(prefix: string, fromRevision: number, handlers: WatchHandlers, topic?: Topic): WatchSubscription;
  /** Keeps the values under a prefix findable by the answers of some indexes; resolves when all are. */
  addIndexes(prefix: string, definitions: readonly IndexDefinition[]): Promise<void>;
  /** Forgets history up to and including `revision`; current values stay. */
  compact(revision: number): Promise<void>;
  close(): Promise<void>;
}
