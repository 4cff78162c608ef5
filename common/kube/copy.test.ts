import { describe, expect, it } from "vitest";
import { copyOf } from "./copy.ts";

describe("copyOf", () => {
  it.each([
    ["a text", "text"],
    ["a number", 0],
    ["null", null],
    ["nothing", undefined],
    ["an empty list", []],
    ["objects in lists in objects", { a: [{ b: [1, "2", null, { c: false }] }], d: {} }],
    ["fields without a value", { a: undefined }],
  ])("gives the same as structuredClone: %s", (_, value) => {
    expect(copyOf(value)).toStrictEqual(structuredClone(value));
  });

  it("shares nothing with what was copied", () => {
    const original = { metadata: { labels: { a: "1" } }, items: [{ n: 1 }] };
    const copied = copyOf(original);
    copied.metadata.labels.a = "2";
    (copied.items[0] as { n: number }).n = 2;
    expect(original).toEqual({ metadata: { labels: { a: "1" } }, items: [{ n: 1 }] });
  });

  it("takes a field named __proto__ for data", () => {
    const copied = copyOf(JSON.parse('{"__proto__": {"admin": true}}')) as { admin?: boolean };
    expect(copied.admin).toBeUndefined();
    expect(JSON.stringify(copied)).toBe('{"__proto__":{"admin":true}}');
  });
});
