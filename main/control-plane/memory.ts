/** Gives back what the start left behind: Node.js collects when it must, and an idle process must not for hours. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** By then what follows a start is done too: the controllers have seen the cluster, clients have connected. */
const SETTLED_MILLIS = 10_000;
/** A full collection stops the thread for about a millisecond for 4 MiB of these; of a large cluster it would be felt. */
const MOST_BYTES = 64 * 1024 * 1024;

/** Once, a while after the start, where it is done in a moment. */
export function collectOnceSettled(): void {
  setTimeout(() => {
    if (process.memoryUsage().heapUsed > MOST_BYTES) return;
    setFlagsFromString("--expose-gc");
    (runInNewContext("gc") as () => void)();
  }, SETTLED_MILLIS).unref();
}
