import { expect, it } from "vitest";
import { inSlices, inTurn, turn } from "./slices.ts";

const loop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it("gives each waiter a turn of the event loop of its own, in order", async () => {
  const had: number[] = [];
  const perTurn: number[] = [];
  for (let at = 0; at < 3; at += 1) void turn().then(() => had.push(at));
  for (let round = 0; round < 4; round += 1) {
    const before = had.length;
    await loop();
    perTurn.push(had.length - before);
  }
  expect(had).toEqual([0, 1, 2]);
  expect(Math.max(...perTurn)).toBe(1);
});

it("makes pieces of work wait that no turn of the loop lies between", async () => {
  const busy = async (): Promise<number> => {
    let turns = 0;
    let going = true;
    const count = (): void => void (going && (turns += 1) && setImmediate(count));
    setImmediate(count);
    for (let piece = 0; piece < 60; piece += 1) {
      await inTurn(() => performance.now());
      for (const until = performance.now() + 1; performance.now() < until;);
    }
    going = false;
    return turns;
  };
  expect(await busy()).toBeGreaterThan(0);
  let turns = 0;
  setImmediate(() => (turns += 1));
  for (let piece = 0; piece < 60; piece += 1) await inTurn(() => 0);
  expect(turns).toBe(0);
});

it("goes through everything in order and lets others have their turn, until it is told to stop", async () => {
  let others = 0;
  const timer = setInterval(() => (others += 1), 0);
  const seen: number[] = [];
  const busy = (item: number): void => {
    seen.push(item);
    for (const until = performance.now() + 1; performance.now() < until;);
  };
  const items = Array.from({ length: 60 }, (_, at) => at);
  await inSlices(items, busy);
  expect(seen).toEqual(items);
  expect(others).toBeGreaterThan(0);
  seen.length = 0;
  await inSlices(items, busy, () => true);
  expect(seen.length).toBeLessThan(60);
  clearInterval(timer);
});
