import { describe, expect, it } from "vitest";
import { LineQueue, Topic, orAborted, pause } from "./topic.ts";
import { clockJump } from "./host.ts";

describe("Topic", () => {
  it("tells the present value, then the newest after changes, and ends with the last", async () => {
    const topic = new Topic();
    let value = 0;
    const seen: number[] = [];
    for await (const now of topic.follow(() => value, { pauseMillis: 0, last: (number) => number >= 10 })) {
      seen.push(now);
      if (now === 0) {
        // Many changes at once are one: only the newest value counts.
        for (let step = 1; step <= 5; step++) {
          value = step;
          topic.changed();
        }
        setTimeout(() => {
          value = 10;
          topic.changed();
        }, 5);
      }
    }
    expect(seen).toEqual([0, 5, 10]);
  });

  it("ends with its signal, also while it waits", async () => {
    const abort = new AbortController();
    const seen: string[] = [];
    for await (const now of new Topic().follow(() => "here", { signal: abort.signal, pauseMillis: 0 })) {
      seen.push(now);
      setTimeout(() => abort.abort(), 5);
    }
    expect(seen).toEqual(["here"]);
  });
});

describe("waiting", () => {
  it("is cut short by a signal", async () => {
    const abort = new AbortController();
    const waiting = pause(60_000, abort.signal);
    abort.abort();
    await waiting;
    await pause(60_000, abort.signal);
    await expect(orAborted(new Promise(() => undefined), AbortSignal.abort(new Error("enough")))).rejects.toThrow(
      "enough",
    );
    expect(await orAborted(Promise.resolve(1), new AbortController().signal)).toBe(1);
  });

  it("keeps every line in order", async () => {
    const queue = new LineQueue();
    queue.push("a");
    setTimeout(() => {
      queue.push("b");
      queue.push("c");
      queue.end();
    }, 1);
    const lines: string[] = [];
    for await (const line of queue.read()) lines.push(line);
    expect(lines).toEqual(["a", "b", "c"]);
  });
});

describe("clockJump", () => {
  it.each([
    [5000, 5000, 0],
    [5000, 5900, 0],
    [3_605_000, 5000, 3_600_000],
    [-60_000, 5000, -65_000],
  ])("wall %d, awake %d: %d", (wall, awake, jump) => expect(clockJump(wall, awake)).toBe(jump));
});
