/** The process that runs a machine, whatever program it is: whether it lives, what it weighs, what it said last. */
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { processStartTime } from "../host/process-start.ts";

export interface MachineProcess {
  pid: number;
  startTime: string;
  /** Once it has ended; only known for our own child. */
  exitCode?: number | null;
}

export async function isAlive({ pid, startTime }: MachineProcess): Promise<boolean> {
  return (await processStartTime(pid)) === startTime;
}

/** False when it still runs after that time. */
export async function untilGone(running: MachineProcess, millis: number): Promise<boolean> {
  const until = Date.now() + millis;
  while (await isAlive(running)) {
    if (Date.now() > until) return false;
    await sleep(25);
  }
  return true;
}

export async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
}

/** The last lines of a log, for a failure. */
export async function lastLines(file: string, count = 10): Promise<string[]> {
  const content = (await readIfThere(file)) ?? "";
  return content
    .trimEnd()
    .split(/\r?\n/)
    .filter((line) => line !== "")
    .slice(-count);
}

/** Resident and private bytes, from Linux' smaps_rollup; elsewhere unknown, zero. */
export async function processMemory(pid: number): Promise<{ residentBytes: number; privateBytes: number }> {
  if (process.platform !== "linux") return { residentBytes: 0, privateBytes: 0 };
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, "utf8");
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(rollup)?.[1] ?? 0) * 1024;
  return { residentBytes: field("Rss"), privateBytes: field("Private_Clean") + field("Private_Dirty") };
}
