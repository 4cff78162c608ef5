/** Forgets history that nobody needs any more: watches and page tokens are good for a few minutes. */
import type { Store } from "../store/store.ts";

const INTERVAL_MILLIS = 5 * 60_000;

/** Every interval what was current at the one before is the oldest that is kept. */
export function startCompaction(store: Store, failed: (error: Error) => void): { stop(): void } {
  let before = store.revision();
  const timer = setInterval(() => {
    const revision = before;
    before = store.revision();
    if (revision > store.compactRevision()) store.compact(revision).catch(failed);
  }, INTERVAL_MILLIS);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}
