/** This computer, measured: memory and disk that are free, and its sleep. */
import { availableParallelism, freemem } from "node:os";
import { readFile, stat, statfs } from "node:fs/promises";
import * as z from "zod";
import { HostMount } from "../../common/contract/cluster.ts";
import type { Finding } from "../../common/contract/cluster.ts";

/** Bytes that programs may still take; Linux counts caches that would be given back. */
export async function memoryFreeBytes(): Promise<number> {
  if (process.platform === "linux") {
    const match = /^MemAvailable:\s+(\d+) kB$/m.exec(await readFile("/proc/meminfo", "utf8"));
    if (match) return Number(match[1]) * 1024;
  }
  return freemem();
}

export async function diskFreeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** Folders to be shared that cannot be: one finding for each. Of a plan that is wrong elsewhere too. */
export async function checkMounts(plan: unknown): Promise<Finding[]> {
  const parsed = z.array(HostMount).safeParse((plan as { mounts?: unknown }).mounts ?? []);
  if (!parsed.success) return [];
  const findings: Finding[] = [];
  for (const { host } of parsed.data) {
    const problem = await stat(host).then(
      (found) => (found.isDirectory() ? undefined : "is not a folder"),
      (error: NodeJS.ErrnoException) => (error.code === "ENOENT" ? "is not there" : error.message),
    );
    if (problem) findings.push({ severity: "error", field: "mounts", message: `${host} ${problem}` });
  }
  return findings;
}

export function cpuCount(): number {
  return availableParallelism();
}

const LOOK_MILLIS = 5000;
const JUMP_MILLIS = 2000;

/** How far the wall clock ran ahead of (or behind) the time this computer was awake; 0 for small differences. */
export function clockJump(wallMillis: number, awakeMillis: number): number {
  const jump = wallMillis - awakeMillis;
  return Math.abs(jump) > JUMP_MILLIS ? jump : 0;
}

/** Calls back with the jump, in milliseconds, after the computer slept or its clock was set. Returns the way to stop. */
export function watchClock(onJump: (millis: number) => void): () => void {
  let wall = Date.now();
  let awake = performance.now();
  const timer = setInterval(() => {
    const [wallNow, awakeNow] = [Date.now(), performance.now()];
    const jump = clockJump(wallNow - wall, awakeNow - awake);
    [wall, awake] = [wallNow, awakeNow];
    if (jump !== 0) onJump(jump);
  }, LOOK_MILLIS);
  timer.unref();
  return () => clearInterval(timer);
}
