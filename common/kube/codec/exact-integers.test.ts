import { expect, test } from "vitest";
import fc from "fast-check";
import { parseExact } from "./exact-integers.ts";
import { decodeJson, parseJson, parseYaml, toYaml } from "./json.ts";
import { decodeProtobuf, encodeProtobuf } from "./protobuf.ts";

const job = { group: "batch", version: "v1", kind: "Job" };

test.each(["9007199254740993", "-9007199254740993", "9223372036854775807", "-9223372036854775808"])(
  "%s is the same in JSON, YAML and protobuf, in every direction",
  (digits) => {
    const text = `{"apiVersion":"batch/v1","kind":"Job","metadata":{},"spec":{"activeDeadlineSeconds":${digits}}}`;
    const { object } = decodeJson(text, job);
    expect(object["spec"]).toEqual({ activeDeadlineSeconds: BigInt(digits) });
    expect(JSON.stringify(object)).toBe(text);
    expect(decodeProtobuf(encodeProtobuf(object))).toEqual(object);
    expect(parseYaml(toYaml(object)).value).toEqual(object);
    expect(parseYaml(text).value).toEqual(object);
  },
);

test.each([
  ["9007199254740991", 9007199254740991],
  ["9223372036854775808", 9223372036854775808],
  ["1e300", 1e300],
  ["1.00000000000000000001", 1],
])("%s is a number", (digits, expected) => {
  expect(parseJson(`[${digits}]`).value).toEqual([expected]);
  expect(parseExact(`[${digits}]`)).toEqual([expected]);
  expect(parseYaml(`[${digits}]`).value).toEqual([expected]);
});

test("what JSON.stringify wrote is read so that it writes the same again", () => {
  const property = fc.property(fc.jsonValue(), (value) => {
    const text = JSON.stringify([value, 9007199254740993n]);
    return JSON.stringify(parseExact(text)) === text;
  });
  expect(fc.check(property).counterexample).toBeNull();
});

test("a Quantity that JSON writes as a number", () => {
  const { object } = decodeJson('{"spec":{"hard":{"count/pods":9007199254740993}}}', {
    group: "",
    version: "v1",
    kind: "ResourceQuota",
  });
  expect(object["spec"]).toEqual({ hard: { "count/pods": "9007199254740993" } });
});
