import { expect, test } from "vitest";
import { again, WorkQueue } from "./workqueue.ts";
import { VirtualClock } from "../../main/control-plane/testing/virtual-clock.ts";

function gate(): { promise: Promise<void>; resolve: () => void } {
  return Promise.withResolvers<void>();
}

test("a key stands in the queue once, and comes again when added while at work", async () => {
  const seen: string[] = [];
  const first = gate();
  const queue = new WorkQueue({
    work: async (key) => {
      seen.push(key);
      if (seen.length === 1) await first.promise;
    },
  });
  queue.add("a");
  queue.add("a");
  await new VirtualClock().settle();
  expect(seen).toEqual(["a"]);
  queue.add("a");
  queue.add("a");
  first.resolve();
  await queue.whenIdle();
  expect(seen).toEqual(["a", "a"]);
});

test("different keys run at once up to the concurrency, one key never twice at once", async () => {
  const gates = new Map<string, ReturnType<typeof gate>>();
  const running = new Set<string>();
  let most = 0;
  const queue = new WorkQueue({
    concurrency: 2,
    work: async (key) => {
      expect(running.has(key)).toBe(false);
      running.add(key);
      most = Math.max(most, running.size);
      const own = gate();
      gates.set(key, own);
      await own.promise;
      running.delete(key);
    },
  });
  for (const key of ["a", "b", "c"]) queue.add(key);
  const clock = new VirtualClock();
  await clock.settle();
  expect([...running]).toEqual(["a", "b"]);
  queue.add("a");
  gates.get("a")?.resolve();
  await clock.settle();
  expect([...running]).toEqual(["b", "c"]);
  gates.get("b")?.resolve();
  await clock.settle();
  expect(running.has("a")).toBe(true);
  gates.get("a")?.resolve();
  gates.get("c")?.resolve();
  await queue.whenIdle();
  expect(most).toBe(2);
});

test("failures wait longer each time, until a success", async () => {
  const clock = new VirtualClock();
  const at: number[] = [];
  const failures: number[] = [];
  const queue = new WorkQueue({
    clock,
    backoff: { firstMillis: 10, maxMillis: 35 },
    failed: (_key, _error, count) => failures.push(count),
    work: () => {
      at.push(clock.monotonic());
      if (at.length < 5) throw new Error("not yet");
    },
  });
  queue.add("a");
  await clock.advance(1000);
  expect(at).toEqual([0, 10, 30, 65, 100]);
  expect(failures).toEqual([1, 2, 3, 4]);
  expect(queue.size + queue.delayed).toBe(0);
});

test("the earlier of two planned times counts, and again() plans the next", async () => {
  const clock = new VirtualClock();
  const at: number[] = [];
  const queue = new WorkQueue({
    clock,
    work: () => {
      at.push(clock.monotonic());
      return at.length === 1 ? again(100) : undefined;
    },
  });
  queue.addAfter("a", 500);
  queue.addAfter("a", 50);
  queue.addAfter("a", 70);
  await clock.advance(2000);
  expect(at).toEqual([50, 150]);
});

test("a stopped queue hands out nothing and waits for what is at work", async () => {
  const clock = new VirtualClock();
  const own = gate();
  let count = 0;
  const queue = new WorkQueue({
    clock,
    work: async () => {
      count += 1;
      await own.promise;
    },
  });
  queue.add("a");
  queue.addAfter("b", 10);
  await clock.settle();
  let stopped = false;
  const stopping = queue.stop().then(() => (stopped = true));
  await clock.advance(100);
  expect(stopped).toBe(false);
  own.resolve();
  await stopping;
  expect(count).toBe(1);
});

test("keys are handed out in their order, those that come while others are at work too", async () => {
  const seen: string[] = [];
  const queue: WorkQueue = new WorkQueue({
    work: async (key) => {
      seen.push(key);
      if (key === "a") queue.add("d");
      if (key === "c") for (const more of ["e", "a"]) queue.add(more);
      await Promise.resolve();
    },
  });
  for (const key of ["a", "b", "c"]) queue.add(key);
  await queue.whenIdle();
  queue.add("f");
  await queue.whenIdle();
  expect(seen).toEqual(["a", "b", "c", "d", "e", "a", "d", "f"]);
});
