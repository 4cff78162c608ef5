import { describe, expect, test } from "vitest";
import { applyJsonPatch, applyMergePatch } from "./merge.ts";

describe("merge patch (RFC 7386, appendix A)", () => {
  test.each<[unknown, unknown, unknown]>([
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b" }, { a: null }, {}],
    [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
    [["a", "b"], ["c"], ["c"]],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])("%j + %j = %j", (target, patch, expected) => {
    const before = structuredClone(target);
    expect(applyMergePatch(target, patch)).toEqual(expected);
    expect(target).toEqual(before);
  });

  test("no way to the prototype", () => {
    applyMergePatch({}, JSON.parse('{"__proto__":{"polluted":true}}'));
    expect({}).not.toHaveProperty("polluted");
  });
});

describe("JSON patch (RFC 6902)", () => {
  test("operations in order, on a copy", () => {
    const target = { a: [1, 2], b: { c: "d" } };
    const patch = [
      { op: "test", path: "/b/c", value: "d" },
      { op: "add", path: "/a/-", value: 3 },
      { op: "remove", path: "/a/0" },
      { op: "replace", path: "/b/c", value: "e" },
      { op: "copy", from: "/b", path: "/f" },
      { op: "move", from: "/b/c", path: "/g" },
      { op: "add", path: "/x~1y", value: 1 },
    ];
    expect(applyJsonPatch(target, patch)).toEqual({ a: [2, 3], b: {}, f: { c: "e" }, g: "e", "x/y": 1 });
    expect(target).toEqual({ a: [1, 2], b: { c: "d" } });
  });

  test.each<[unknown, number]>([
    [{ op: "add" }, 400],
    [[{ op: "fly", path: "/a" }], 400],
    [[{ op: "add", value: 1 }], 400],
    [[{ op: { toString: null }, path: "/a" }], 400],
    [[{ op: "test", path: "/a", value: 2 }], 422],
    [[{ op: "remove", path: "/missing" }], 422],
    [[{ op: "replace", path: "/missing/x", value: 1 }], 422],
    [[{ op: "add", path: "/a/b", value: 1 }], 422],
    [[{ op: "copy", path: "/b" }], 422],
    [[{ op: "replace", path: "/list/__proto__", value: {} }], 422],
    [[{ op: "replace", path: "/__proto__", value: { polluted: true } }], 422],
    [[{ op: "add", path: "/__proto__/polluted", value: true }], 422],
    [[{ op: "copy", from: "/__proto__", path: "/b" }], 422],
    [[{ op: "copy", from: "no pointer", path: "/b" }], 422],
    [Array.from({ length: 60 }, (_, at) => ({ op: "copy", from: "", path: `/x${at}` })), 413],
    [Array.from({ length: 10_001 }, () => ({ op: "test", path: "/a", value: 1 })), 413],
  ])("%j is refused with %d", (patch, code) => {
    expect(() => applyJsonPatch({ a: 1, list: [] }, patch)).toThrow(expect.objectContaining({ code }) as Error);
  });

  test.each([
    [{ op: "test", path: "/a", value: 2 }, "testing value /a failed: test failed"],
    [{ op: "test", path: "/b", value: 2 }, "testing value /b failed: test failed"],
    [{ op: "test", path: "/b/c", value: 2 }, "test operation does not apply: is missing path: /b/c: missing value"],
    [
      { op: "replace", path: "/b", value: 1 },
      "replace operation does not apply: doc is missing key: /b: missing value",
    ],
    [
      { op: "replace", path: "/b/c", value: 1 },
      "replace operation does not apply: doc is missing path: /b/c: missing value",
    ],
    [
      { op: "remove", path: "/b" },
      "error in remove for path: '/b': Unable to remove nonexistent key: b: missing value",
    ],
    [{ op: "remove", path: "/b/c" }, "remove operation does not apply: doc is missing path: /b/c: missing value"],
    [{ op: "add", path: "/b/c", value: 1 }, "add operation does not apply: doc is missing path: /b/c: missing value"],
    [
      { op: "copy", from: "/b", path: "/d" },
      "copy operation does not apply: doc is missing from path: /b: missing value",
    ],
  ])("%j says why it does not apply", (operation, why) => {
    expect(() => applyJsonPatch({ a: 1 }, [operation])).toThrow(
      `the server rejected our request due to an error in our request: ${why}`,
    );
  });
});
