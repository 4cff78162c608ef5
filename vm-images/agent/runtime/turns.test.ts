import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Turns } from "./turns.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Works that end when told to, and who has begun. */
function works(turns: Turns, count: number) {
  const begun: number[] = [];
  const ends = Array.from({ length: count }, () => Promise.withResolvers<number>());
  const results = ends.map(({ promise }, index) =>
    turns.run(() => {
      begun.push(index);
      return promise;
    }),
  );
  return { begun, ends, results };
}

describe("turns", () => {
  it("let so many work at once, then the next in order, also after one that failed", async () => {
    const { begun, ends, results } = works(new Turns(2, 1000), 4);
    await vi.advanceTimersByTimeAsync(0);
    expect(begun).toEqual([0, 1]);
    ends[1]?.reject(new Error("no"));
    await expect(results[1]).rejects.toThrow("no");
    expect(begun).toEqual([0, 1, 2]);
    ends[0]?.resolve(7);
    expect(await results[0]).toBe(7);
    await vi.advanceTimersByTimeAsync(0);
    expect(begun).toEqual([0, 1, 2, 3]);
  });

  it("do not wait for ever for one that does not end, and count it once", async () => {
    const { begun, ends, results } = works(new Turns(1, 1000), 3);
    await vi.advanceTimersByTimeAsync(1000);
    expect(begun).toEqual([0, 1]);
    ends[0]?.resolve(0);
    await results[0];
    await vi.advanceTimersByTimeAsync(0);
    expect(begun).toEqual([0, 1]);
    ends[1]?.resolve(1);
    await results[1];
    await vi.advanceTimersByTimeAsync(0);
    expect(begun).toEqual([0, 1, 2]);
    ends[2]?.resolve(2);
    await results[2];
    expect(vi.getTimerCount()).toBe(0);
  });
});
