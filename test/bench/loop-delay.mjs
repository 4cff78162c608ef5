/**
 * Loaded before the control plane (`node --import`): at SIGUSR2 it writes how long the event loop was held up
 * since the last time to the file that DRYDOCK_LOOP_DELAYS names. A loop that waits for a processor that others
 * use is late as well; so the thread's own time on the processor is told beside that of the clock.
 */
import { renameSync, writeFileSync } from "node:fs";
import { PerformanceObserver, monitorEventLoopDelay } from "node:perf_hooks";

const RESOLUTION = 5;
const LONG = 50;
const histogram = monitorEventLoopDelay({ resolution: RESOLUTION });
histogram.enable();
let collection = 0;
const observer = new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) collection = Math.max(collection, duration);
});
observer.observe({ entryTypes: ["gc"] });

const onProcessor = () => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
};

let last = onProcessor();
let worked = 0;
let long = 0;
const timer = setInterval(() => {
  const now = onProcessor();
  const between = now - last;
  last = now;
  worked = Math.max(worked, between);
  if (between <= LONG) return;
  long += 1;
  if (process.env.DRYDOCK_LOOP_TRACE)
    console.error(`held up ${between.toFixed(0)} ms at ${performance.now().toFixed(0)}`);
}, RESOLUTION);
timer.unref();

process.on("SIGUSR2", () => {
  const file = process.env.DRYDOCK_LOOP_DELAYS;
  const said = {
    max: Math.max(0, histogram.max / 1e6 - RESOLUTION),
    p99: Math.max(0, histogram.percentile(99) / 1e6 - RESOLUTION),
    worked,
    long,
    collection,
  };
  writeFileSync(`${file}.new`, JSON.stringify(said));
  renameSync(`${file}.new`, file);
  histogram.reset();
  [worked, long, collection] = [0, 0, 0];
});
