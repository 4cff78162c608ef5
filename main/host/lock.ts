/**
 * One engine per data folder. The lock file names its holder by process id and start time, so that a
 * lock left by a killed engine, or a process id that the system has given to somebody else since, is
 * found out and taken over.
 */
import { randomBytes } from "node:crypto";
import { link, readFile, rename, unlink, writeFile } from "node:fs/promises";
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

/**
 * Takes the lock or throws LockedError. A hard link makes it appear with its content at once; a stale
 * one is moved aside under a name of ours first, and given back if it turns out to have been renewed
 * in between.
 */
export async function acquireLock(file: string): Promise<Lock> {
  const holder: LockHolder = { pid: process.pid, startTime: (await processStartTime(process.pid)) ?? "unknown" };
  const content = JSON.stringify(holder);
  const mine = `${file}.${process.pid}.${randomBytes(4).toString("hex")}`;
  await writeFile(mine, content, { mode: 0o600 });
  try {
    for (let attempt = 0; attempt < 20; attempt++) {
      if (await linked(mine, file)) return lockOf(file, holder, content);
      const found = await readIfThere(file);
      const other = parse(found);
      if (other && (await alive(other))) throw new LockedError(other);
      await moveAside(file, found, `${mine}.stale`);
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

/** Moves the file away if it still says `expected`; else puts it back. */
async function moveAside(file: string, expected: string | undefined, aside: string): Promise<void> {
  try {
    await rename(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  if ((await readIfThere(aside)) !== expected) await linked(aside, file);
  await unlink(aside);
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
