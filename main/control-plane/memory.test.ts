import { performance } from "node:perf_hooks";
import { afterEach, expect, it, vi } from "vitest";
import { collectOnceSettled } from "./memory.ts";

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

it("collects once after the start, and not while there is something to do", () => {
  vi.useFakeTimers();
  let utilization = 0;
  vi.spyOn(performance, "eventLoopUtilization").mockImplementation(() => ({ idle: 0, active: 0, utilization }));
  vi.spyOn(process, "memoryUsage").mockReturnValue({ heapUsed: 1 } as NodeJS.MemoryUsage);
  const collect = vi.fn<() => void>();
  collectOnceSettled(collect);
  vi.advanceTimersByTime(9_000);
  expect(collect).not.toHaveBeenCalled();
  utilization = 0.6;
  vi.advanceTimersByTime(60_000);
  expect(collect).not.toHaveBeenCalled();
  utilization = 0.01;
  vi.advanceTimersByTime(60_000);
  expect(collect).toHaveBeenCalledOnce();
});

it("leaves a large heap alone", () => {
  vi.useFakeTimers();
  vi.spyOn(performance, "eventLoopUtilization").mockReturnValue({ idle: 1, active: 0, utilization: 0 });
  vi.spyOn(process, "memoryUsage").mockReturnValue({ heapUsed: 1024 * 1024 * 1024 } as NodeJS.MemoryUsage);
  const collect = vi.fn<() => void>();
  collectOnceSettled(collect);
  vi.advanceTimersByTime(60_000);
  expect(collect).not.toHaveBeenCalled();
});
