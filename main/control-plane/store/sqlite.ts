/**
 * The store on SQLite. The database lives in a worker thread, so that an fsync never holds up a
 * request; batches of writes share one transaction (WAL, synchronous FULL).
 */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { FileErrorCode, WriteRow } from "./database.ts";
import type { InitialState, Journal, LoggedWrite, Mutation, Then } from "./journal.ts";
import { pack, unpack } from "./packing.ts";
import type { Packed, Row } from "./packing.ts";
import { RevisionStore } from "./revisions.ts";
import type { StoreWorkerData, WorkerAnswer, WorkerRequest } from "./sqlite-worker.ts";
import type { KeyValue, Store } from "./store.ts";

/** The file cannot be used: damaged, written by a newer Drydock, full or unreadable. It was left as it is. */
export class StoreFileError extends Error {
  readonly code: FileErrorCode;
  constructor(code: FileErrorCode, message: string) {
    super(message);
    this.name = "StoreFileError";
    this.code = code;
  }
}

export const STORE_FILE = "store.db";

export interface SqliteStoreOptions {
  directory: string;
  /** The file may not grow beyond; writes are refused until there is room again. Default: as the disk has room. */
  mostBytes?: number;
}

/** Opens or makes `store.db` in the folder. Throws StoreFileError. */
export async function openSqliteStore({ directory, mostBytes }: SqliteStoreOptions): Promise<Store> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const thread = new StoreThread({
    file: join(directory, STORE_FILE),
    ...(mostBytes === undefined ? {} : { mostBytes }),
  });
  try {
    return new RevisionStore(journalOf(thread), await readAll(thread));
  } catch (error) {
    await thread.end();
    throw error;
  }
}

async function readAll(thread: StoreThread): Promise<InitialState> {
  const revisions = await thread.ask<Pick<InitialState, "revision" | "compactRevision">>({ call: "open" });
  const current: KeyValue[] = [];
  for (;;) {
    const rows = unpack(await thread.ask<Packed>({ call: "current", startAfter: current.at(-1)?.key ?? "" }));
    if (rows.length === 0) return { ...revisions, current };
    for (const row of rows) current.push(valueOf(row));
  }
}

function journalOf(thread: StoreThread): Journal {
  let closing = false;
  return {
    commit: (batch) => {
      const rows = pack(
        batch.map(({ revision, createRevision: created, key, value }) => ({ revision, created, key, value })),
      );
      return thread.ask<void>({ call: "commit", rows }, [rows.values.buffer]);
    },
    newest: () => thread.ask<number>({ call: "newest" }),
    history: async (prefix, from, to, most) =>
      (await thread.ask<WriteRow[]>({ call: "history", prefix, from, to, most })).map(writeOf),
    valuesAt: async (prefix, at, to) =>
      (await thread.ask<{ key: string; was: Row | undefined }[]>({ call: "valuesAt", prefix, at, to })).map(
        ({ key, was }): Then => [key, was && valueOf(was)],
      ),
    compact: async (revision) => {
      await thread.ask<void>({ call: "compact", revision });
      // One step after another: commits that come meanwhile go between. What is left is for the next time.
      while (!closing && (await thread.ask<boolean>({ call: "purge" })));
    },
    close: async () => {
      closing = true;
      await thread.ask<void>({ call: "close" });
      await thread.end();
    },
  };
}

const valueOf = ({ key, value, created, revision }: Row): KeyValue => ({
  key,
  value: value ?? new Uint8Array(0),
  createRevision: created,
  modRevision: revision,
  view: undefined,
});

const mutationOf = ({ created, ...rest }: Row): Mutation => ({ ...rest, createRevision: created });

const writeOf = ({ previous, ...row }: WriteRow): LoggedWrite => ({
  ...mutationOf(row),
  previous: previous && valueOf(previous),
});

/** Beside this file in the sources, beside the bundle in a build. */
function workerFile(): URL {
  const source = new URL("./sqlite-worker.ts", import.meta.url);
  return existsSync(source) ? source : new URL("./store-worker.js", import.meta.url);
}

/** It keeps nothing: what it needs for long is SQLite's. Without a limit its garbage would pile up to 100 MB. */
const WORKER_LIMITS = { maxYoungGenerationSizeMb: 8 };

/** Questions to the thread that owns the file, and its answers. */
class StoreThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, { resolve(value: never): void; reject(error: Error): void }>();
  #serial = 0;
  #dead: Error | undefined;

  constructor(workerData: StoreWorkerData) {
    this.#worker = new Worker(workerFile(), { workerData, execArgv: [], resourceLimits: WORKER_LIMITS });
    this.#worker.on("message", (answer: WorkerAnswer) => {
      const request = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if ("error" in answer) request?.reject(new StoreFileError(answer.code, answer.error));
      else request?.resolve(answer.result as never);
    });
    this.#worker.on("error", (error) => this.#fail(error as Error));
    this.#worker.on("exit", (code) =>
      this.#fail(new StoreFileError("STORE_IO", `the store's thread ended with code ${code}`)),
    );
  }

  ask<T>(request: WorkerRequest, transfer: ArrayBuffer[] = []): Promise<T> {
    if (this.#dead) return Promise.reject(this.#dead);
    return new Promise<T>((resolve, reject) => {
      const id = (this.#serial += 1);
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, ...request }, transfer);
    });
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  #fail(error: Error): void {
    this.#dead ??= error;
    for (const { reject } of this.#waiting.values()) reject(this.#dead);
    this.#waiting.clear();
  }
}
