/** When V8 is to collect what is old: what a start left behind, and how much garbage may stand around under load. */
import { performance } from "node:perf_hooks";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** By then what follows a start is done too: the controllers have seen the cluster, clients have connected. */
const SETTLED_MILLIS = 10_000;
/** A full collection stops the thread for about a millisecond for 4 MiB of these; of a large cluster it would be felt. */
const MOST_BYTES = 64 * 1024 * 1024;

/** Once, a while after the start, where it is done in a moment: an idle process must not collect for hours. */
export function collectOnceSettled(): void {
  setTimeout(() => {
    if (process.memoryUsage().heapUsed > MOST_BYTES) return;
    setFlagsFromString("--expose-gc");
    (runInNewContext("gc") as () => void)();
  }, SETTLED_MILLIS).unref();
}

const LOOK_MILLIS = 1000;
const SMALL_BYTES = 96 * 1024 * 1024;
const BUSY = 0.25;
/** Of the heap that a collection left, in percent; as much as programs are started with (control-plane-flags.mjs). */
const USUAL_PERCENT = 50;
const BUSY_PERCENT = 150;

/**
 * Lets a small heap grow further between two full collections for as long as there is much to do: of a heap that
 * half as much again fills, those take a tenth of all processor time under load.
 */
export function growWhileBusy(): void {
  let last = performance.eventLoopUtilization();
  let percent = USUAL_PERCENT;
  setInterval(() => {
    const { utilization } = performance.eventLoopUtilization(last);
    last = performance.eventLoopUtilization();
    const busy = utilization > BUSY && getHeapStatistics().used_heap_size < SMALL_BYTES;
    const wanted = busy ? BUSY_PERCENT : USUAL_PERCENT;
    if (wanted === percent) return;
    percent = wanted;
    // V8 asks for it whenever it sets the next limit.
    setFlagsFromString(`--heap-growing-percent=${percent}`);
  }, LOOK_MILLIS).unref();
}
