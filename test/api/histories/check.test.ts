/** The checker itself: it must find what is wrong, or its silence says nothing. */
import { describe, expect, it } from "vitest";
import { checkOperations, checkWatch } from "./check.ts";
import type { Operation, Recorded } from "./check.ts";

const event = (revision: number, type: Recorded["type"], tag: string): Recorded => ({ revision, type, key: "k", tag });
const history = [event(4, "ADDED", "a"), event(7, "MODIFIED", "b"), event(9, "DELETED", "b"), event(12, "ADDED", "c")];

function operation(start: number, end: number, rest: Omit<Operation, "key" | "start" | "end">): Operation {
  return { key: "k", start, end, ...rest };
}

const writes = [
  operation(0, 10, { call: "create", tag: "a", outcome: { is: "written", revision: 4 } }),
  operation(20, 30, { call: "update", expected: 4, tag: "b", outcome: { is: "written", revision: 7 } }),
  operation(40, 50, { call: "delete", expected: 7, outcome: { is: "deleted" } }),
  operation(60, Infinity, { call: "create", tag: "c", outcome: { is: "unknown" } }),
];
const get = (start: number, end: number, outcome: Operation["outcome"]): Operation =>
  operation(start, end, { call: "get", outcome });

describe("operations", () => {
  it.each<[string, Operation[]]>([
    ["nothing more", []],
    [
      "reads beside a write, of what was before and after",
      [get(22, 28, { is: "seen", revision: 4 }), get(23, 29, { is: "seen", revision: 7 })],
    ],
    ["a refused write", [operation(31, 35, { call: "update", expected: 4, tag: "x", outcome: { is: "conflict" } })]],
    [
      "absence before, between and never after a silent write was seen",
      [get(0, 5, { is: "absent" }), get(51, 99, { is: "absent" })],
    ],
    [
      "a write of which nothing is known, and which is not there",
      [operation(1, Infinity, { call: "create", tag: "z", outcome: { is: "unknown" } })],
    ],
  ])("are as they should be: %s", (_, more) => {
    expect(checkOperations(history, [...writes, ...more])).toEqual([]);
  });

  it.each<[string, Operation[]]>([
    [
      "an acknowledged write that is gone",
      [operation(70, 80, { call: "update", expected: 12, tag: "d", outcome: { is: "written", revision: 13 } })],
    ],
    ["a stale read", [get(31, 35, { is: "seen", revision: 4 })]],
    ["a read from the future", [get(11, 15, { is: "seen", revision: 7 })]],
    ["reads that go back", [get(21, 22, { is: "seen", revision: 7 }), get(23, 24, { is: "seen", revision: 4 })]],
    ["absence of what is there", [get(31, 35, { is: "absent" })]],
    [
      "a refusal without a reason",
      [operation(11, 15, { call: "update", expected: 4, tag: "x", outcome: { is: "conflict" } })],
    ],
    [
      "absence after the silent write was seen",
      [get(61, 70, { is: "seen", revision: 12 }), get(71, 72, { is: "absent" })],
    ],
  ])("are not: %s", (_, more) => {
    expect(checkOperations(history, [...writes, ...more])).not.toEqual([]);
  });

  it("are not: a value that nobody wrote, and a write that jumped another", () => {
    expect(checkOperations([...history, event(13, "MODIFIED", "?")], writes)).toHaveLength(1);
    const jumped = [event(4, "ADDED", "a"), event(7, "MODIFIED", "x"), event(8, "MODIFIED", "b")];
    expect(checkOperations(jumped, writes.slice(0, 2))).not.toEqual([]);
  });
});

describe("watches", () => {
  it("are the history from where they began", () => {
    expect(checkWatch("w", history, 4, history.slice(1))).toEqual([]);
    expect(checkWatch("w", history, 4, history)).toHaveLength(1);
    expect(checkWatch("w", history, 0, history.slice(0, 3))).toHaveLength(1);
    expect(checkWatch("w", history, 0, [...history.slice(0, 2), ...history.slice(1)])).toHaveLength(1);
    expect(checkWatch("w", history, 0, [history[1], history[0], ...history.slice(2)] as Recorded[])).toHaveLength(1);
  });
});
