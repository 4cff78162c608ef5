/**
 * Loaded before the control plane (`node --expose-gc --import`): at SIGUSR2 it collects what nobody holds and tells
 * what is left (memory, open handles by type) in a line on standard error.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";

const delay = monitorEventLoopDelay({ resolution: 5 });
delay.enable();

process.on("SIGUSR2", () => {
  const longestMillis = delay.max / 1e6;
  globalThis.gc();
  // Finalizers of the first collection free more for the second.
  setImmediate(() => {
    globalThis.gc();
    const { heapUsed, external, arrayBuffers } = process.memoryUsage();
    const handles = {};
    for (const type of process.getActiveResourcesInfo()) handles[type] = (handles[type] ?? 0) + 1;
    console.error(`probe ${JSON.stringify({ heapUsed, external, arrayBuffers, handles, longestMillis })}`);
    delay.reset();
  });
});
