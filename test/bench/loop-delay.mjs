/**
 * Loaded before the control plane (`node --import`): at SIGUSR2 it writes how long the event loop was held up
 * since the last time to the file that DRYDOCK_LOOP_DELAYS names.
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

// What the histogram keeps of long delays is their distribution, not their number: that is counted here.
let last = performance.now();
let long = 0;
const timer = setInterval(() => {
  const now = performance.now();
  if (now - last - RESOLUTION > LONG) {
    long += 1;
    if (process.env.DRYDOCK_LOOP_TRACE) console.error(`held up ${(now - last).toFixed(0)} ms at ${now.toFixed(0)}`);
  }
  last = now;
}, RESOLUTION);
timer.unref();

process.on("SIGUSR2", () => {
  const file = process.env.DRYDOCK_LOOP_DELAYS;
  const said = {
    max: Math.max(0, histogram.max / 1e6 - RESOLUTION),
    p99: Math.max(0, histogram.percentile(99) / 1e6 - RESOLUTION),
    long,
    collection,
  };
  writeFileSync(`${file}.new`, JSON.stringify(said));
  renameSync(`${file}.new`, file);
  histogram.reset();
  [long, collection] = [0, 0];
});
