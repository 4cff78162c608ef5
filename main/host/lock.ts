/**
 * One engine per data folder. The lock file names its holder by process id and start time, so that a
 * lock left by a killed engine, or a process id that the system has given to somebody else since, is
 * found out and taken over.
 */
import { randomBytes } from "node:crypto";
import { link, mkdir, readFile, rm, stat, unlink, writeFile } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import { processStartTime } from "./process-start.ts";

export interface LockHolder {
  pid: number;
  /** As the system tells it; compared, never computed with. */
  startTime: string;
}

export interface Lock {
  holder: LockHolder;
  /** True while the file still names us. */
  held(): Promise<boolean>;
  release(): Promise<void>;
}

/** The lock is held by this living process. */
export class LockedError extends Error {
  readonly holder: LockHolder;
  constructor(holder: LockHolder) {
    super(`an engine is running already (process ${holder.pid})`);
    this.name = "LockedError";
    this.holder = holder;
  }
}

/** The living holder of a lock file, if any: absent, damaged and stale files all mean nobody. */
export async function lockHolder(file: string): Promise<LockHolder | undefined> {
  const holder = parse(await readIfThere(file));
  return holder && (await alive(holder)) ? holder : undefined;
}

/** A take-over lasts milliseconds; one this old was cut short by a kill. */
const TAKE_OVER_STALE_MILLIS = 5_000;
const DEADLINE_MILLIS = 15_000;

/**
 * Takes the lock or throws LockedError. A hard link makes it appear with its content at once. A stale one
 * is removed by one taker at a time, who looks again before it does: otherwise a slow taker would remove
 * the lock that a quicker one has just made.
 */
export async function acquireLock(file: string): Promise<Lock> {
  const holder: LockHolder = { pid: process.pid, startTime: (await processStartTime(process.pid)) ?? "unknown" };
  const content = JSON.stringify(holder);
  const mine = `${file}.${process.pid}.${randomBytes(4).toString("hex")}`;
  await writeFile(mine, content, { mode: 0o600 });
  try {
    for (const deadline = Date.now() + DEADLINE_MILLIS; Date.now() < deadline;) {
      if (await linked(mine, file)) return lockOf(file, holder, content);
      const other = await lockHolder(file);
      if (other) throw new LockedError(other);
      await removeStale(file);
    }
    throw new Error(`cannot take the lock ${file}`);
  } finally {
    await unlink(mine);
  }
}

function lockOf(file: string, holder: LockHolder, content: string): Lock {
  const held = async (): Promise<boolean> => (await readIfThere(file)) === content;
  return {
    holder,
    held,
    async release() {
      if (await held()) await unlink(file);
    },
  };
}

/** Removes the lock if nobody living holds it, as the only one who does so; returns soon when somebody else is at it. */
async function removeStale(file: string): Promise<void> {
  const guard = `${file}.take-over`;
  try {
    await mkdir(guard);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    const since = await stat(guard).then(
      (info) => info.mtimeMs,
      () => Date.now(),
    );
    if (Date.now() - since > TAKE_OVER_STALE_MILLIS) await rm(guard, { recursive: true, force: true });
    await setTimeout(10);
    return;
  }
  try {
    if (!(await lockHolder(file))) await rm(file, { force: true });
  } finally {
    await rm(guard, { recursive: true, force: true });
  }
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function parse(content: string | undefined): LockHolder | undefined {
  if (content === undefined) return undefined;
  try {
    const value = JSON.parse(content) as Partial<LockHolder> | null;
    if (typeof value?.pid === "number" && typeof value.startTime === "string")
      return { pid: value.pid, startTime: value.startTime };
    return undefined;
  } catch {
    // Damaged (power lost while it was written): nobody's.
    return undefined;
  }
}

async function alive(holder: LockHolder): Promise<boolean> {
  return (await processStartTime(holder.pid)) === holder.startTime;
}
