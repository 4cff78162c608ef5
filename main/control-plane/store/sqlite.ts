/**
 * The store on SQLite. The database lives in a worker thread, so that an fsync never holds up a
 * request; batches of writes share one transaction (WAL, synchronous FULL).
 */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { RevisionStore } from "./revisions.ts";
import type { InitialState, Mutation } from "./revisions.ts";
import type { Store } from "./store.ts";
import type { WorkerAnswer, WorkerRequest } from "./sqlite-worker.ts";

/** The file cannot be used: damaged, or written by a newer Drydock. It was left as it is. */
export class StoreFileError extends Error {
  readonly code: "STORE_DAMAGED" | "STORE_NEWER" | "STORE_IO";
  constructor(code: "STORE_DAMAGED" | "STORE_NEWER" | "STORE_IO", message: string) {
    super(message);
    this.name = "StoreFileError";
    this.code = code;
  }
}

/** Beside this file in the sources, beside the bundle in a build. */
function workerFile(): URL {
  const source = new URL("./sqlite-worker.ts", import.meta.url);
  return existsSync(source) ? source : new URL("./store-worker.js", import.meta.url);
}

/** Opens or makes `store.db` in the folder. Throws StoreFileError. */
export async function openSqliteStore(options: { directory: string }): Promise<Store> {
  mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  const worker = new Worker(workerFile(), { workerData: { file: join(options.directory, "store.db") }, execArgv: [] });
  const waiting = new Map<number, { resolve(value: never): void; reject(error: Error): void }>();
  let serial = 0;
  let dead: Error | undefined;

  const failAll = (error: Error): void => {
    dead ??= error;
    for (const { reject } of waiting.values()) reject(dead);
    waiting.clear();
  };
  worker.on("message", (answer: WorkerAnswer) => {
    const request = waiting.get(answer.id);
    waiting.delete(answer.id);
    if ("error" in answer) request?.reject(new StoreFileError(answer.code, answer.error));
    else request?.resolve(answer.result as never);
  });
  worker.on("error", failAll);
  worker.on("exit", (code) => failAll(new StoreFileError("STORE_IO", `the store's thread ended with code ${code}`)));

  const ask = <T>(request: WorkerRequest): Promise<T> => {
    if (dead) return Promise.reject(dead);
    return new Promise<T>((resolve, reject) => {
      const id = (serial += 1);
      waiting.set(id, { resolve, reject });
      worker.postMessage({ id, ...request });
    });
  };

  let initial: InitialState;
  try {
    initial = await ask<InitialState>({ call: "open" });
  } catch (error) {
    await worker.terminate();
    throw error;
  }
  return new RevisionStore(
    {
      commit: (batch) => ask<void>({ call: "commit", batch }),
      history: (from, to) => ask<Mutation[]>({ call: "history", from, to }),
      compact: (revision) => ask<void>({ call: "compact", revision }),
      close: async () => {
        await ask<void>({ call: "close" });
        await worker.terminate();
      },
    },
    initial,
  );
}
