import { describe, expect, test } from "vitest";
import fc from "fast-check";
import { duplicateKeys } from "./duplicates.ts";
import { decodeJson, decodeYaml, parseJson, parseYaml, toYaml } from "./json.ts";

const configMap = { group: "", version: "v1", kind: "ConfigMap" };

describe("duplicate keys", () => {
  test.each([
    ['{"a":1,"b":2}', []],
    ['{"a":1,"a":2}', ["a"]],
    ['{"spec":{"c":[{"n":1},{"n":1,"n":2}]}}', ["spec.c[1].n"]],
    [String.raw`{"a":"\"a\":","b":"{\"a\":1}","a":1}`, ["a"]],
    [String.raw`{"a":1,"\u0061":2}`, ["a"]],
    ["[1,[2,{}]]", []],
  ])("%s", (text, expected) => {
    expect(duplicateKeys(text)).toEqual(expected);
  });

  test("none in what JSON.stringify writes", () => {
    const property = fc.property(fc.jsonValue(), (value) => duplicateKeys(JSON.stringify(value)).length === 0);
    expect(fc.check(property).counterexample).toBeNull();
  });
});

describe("decoding", () => {
  test("apiVersion and kind may be left out, not contradicted", () => {
    expect(decodeJson('{"metadata":{"name":"a"}}', configMap).object).toEqual({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "a" },
    });
    expect(() => decodeJson('{"apiVersion":"v2"}', configMap)).toThrow(
      "the API version in the data (v2) does not match the expected API version (v1)",
    );
    expect(() => decodeJson('{"kind":"Secret"}', configMap)).toThrow("must be of type ConfigMap");
  });

  test.each(["", "{", "null", "[]", "1", '{"metadata":3}', '{"data":{"a":1}}', '{"data":[]}'])(
    "%j is refused",
    (text) => {
      expect(() => decodeJson(text, configMap)).toThrow(expect.objectContaining({ code: 400 }) as Error);
    },
  );

  test("duplicates and unknown fields are told apart", () => {
    const { problems } = decodeJson('{"data":{"a":"1","a":"2"},"dta":{}}', configMap);
    expect(problems.map(({ message }) => message)).toEqual(['duplicate field "data.a"', 'unknown field "dta"']);
  });

  test.each([
    ["a: 1\na: 2\n", ["a"]],
    ["spec: {c: [{m: 1}, {m: 1, m: 2}]}", ["spec.c[1].m"]],
    ["a: &a {x: 1}\nb: {<<: *a, x: 2}\nc: *a\n", []],
    ["1: a\n'1': b\n", ["1"]],
  ])("duplicates in YAML: %s", (text, expected) => {
    expect(parseYaml(text).duplicates).toEqual(expected);
  });

  test("YAML as kubectl reads it: 1.1 scalars, anchors, one document", () => {
    const { object } = decodeYaml("metadata: {name: a}\ndata: {x: &t 'yes', z: *t}\nimmutable: yes\n", configMap);
    expect(object).toMatchObject({ data: { x: "yes", z: "yes" }, immutable: true });
    expect(() => decodeYaml("a: [", configMap)).toThrow(expect.objectContaining({ code: 400 }) as Error);
  });

  const deep = `{"metadata":${'{"a":'.repeat(5000)}1${"}".repeat(5000)}}`;
  test.each<[string, Uint8Array | string]>([
    ["bad UTF-8", Buffer.from("a: \xff", "latin1")],
    ["what contains itself", "a: &a\n  b: *a\n"],
    ["deep nesting", deep],
    ["nesting deeper than the parser's stack", "- ".repeat(20_000)],
  ])("%s is refused, as JSON and as YAML", (_what, body) => {
    const refused = expect.objectContaining({ code: 400 }) as Error;
    expect(() => decodeYaml(body, configMap)).toThrow(refused);
    expect(() => decodeJson(body, configMap)).toThrow(refused);
    expect(() => parseJson(body)).toThrow(refused);
  });

  test.each([
    ["[", "]"],
    ['{"a":', "}"],
    ['[{"a":', "}]"],
  ])("five hundred levels of %s are taken, one more is not", (open, close) => {
    const levels = open.length === 1 || open.startsWith("{") ? 500 : 250;
    const nested = (times: number, value: string): string => open.repeat(times) + value + close.repeat(times);
    expect(parseJson(nested(levels, '"[[[{{{"')).value).toBeDefined();
    expect(() => parseJson(nested(levels, "[]"))).toThrow("more than 500 levels");
    // Many side by side are not deep.
    expect(parseJson(`[${Array(2000).fill('{"a":[]}').join(",")}]`).value).toHaveLength(2000);
  });

  test.each(["9007199254740993", "-9007199254740993", "9007199254740993e0", "900719925474099.3e1"])(
    "the number %s keeps its digits where it is an integer, else its value",
    (digits) => {
      const exact = /^-?\d+$/.test(digits) ? BigInt(digits) : Number(digits);
      expect(parseJson(`{"a":[1,{"b":${digits}}]}`).value).toEqual({ a: [1, { b: exact }] });
    },
  );

  test("an alias bomb is refused", () => {
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${"bcdefgh"
      .split("")
      .map((key, at) => `${key}: &${key} [${Array(9).fill(`*${"abcdefg"[at]}`).join(",")}]`)
      .join("\n")}`;
    expect(() => parseYaml(bomb)).toThrow(/alias/i);
  });

  test("YAML written is YAML read", () => {
    const value = { a: "yes", b: "1", c: ["on", "~", "0x1"], d: "multi\nline", e: 1.5, f: null };
    expect(parseYaml(toYaml(value)).value).toEqual(value);
  });
});
