/** The database file of a store: its tables, and what is asked of them. Synchronous: for a thread of its own. */
import Database from "better-sqlite3";
import { endOf } from "./entries.ts";
import type { Row } from "./packing.ts";

const FORMAT = 1;

export type FileErrorCode = "STORE_DAMAGED" | "STORE_NEWER" | "STORE_FULL" | "STORE_IO" | "STORE_IN_USE";

/** The file cannot be used, or not now. It was left as it is. */
export class FileError extends Error {
  readonly code: FileErrorCode;
  constructor(code: FileErrorCode, message: string) {
    super(message);
    this.name = "StoreFileError";
    this.code = code;
  }
}

/** What went wrong, by SQLite's own codes. */
export function fileErrorOf(error: unknown, file: string): FileError {
  if (error instanceof FileError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const code = (error as { code?: unknown }).code;
  if (code === "SQLITE_FULL") return new FileError("STORE_FULL", `the disk or the quota of ${file} is full`);
  if (code === "SQLITE_CORRUPT" || code === "SQLITE_NOTADB")
    return new FileError("STORE_DAMAGED", `${file} is damaged: ${message}`);
  return new FileError("STORE_IO", `${file}: ${message}`);
}

interface LogRow {
  revision: number;
  key: string;
  value: Buffer | null;
  created: number;
}

interface RowBefore {
  was: number | null;
  wasValue: Buffer | null;
  wasCreated: number | null;
}

export interface WriteRow extends Row {
  previous: Row | undefined;
}

const rowOf = ({ revision, key, value, created }: LogRow): Row => ({
  revision,
  key,
  value: value ?? undefined,
  created,
});

const before = ({ key, was, wasValue, wasCreated }: RowBefore & { key: string }): Row | undefined =>
  was === null || wasValue === null ? undefined : { revision: was, key, value: wasValue, created: wasCreated ?? was };

export class LogFile {
  readonly #db: Database.Database;
  readonly #insert: Database.Statement;

  /** Opens or makes the file. Throws FileError. `mostBytes`: it may not grow beyond. */
  constructor(file: string, mostBytes?: number) {
    let db: Database.Database | undefined;
    try {
      db = new Database(file);
      prepare(db, file, mostBytes);
      this.#insert = db.prepare("INSERT INTO log (revision, key, value, created) VALUES (?, ?, ?, ?)");
      this.#db = db;
    } catch (error) {
      db?.close();
      const known = fileErrorOf(error, file);
      if (known.code === "STORE_NEWER" || known.code === "STORE_DAMAGED" || known.code === "STORE_FULL") throw known;
      throw new FileError("STORE_DAMAGED", `${file} cannot be opened as a store: ${(error as Error).message}`);
    }
  }

  get revisions(): { revision: number; compactRevision: number } {
    return { revision: this.newest(), compactRevision: this.#number("compacted") };
  }

  newest(): number {
    const logged = (this.#db.prepare("SELECT max(revision) FROM log").pluck().get() as number | null) ?? 0;
    return Math.max(logged, this.#number("revision"));
  }

  /** The current values in the order of their keys, those after a key, as many as fit into so many bytes. */
  current(startAfter: string, bytes: number): Row[] {
    const rows: Row[] = [];
    let size = 0;
    const newest = this.#db.prepare(
      `SELECT log.* FROM (SELECT max(revision) AS newest FROM log WHERE key > ? GROUP BY key ORDER BY key) JOIN log ON log.revision = newest`,
    );
    for (const row of newest.iterate(startAfter) as IterableIterator<LogRow>) {
      if (row.value === null) continue;
      rows.push(rowOf(row));
      if ((size += row.value.length) >= bytes) break;
    }
    return rows;
  }

  commit(rows: readonly Row[]): void {
    this.#db.transaction(() => {
      for (const { revision, key, value, created } of rows) this.#insert.run(revision, key, value ?? null, created);
    })();
  }

  history(prefix: string, from: number, to: number, most: number): WriteRow[] {
    const { where, bounds } = under(prefix);
    const rows = this.#db
      .prepare(
        `SELECT log.*, p.revision AS was, p.value AS wasValue, p.created AS wasCreated
         FROM log LEFT JOIN log p ON p.revision =
           (SELECT max(o.revision) FROM log o WHERE o.key = log.key AND o.revision < log.revision)
         WHERE log.revision > ? AND log.revision <= ? ${where} ORDER BY log.revision LIMIT ?`,
      )
      .all(from, to, ...bounds, most) as (LogRow & RowBefore)[];
    return rows.map((row) => ({ ...rowOf(row), previous: before(row) }));
  }

  /** Keys under the prefix that were written in (at, to], with what they held at `at`. */
  valuesAt(prefix: string, at: number, to: number): { key: string; was: Row | undefined }[] {
    const { where, bounds } = under(prefix);
    const rows = this.#db
      .prepare(
        `SELECT changed.key AS key, p.revision AS was, p.value AS wasValue, p.created AS wasCreated
         FROM (SELECT DISTINCT key FROM log WHERE revision > ? AND revision <= ? ${where}) changed
         LEFT JOIN log p ON p.revision =
           (SELECT max(o.revision) FROM log o WHERE o.key = changed.key AND o.revision <= ?)`,
      )
      .all(at, to, ...bounds, at) as (RowBefore & { key: string })[];
    return rows.map((row) => ({ key: row.key, was: before(row) }));
  }

  /** Writes down that what happened up to a revision may be forgotten; `purge` forgets it. */
  compact(revision: number): void {
    this.#db.transaction(() => {
      const set = this.#db.prepare(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET number = max(number, excluded.number)",
      );
      set.run("compacted", revision);
      // The newest revision may be a deletion that is forgotten: revisions are never reused.
      set.run("revision", revision);
    })();
  }

  /** Forgets some of what may be forgotten, in a transaction of its own. False when nothing was left. */
  purge(step: number): boolean {
    const compacted = this.#number("compacted");
    const from = this.#number("purged");
    if (from >= compacted) return false;
    // Steps of the log, not of revisions: after a restore those may have leapt.
    const next = this.#db
      .prepare("SELECT revision FROM log WHERE revision > ? AND revision <= ? ORDER BY revision LIMIT 1 OFFSET ?")
      .pluck()
      .get(from, compacted, step - 1) as number | undefined;
    const to = next ?? compacted;
    this.#db.transaction(() => {
      // Each of these writes outlived those of the same key before it; and a deletion outlives itself.
      this.#db
        .prepare(
          `DELETE FROM log WHERE revision IN (SELECT older.revision FROM log newer JOIN log older
             ON older.key = newer.key AND older.revision < newer.revision
             WHERE newer.revision > @from AND newer.revision <= @to)`,
        )
        .run({ from, to });
      this.#db.prepare("DELETE FROM log WHERE revision > ? AND revision <= ? AND value IS NULL").run(from, to);
      this.#db
        .prepare("INSERT INTO meta VALUES ('purged', @to) ON CONFLICT (name) DO UPDATE SET number = @to")
        .run({ to });
    })();
    return true;
  }

  close(): void {
    this.#db.close();
  }

  #number(name: string): number {
    return (this.#db.prepare("SELECT number FROM meta WHERE name = ?").pluck().get(name) as number | undefined) ?? 0;
  }
}

