/** When V8 is to collect what is old: what a start left behind, and how much garbage may stand around under load. */
import { performance } from "node:perf_hooks";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const LOOK_MILLIS = 1000;

/** Says every second how much of it the event loop had to do, 0…1, until it is answered "enough". */
function everySecond(say: (utilization: number) => "enough" | undefined): void {
  let last = performance.eventLoopUtilization();
  const timer = setInterval(() => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    if (say(utilization) === "enough") clearInterval(timer);
  }, LOOK_MILLIS).unref();
}

/** By then what follows a start is done too: the controllers have seen the cluster, clients have connected. */
const SETTLED_SECONDS = 10;
/** A full collection stops the thread for about a millisecond for 4 MiB of these; of a large cluster it would be felt. */
const MOST_BYTES = 64 * 1024 * 1024;
const QUIET = 0.05;

function collectAll(): void {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
}

/**
 * Once, a while after the start, where it is done in a moment: an idle process must not collect for hours. Who is
 * busy then is left alone: it collects by itself, in steps, and the one long stop would hold up its requests.
 */
export function collectOnceSettled(collect: () => void = collectAll): void {
  let seconds = 0;
  everySecond((utilization) => {
    seconds += 1;
    if (seconds < SETTLED_SECONDS || utilization > QUIET) return undefined;
    if (process.memoryUsage().heapUsed <= MOST_BYTES) collect();
    return "enough";
  });
}

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
  let percent = USUAL_PERCENT;
  everySecond((utilization) => {
    const busy = utilization > BUSY && getHeapStatistics().used_heap_size < SMALL_BYTES;
    const wanted = busy ? BUSY_PERCENT : USUAL_PERCENT;
    if (wanted === percent) return undefined;
    percent = wanted;
    // V8 asks for it whenever it sets the next limit.
    setFlagsFromString(`--heap-growing-percent=${percent}`);
    return undefined;
  });
}
