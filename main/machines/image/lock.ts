/** A lock between processes: a file with the holder's process id. One whose process is gone holds nothing. */
import { open, readFile, rm } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { Progress } from "../driver.ts";
import { MachineError } from "../failure.ts";

/** A build takes minutes; who waits longer than this waits for something that hangs. */
const DEADLINE = 20 * 60_000;

export async function withLock<T>(file: string, progress: Progress, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  const until = Date.now() + DEADLINE;
  let told = false;
  while (!(await take(file))) {
    signal?.throwIfAborted();
    if (Date.now() > until) throw new MachineError({ code: "IMAGE_BUILD", message: `Another process has been building the node image for ${DEADLINE / 60_000} minutes.`, advice: `End that process, or remove ${file}.` });
    if (!told) progress.log("waiting: another process is building the node image");
    told = true;
    await delay(500);
  }
  try {
    return await work();
  } finally {
    await rm(file, { force: true });
  }
}

async function take(file: string): Promise<boolean> {
  try {
    const handle = await open(file, "wx", 0o600);
    await handle.writeFile(String(process.pid));
    await handle.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  const pid = Number(await readFile(file, "utf8").catch(() => ""));
  if (pid > 0 && !alive(pid)) await rm(file, { force: true });
  return false;
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
