/** The thread that owns the database file: opens, commits, reads history, compacts. One request at a time, in order. */
import Database from "better-sqlite3";
import { parentPort, workerData } from "node:worker_threads";
import type { InitialState, Mutation } from "./revisions.ts";

export type WorkerRequest =
  | { call: "open" }
  | { call: "commit"; batch: Mutation[] }
  | { call: "history"; from: number; to: number }
  | { call: "compact"; revision: number }
  | { call: "close" };

export type WorkerAnswer =
  | { id: number; result: unknown }
  | { id: number; error: string; code: "STORE_DAMAGED" | "STORE_NEWER" | "STORE_IO" };

const SCHEMA_VERSION = 1;
/** How many of the newest mutations a fresh process gets for its watchers. */
const RECENT = 5000;

interface Row {
  revision: number;
  key: string;
  value: Uint8Array | null;
  created: number;
}

class FileError extends Error {
  readonly code: "STORE_DAMAGED" | "STORE_NEWER";
  constructor(code: "STORE_DAMAGED" | "STORE_NEWER", message: string) {
    super(message);
    this.code = code;
  }
}

const { file } = workerData as { file: string };
let db: Database.Database;

const mutationOf = (row: Row): Mutation => ({
  revision: row.revision,
  key: row.key,
  value: row.value ?? undefined,
  createRevision: row.created,
});

function open(): InitialState {
  try {
    db = new Database(file);
    db.pragma("journal_mode = WAL");
    db.pragma("synchronous = FULL");
    db.pragma("wal_autocheckpoint = 2000");
    const version = db.pragma("user_version", { simple: true }) as number;
    if (version > SCHEMA_VERSION)
      throw new FileError(
        "STORE_NEWER",
        `${file} was written by a newer version of Drydock (format ${version}; this one knows ${SCHEMA_VERSION})`,
      );
    if (version === 0) {
      // `log` has every write since the last compaction, and for each older key its newest value.
      db.exec(`
        BEGIN;
        CREATE TABLE log (revision INTEGER PRIMARY KEY, key TEXT NOT NULL, value BLOB, created INTEGER NOT NULL);
        CREATE INDEX log_key ON log (key, revision);
        CREATE TABLE meta (name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
        INSERT INTO meta VALUES ('compacted', 0), ('revision', 0);
        PRAGMA user_version = ${SCHEMA_VERSION};
        COMMIT;`);
    }
    const number = (name: string): number =>
      (db.prepare("SELECT number FROM meta WHERE name = ?").pluck().get(name) as number | undefined) ?? 0;
    const newest = (db.prepare("SELECT max(revision) FROM log").pluck().get() as number | null) ?? 0;
    const current = db
      .prepare(
        "SELECT log.* FROM log JOIN (SELECT max(revision) AS newest FROM log GROUP BY key) ON log.revision = newest WHERE value IS NOT NULL",
      )
      .all() as Row[];
    const compactRevision = number("compacted");
    const recent = db
      .prepare("SELECT * FROM log WHERE revision > ? ORDER BY revision DESC LIMIT ?")
      .all(compactRevision, RECENT) as Row[];
    return {
      revision: Math.max(newest, number("revision")),
      compactRevision,
      current: current.map((row) => ({
        key: row.key,
        value: row.value as Uint8Array,
        createRevision: row.created,
        modRevision: row.revision,
      })),
      recent: recent.toReversed().map(mutationOf),
    };
  } catch (error) {
    if (error instanceof FileError) throw error;
    throw new FileError("STORE_DAMAGED", `${file} cannot be opened as a store: ${(error as Error).message}`);
  }
}

function commit(batch: Mutation[]): void {
  const insert = db.prepare("INSERT INTO log (revision, key, value, created) VALUES (?, ?, ?, ?)");
  db.transaction(() => {
    for (const { revision, key, value, createRevision } of batch)
      insert.run(revision, key, value ?? null, createRevision);
  })();
}

function compact(revision: number): void {
  db.transaction(() => {
    // What was overwritten or deleted by then goes; each key's value as of then stays.
    db.prepare(
      `DELETE FROM log WHERE revision <= @at AND (value IS NULL OR EXISTS
         (SELECT 1 FROM log later WHERE later.key = log.key AND later.revision > log.revision AND later.revision <= @at))`,
    ).run({ at: revision });
    db.prepare("UPDATE meta SET number = ? WHERE name = 'compacted'").run(revision);
    // The newest revision may have been a deletion that is gone from the log now: revisions are never reused.
    db.prepare("UPDATE meta SET number = max(number, ?) WHERE name = 'revision'").run(revision);
  })();
}

function answer(request: WorkerRequest): unknown {
  switch (request.call) {
    case "open":
      return open();
    case "commit":
      return commit(request.batch);
    case "history":
      return (
        db
          .prepare("SELECT * FROM log WHERE revision > ? AND revision <= ? ORDER BY revision")
          .all(request.from, request.to) as Row[]
      ).map(mutationOf);
    case "compact":
      return compact(request.revision);
    case "close":
      db.close();
      return undefined;
  }
}

parentPort?.on("message", (request: WorkerRequest & { id: number }) => {
  let reply: WorkerAnswer;
  try {
    reply = { id: request.id, result: answer(request) };
  } catch (error) {
    reply = {
      id: request.id,
      error: (error as Error).message,
      code: error instanceof FileError ? error.code : "STORE_IO",
    };
  }
  parentPort?.postMessage(reply);
});
