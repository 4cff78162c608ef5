/** Log lines: bounded, merged by time, searched; a container's log that breaks off is taken up again. */
import { describe, expect, it } from "vitest";
import { StatusError } from "../../common/kube/status.ts";
import type { KubeApi } from "../kube/api.ts";
import { eventually } from "../testing/in-memory.ts";
import { compareTimes, highlight, LogBuffer, plain, splitTime } from "./buffer.ts";
import { readContainer, type Sink } from "./sources.ts";

describe("the buffer", () => {
  it("forgets the oldest", () => {
    const buffer = new LogBuffer(100);
    for (let index = 0; index < 1000; index += 1) buffer.push("a", `line ${index}`);
    const kept = buffer.all();
    expect(kept.length).toBeLessThanOrEqual(110);
    expect(kept.at(-1)?.text).toBe("line 999");
    expect(kept.length + buffer.dropped).toBe(1000);
  });
  it("merges sources in time order, to the nanosecond", () => {
    const buffer = new LogBuffer(100);
    buffer.push("b", "2026-01-01T00:00:01.000000002Z second");
    buffer.push("a", "2026-01-01T00:00:01.000000001Z first");
    buffer.push("a", "2026-01-01T00:00:01.1Z third");
    expect(buffer.all().map((line) => line.text)).toEqual(["first", "second", "third"]);
  });
  it("tells times from text", () => {
    expect(splitTime("2026-01-01T00:00:01.5Z hello world")).toEqual({
      time: "2026-01-01T00:00:01.5Z",
      text: "hello world",
    });
    expect(splitTime("no time here")).toEqual({ time: "", text: "no time here" });
    expect(compareTimes("2026-01-01T00:00:01Z", "2026-01-01T01:00:01+01:00")).toBe(0);
  });
  it("shows hits and leaves colours out", () => {
    expect(highlight("Error: error", "error").filter((piece) => piece.hit)).toHaveLength(2);
    expect(highlight("abc", "")).toEqual([{ text: "abc", hit: false }]);
    expect(plain("\u001B[31mred\u001B[0m")).toBe("red");
  });
});

describe("a container's log", () => {
  it("is taken up where it broke off, without repeating", async () => {
    const answers: (string[] | Error)[] = [
      ["2026-01-01T00:00:01Z one\n2026-01-01T00:00:02Z two\n"],
      new StatusError("ServiceUnavailable", "the node is away"),
      ["2026-01-01T00:00:02Z two\n2026-01-01T00:00:03Z three\n"],
    ];
    const paths: string[] = [];
    const stop = new AbortController();
    const api = {
      async *stream(path: string, { signal }: { signal?: AbortSignal } = {}) {
        paths.push(path);
        const next = answers.shift();
        if (next instanceof Error) throw next;
        if (next) yield* next;
        else await new Promise<void>((resolve) => signal?.addEventListener("abort", () => resolve()));
      },
    } as unknown as KubeApi;
    const seen: string[] = [];
    const remarks: string[] = [];
    const sink: Sink = {
      line: (_source, text) => seen.push(text.slice(21)),
      remark: (_source, text) => remarks.push(text),
    };
    const reading = readContainer(
      api,
      { namespace: "default", name: "web", container: "app" },
      { follow: true, previous: false, tailLines: 10 },
      sink,
      stop.signal,
    );
    await eventually("the third line", () => seen.includes("three"), 10_000);
    stop.abort();
    await reading;
    expect(seen).toEqual(["one", "two", "three"]);
    expect(remarks).toEqual(["the node is away", ""]);
    expect(paths[0]).toContain("tailLines=10");
    expect(paths[2]).toContain("sinceTime=2026-01-01T00%3A00%3A02Z");
  });
});
