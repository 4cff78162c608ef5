/** Values for fields: what the schema facts say a field takes, from ordinary to hostile. */
import { typeFact } from "../../../common/kube/facts/index.ts";
import type { FieldFact } from "../../../common/kube/facts/index.ts";
import type { Dice } from "./dice.ts";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export const strings = [
  "",
  "a",
  "web",
  "A_B",
  "a-",
  "-a",
  "a/b",
  "..",
  ".",
  "a.b.c",
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "length",
  "$patch",
  "null",
  "true",
  "0",
  "-1",
  "1e999",
  "10.0.0.1",
  "10.0.0.0/8",
  "::1",
  "fe80::/10",
  "256.1.1.1",
  "100m",
  "1Gi",
  "1.5e3Ki",
  "-5",
  "1EiB",
  "99999999999999999999999",
  "2024-01-01T00:00:00Z",
  "2024-02-30T25:61:00Z",
  "0000-01-01T00:00:00Z",
  "+275760-09-13T00:00:00.001Z",
  "http",
  "80",
  "50%",
  "101%",
  "*",
  "*.example.com",
  "a=b,c in (d),!e",
  "(((((",
  "[",
  "a{1000000}",
  "(a+)+$",
  "self.size() > 0",
  "object.spec.replicas > 1 && [1,2,3].all(x, [4,5].all(y, x < y))",
  "dyn({}) == 1 / 0",
  ".spec.x[?(@.a=='b')]",
  "{.metadata.name}",
  "~0~1~2",
  "ünïcödé",
  "\u{1F4A9}",
  "\u0000",
  "\ud800",
  "a\nb",
  "a\r\nX-Injected: 1",
  "<script>",
  "%00%2e%2e%2f",
  "../../etc/passwd",
  "x".repeat(64),
  "x".repeat(254),
  "x.".repeat(127),
  "y".repeat(5000),
];

const numbers = [
  0,
  1,
  -1,
  2,
  80,
  65_535,
  65_536,
  2_147_483_647,
  2_147_483_648,
  -2_147_483_649,
  Number.MAX_SAFE_INTEGER,
  9_223_372_036_854_775_807,
  -9_223_372_036_854_775_808,
  1e21,
  1e308,
  -0,
  0.5,
  1e-320,
];

export const oddString = (dice: Dice): string => dice.pick(strings);

/** Anything JSON can say. */
export function anything(dice: Dice, depth = 0): Json {
  switch (dice.below(depth > 3 ? 4 : 7)) {
    case 0:
      return null;
    case 1:
      return dice.chance(0.5);
    case 2:
      return dice.pick(numbers);
    case 3:
      return oddString(dice);
    case 4:
      return Array.from({ length: dice.below(4) }, () => anything(dice, depth + 1));
    default:
      return record(Array.from({ length: dice.below(4) }, () => [oddString(dice), anything(dice, depth + 1)]));
  }
}

/** With own properties even for "__proto__". */
export function record(entries: [string, Json][]): { [key: string]: Json } {
  return Object.fromEntries(entries);
}

const plausible: Record<string, (dice: Dice) => Json> = {
  string: (dice) => (dice.chance(0.5) ? dice.pick(["a", "web", "http", "10.0.0.1", "a.example.com"]) : oddString(dice)),
  int32: (dice) => dice.pick(numbers),
  int64: (dice) => dice.pick(numbers),
  boolean: (dice) => dice.chance(0.5),
  double: (dice) => dice.pick(numbers),
  bytes: (dice) => dice.pick(["", "AAEC", "aGVsbG8=", "not base64!", "A", "-_-_"]),
  byte: (dice) => dice.below(256),
  Time: (dice) =>
    dice.pick(["2024-01-01T00:00:00Z", "2024-01-01T00:00:00+14:00", "yesterday", "", "0001-01-01T00:00:00Z"]),
  MicroTime: (dice) => dice.pick(["2024-01-01T00:00:00.000000Z", "2024-01-01T00:00:00Z", "x"]),
  Duration: (dice) => dice.pick(["1s", "-1h", "1y", "", "9999999999h"]),
  Quantity: (dice) => dice.pick(["1", 1, "100m", "1Gi", "-1", "1.1.1", "", "1e100", "0.0000000001", 1.5]),
  IntOrString: (dice) => dice.pick([1, "50%", "http", "", -1, 1.5, "200%", 99_999_999_999]),
  RawExtension: (dice) => anything(dice),
  FieldsV1: (dice) => (dice.chance(0.5) ? { "f:metadata": { "f:labels": { ".": {}, "f:a": {} } } } : anything(dice)),
};

/** Of the field's type; deep structs are filled in part. */
export function valueOf(dice: Dice, field: FieldFact, depth = 0): Json {
  if (field.map && !dice.chance(0.05))
    return record(
      Array.from({ length: dice.below(3) }, () => [
        dice.chance(0.7) ? dice.pick(["a", "app", "cpu", "memory", "a.b/c"]) : oddString(dice),
        single(dice, field, depth),
      ]),
    );
  if (field.list && !dice.chance(0.03)) return Array.from({ length: dice.below(4) }, () => single(dice, field, depth));
  return single(dice, field, depth);
}

function single(dice: Dice, field: FieldFact, depth: number): Json {
  if (field.enum && dice.chance(0.85)) return dice.pick(field.enum);
  const scalar = plausible[field.type];
  if (scalar) return scalar(dice);
  const fact = typeFact(field.type);
  if (!fact || depth > 4) return dice.chance(0.8) ? {} : anything(dice, 3);
  const entries: [string, Json][] = [];
  for (const [name, inner] of fact.fields) {
    if (inner.required ? dice.chance(0.9) : dice.chance(depth < 2 ? 0.25 : 0.1))
      entries.push([name, valueOf(dice, inner, depth + 1)]);
  }
  return record(entries);
}
