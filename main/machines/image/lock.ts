/** One process at a time makes an image or a template; the others wait for it. */
import { setTimeout as delay } from "node:timers/promises";
import { LockedError, acquireLock } from "../../host/lock.ts";
import type { Lock } from "../../host/lock.ts";
import type { Progress } from "../driver.ts";
import { MachineError } from "../failure.ts";

/** A build takes minutes; who waits longer than this waits for something that hangs. */
const DEADLINE_MILLIS = 20 * 60_000;
const RETRY_MILLIS = 500;

/** `what` is made meanwhile: "the node image". */
export async function withLock<T>(
  file: string,
  what: string,
  progress: Progress,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  const lock = await taken(file, what, progress, signal);
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

async function taken(file: string, what: string, progress: Progress, signal: AbortSignal | undefined): Promise<Lock> {
  const until = Date.now() + DEADLINE_MILLIS;
  for (let told = false; ; told = true) {
    signal?.throwIfAborted();
    try {
      return await acquireLock(file);
    } catch (error) {
      if (!(error instanceof LockedError)) throw error;
      const { pid } = error.holder;
      if (Date.now() > until)
        throw new MachineError({
          code: "IMAGE_BUILD_FAILED",
          message: `process ${pid} has been making ${what} for ${DEADLINE_MILLIS / 60_000} minutes`,
          advice: "End that process, then try again.",
        });
      if (!told) progress.log(`waiting: process ${pid} is making ${what}`);
    }
    await delay(RETRY_MILLIS, undefined, signal ? { signal } : {});
  }
}