function prepare(db: Database.Database, file: string, mostBytes: number | undefined): void {
  db.pragma("journal_mode = WAL");
  db.pragma("synchronous = FULL");
  db.pragma("wal_autocheckpoint = 2000");
  if (mostBytes !== undefined) {
    const page = db.pragma("page_size", { simple: true }) as number;
    db.pragma(`max_page_count = ${Math.max(1, Math.floor(mostBytes / page))}`);
  }
  const format = db.pragma("user_version", { simple: true }) as number;
  if (format > FORMAT)
    throw new FileError(
      "STORE_NEWER",
      `${file} was written by a newer version of Drydock (format ${format}; this one knows ${FORMAT})`,
    );
  if (format === FORMAT) return;
  // `log` has every write since the last compaction, and for each older key its newest value.
  db.exec(`
    BEGIN;
    CREATE TABLE log (revision INTEGER PRIMARY KEY, key TEXT NOT NULL, value BLOB, created INTEGER NOT NULL);
    CREATE INDEX log_key ON log (key, revision);
    CREATE TABLE meta (name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO meta VALUES ('compacted', 0), ('revision', 0);
    PRAGMA user_version = ${FORMAT};
    COMMIT;`);
}

/** SQL that keeps to keys with a prefix. */
function under(prefix: string): { where: string; bounds: string[] } {
  return prefix === ""
    ? { where: "", bounds: [] }
    : { where: "AND +log.key >= ? AND +log.key < ?", bounds: [prefix, endOf(prefix)] };
}
