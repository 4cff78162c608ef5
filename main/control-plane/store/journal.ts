/** What lies under a store: an engine that makes batches of writes durable and can be asked for its log. */
import type { KeyValue, StoreEvent } from "./store.ts";

/** One write on its way to disk. */
export interface Mutation {
  revision: number;
  key: string;
  /** undefined deletes. */
  value: Uint8Array | undefined;
  createRevision: number;
}

/** A logged write with what was there before it. */
export interface LoggedWrite extends Mutation {
  previous: KeyValue | undefined;
}

/** What a key held at a revision; undefined: it was not there. */
export type Then = [key: string, value: KeyValue | undefined];

export interface Journal {
  /** Makes the mutations durable, all or none, then resolves. Called for one batch at a time. */
  commit(batch: Mutation[]): Promise<void>;
  /** After a commit that failed: the newest revision that is durable. Rejects where that cannot be told any more. */
  newest(): Promise<number>;
  /** The oldest `most` writes under a prefix with revision > from and <= to, in order. */
  history(prefix: string, from: number, to: number, most: number): Promise<LoggedWrite[]>;
  /** What the keys under a prefix that were written after `at` (and up to `to`) held at `at`. */
  valuesAt(prefix: string, at: number, to: number): Promise<Then[]>;
  /** From here on what was overwritten or deleted by then is not asked for any more. */
  compact(revision: number): Promise<void>;
  close(): Promise<void>;
}

export interface InitialState {
  revision: number;
  compactRevision: number;
  /** In the order of their keys. */
  current: KeyValue[];
}

export function eventOf({ key, value, revision, createRevision, previous }: LoggedWrite): StoreEvent {
  return {
    type: value === undefined ? "delete" : "put",
    key,
    revision,
    ...(value ? { value, current: { key, value, createRevision, modRevision: revision } } : {}),
    ...(previous ? { previous } : {}),
  };
}
