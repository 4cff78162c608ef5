/**
 * Copies of a store in one file, and stores made of them: what `etcdctl snapshot` and `etcdutl snapshot restore`
 * are to etcd. A copy may be made while a control plane works on the store.
 */
import Database from "better-sqlite3";
import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { FileError, LogFile, fileErrorOf } from "./database.ts";
import { STORE_FILE } from "./sqlite.ts";

export interface SnapshotStatus {
  revision: number;
  /** Keys that hold a value. */
  totalKey: number;
  /** Bytes. */
  totalSize: number;
}

/**
 * How far a restored store's revisions leap: whoever has seen revisions that are newer than the snapshot is told
 * that they are gone, and lists again, instead of taking others' writes for those it knows.
 */
const LEAP = 1_000_000;

/** Writes a consistent copy of the folder's store to a new file. Throws FileError. */
export function saveSnapshot(directory: string, file: string): SnapshotStatus {
  const source = join(directory, STORE_FILE);
  if (!existsSync(source)) throw new FileError("STORE_IO", `${source} is not there: nothing to copy`);
  if (existsSync(file)) throw new FileError("STORE_IO", `${file} is there already`);
  const beside = `${file}.part`;
  rmSync(beside, { force: true });
  try {
    const db = new Database(source, { readonly: true });
    try {
      // One reading transaction: commits that come meanwhile are not in it.
      db.prepare("VACUUM INTO ?").run(beside);
    } finally {
      db.close();
    }
    sync(beside);
    const status = snapshotStatus(beside);
    renameSync(beside, file);
    sync(dirname(file));
    return status;
  } catch (error) {
    rmSync(beside, { force: true });
    throw fileErrorOf(error, source);
  }
}

/** What is in a snapshot. Throws FileError when it is none, or damaged. */
export function snapshotStatus(file: string): SnapshotStatus {
  if (!existsSync(file)) throw new FileError("STORE_IO", `${file} is not there`);
  let db: Database.Database | undefined;
  try {
    db = new Database(file, { readonly: true });
    const found = db.pragma("quick_check(1)", { simple: true });
    if (found !== "ok") throw new FileError("STORE_DAMAGED", `${file} is damaged: ${String(found)}`);
    const number = (sql: string): number => Number(db?.prepare(sql).pluck().get() ?? 0);
    return {
      revision: Math.max(
        number("SELECT max(revision) FROM log"),
        number("SELECT number FROM meta WHERE name = 'revision'"),
      ),
      totalKey: number(
        "SELECT count(*) FROM (SELECT max(revision) AS newest FROM log GROUP BY key) JOIN log ON log.revision = newest WHERE value IS NOT NULL",
      ),
      totalSize: statSync(file).size,
    };
  } catch (error) {
    const known = fileErrorOf(error, file);
    throw known.code === "STORE_IO"
      ? new FileError("STORE_DAMAGED", `${file} is no snapshot: ${known.message}`)
      : known;
  } finally {
    db?.close();
  }
}

/** Makes a store of a snapshot, in a folder that has none. The snapshot stays as it is. Throws FileError. */
export function restoreSnapshot(file: string, directory: string): SnapshotStatus {
  const target = join(directory, STORE_FILE);
  if (existsSync(target)) throw new FileError("STORE_IO", `${target} is there already: move it away first`);
  const { revision } = snapshotStatus(file);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const beside = `${target}.part`;
  const clean = (): void => {
    for (const end of ["", "-wal", "-shm"]) rmSync(beside + end, { force: true });
  };
  clean();
  try {
    copyFileSync(file, beside);
    const log = new LogFile(beside);
    log.compact(revision + LEAP);
    log.close();
    sync(beside);
    renameSync(beside, target);
    sync(directory);
    return snapshotStatus(target);
  } catch (error) {
    clean();
    throw fileErrorOf(error, target);
  }
}

function sync(path: string): void {
  const handle = openSync(path, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
