/** The thread that owns the database file. One request at a time, in order. */
import { parentPort, workerData } from "node:worker_threads";
import { LogFile, fileErrorOf } from "./database.ts";
import type { FileErrorCode } from "./database.ts";
import { Ownership } from "./ownership.ts";
import { pack, unpack } from "./packing.ts";
import type { Packed } from "./packing.ts";

export type WorkerRequest =
  | { call: "open" }
  /** The next current values after a key. */
  | { call: "current"; startAfter: string }
  | { call: "commit"; rows: Packed }
  | { call: "newest" }
  | { call: "history"; prefix: string; from: number; to: number; most: number }
  | { call: "valuesAt"; prefix: string; at: number; to: number }
  | { call: "compact"; revision: number }
  | { call: "purge" }
  | { call: "close" };

export type WorkerAnswer = { id: number; result: unknown } | { id: number; error: string; code: FileErrorCode };

export interface StoreWorkerData {
  file: string;
  mostBytes?: number;
}

/** Values sent at once while a store is opened: little enough to be dealt with in a few milliseconds. */
const CURRENT_BYTES = 512 * 1024;
/** Logged writes that a purge looks at in one transaction. */
const PURGE_STEP = 500;

const { file, mostBytes } = workerData as StoreWorkerData;
let owner: Ownership | undefined;
let log: LogFile;

function answer(request: WorkerRequest): unknown {
  switch (request.call) {
    case "open":
      owner = new Ownership(file);
      log = new LogFile(file, mostBytes);
      return log.revisions;
    case "current":
      return pack(log.current(request.startAfter, CURRENT_BYTES));
    case "commit":
      return log.commit(unpack(request.rows));
    case "newest":
      return log.newest();
    case "history":
      return log.history(request.prefix, request.from, request.to, request.most);
    case "valuesAt":
      return log.valuesAt(request.prefix, request.at, request.to);
    case "compact":
      return log.compact(request.revision);
    case "purge":
      return log.purge(PURGE_STEP);
    case "close":
      log.close();
      return owner?.release();
  }
}

const transferOf = (result: unknown): ArrayBuffer[] =>
  typeof result === "object" && result !== null && "heads" in result ? [(result as Packed).values.buffer] : [];

parentPort?.on("message", (request: WorkerRequest & { id: number }) => {
  const { id } = request;
  const send = (reply: WorkerAnswer, transfer: ArrayBuffer[] = []): void => parentPort?.postMessage(reply, transfer);
  try {
    const result = answer(request);
    send({ id, result }, transferOf(result));
  } catch (error) {
    const { message, code } = fileErrorOf(error, file);
    send({ id, error: message, code });
  }
});
