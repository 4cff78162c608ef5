import { describe, expect, test } from "vitest";
import fc from "fast-check";
import {
  addQuantity,
  canonicalQuantity,
  compareQuantity,
  formatQuantity,
  isQuantity,
  keptAmount,
  keptQuantity,
  milliValue,
  parseQuantity,
  wholeValue,
} from "./quantity.ts";

test.each([
  ["0", "0"],
  ["1", "1"],
  ["100m", "100m"],
  ["0.1", "100m"],
  ["1000m", "1"],
  ["1500m", "1500m"],
  ["1.5", "1500m"],
  ["1024", "1024"],
  ["1024Ki", "1Mi"],
  ["1.5Gi", "1536Mi"],
  ["0.5Ki", "512"],
  ["1000k", "1M"],
  ["1e3", "1e3"],
  ["12e4", "120e3"],
  ["-5", "-5"],
  ["+2", "2"],
  [".5", "500m"],
  ["5.", "5"],
  ["0.0000000001", "1n"],
  ["9007199254740993", "9007199254740993"],
  ["8Ei", "9223372036854775807"],
  ["10E", "10E"],
  [3, "3"],
])("%s is written %s", (input, expected) => {
  expect(canonicalQuantity(input)).toBe(expected);
  expect(canonicalQuantity(canonicalQuantity(input))).toBe(expected);
});

// What resource.ParseQuantity of apimachinery 0.36 gives back: its own text where it takes it for canonical already.
test.each([
  ["1.0", "1"],
  ["1000m", "1"],
  ["0.1Gi", "107374182400m"],
  ["0.1", "100m"],
  ["1.5", "1500m"],
  ["1.500", "1.500"],
  ["0.100", "100m"],
  ["+1", "+1"],
  ["01", "01"],
  ["1.", "1."],
  ["0", "0"],
  ["00", "0"],
  ["1E3", "1E3"],
  ["12e4", "120e3"],
  ["100Mi", "100Mi"],
  ["+100Mi", "+100Mi"],
  ["1024Mi", "1Gi"],
  ["+8Mi", "8Mi"],
  ["5000k", "5M"],
  ["500m", "500m"],
  ["100u", "100u"],
  ["0.0000000001", "1n"],
  ["9223372036854775807", "9223372036854775807"],
])("%s is kept as %s", (input, expected) => {
  expect(keptQuantity(input)).toBe(expected);
  expect(keptQuantity(expected)).toBe(expected);
});

test("amounts of resources are kept to the thousandth, rounded up", () => {
  expect(["100u", "1500u", "1n", "-1u", "0.1", "2", "1e-6", "100Mi"].map(keptAmount)).toEqual([
    "1m",
    "2m",
    "1m",
    "-1m",
    "100m",
    "2",
    "1e-3",
    "100Mi",
  ]);
});

test.each(["", " 1", "1 ", "1ki", "1KB", "one", "1.2.3", "--1", "1e", "0x10", "1Gib"])("%j is none", (input) => {
  expect(isQuantity(input)).toBe(false);
  expect(() => parseQuantity(input)).toThrow(/quantit/);
});

describe("arithmetic", () => {
  const of = parseQuantity;
  test("compares across formats, exactly", () => {
    expect(compareQuantity(of("1Gi"), of("1073741824"))).toBe(0);
    expect(compareQuantity(of("1G"), of("1Gi"))).toBeLessThan(0);
    expect(compareQuantity(of("9007199254740993"), of("9007199254740992"))).toBeGreaterThan(0);
  });

  test("sums keep the first one's format", () => {
    expect(formatQuantity(addQuantity(of("1Gi"), of("512Mi")))).toBe("1536Mi");
    expect(formatQuantity(addQuantity(of("0"), of("1Ki")))).toBe("1Ki");
  });

  test("thousandths and wholes round up", () => {
    expect(milliValue(of("0.1"))).toBe(100);
    expect(milliValue(of("100u"))).toBe(1);
    expect(wholeValue(of("1001m"))).toBe(2);
    expect(wholeValue(of("1Ki"))).toBe(1024);
  });

  test("the canonical form means the same, whatever was written", () => {
    const written = fc
      .tuple(fc.nat({ max: 10 ** 9 }), fc.constantFrom("n", "u", "m", "", "k", "M", "G", "Ki", "Mi", "Gi", "e3"))
      .map(([number, suffix]) => `${number}${suffix}`);
    const property = fc.property(written, (text) => compareQuantity(of(text), of(canonicalQuantity(text))) === 0);
    expect(fc.check(property).counterexample).toBeNull();
  });
});
