import { describe, expect, test } from "vitest";
import { parseFieldSelector, parseLabelSelector, selectorFromMap, selectorFromObject } from "./selector.ts";

const labels = { app: "web", tier: "front", gen: "7" };

test.each([
  ["", true],
  ["app=web", true],
  ["app==web", true],
  ["app=api", false],
  ["app!=api", true],
  ["missing!=x", true],
  ["app", true],
  ["!app", false],
  ["!missing", true],
  ["app in (web, api)", true],
  ["app in(web,api),tier=front", true],
  ["app notin (web)", false],
  ["missing notin (x)", true],
  ["gen>5", true],
  ["gen < 7", false],
  ["app=web,tier=back", false],
  ["missing=", false],
])("%j selects %j: %s", (text, expected) => {
  expect(parseLabelSelector(text).matches(labels)).toBe(expected);
});

test.each(["app in", "app in (a", "=web", "app=web,", "app ~ web", "app=we b", "-app", "gen>x", "app==web=x", "("])(
  "%j is refused",
  (text) => {
    expect(() => parseLabelSelector(text)).toThrow("unable to parse");
  },
);

describe("objects", () => {
  test("none selects nothing, an empty one everything, a full one all of it", () => {
    expect(selectorFromObject(undefined).matches(labels)).toBe(false);
    expect(selectorFromObject({}).matches(labels)).toBe(true);
    const both = { matchLabels: { app: "web" }, matchExpressions: [{ key: "tier", operator: "Exists" }] };
    expect(selectorFromObject(both).matches(labels)).toBe(true);
    expect(selectorFromObject(both).matches({ app: "web" })).toBe(false);
    expect(() => selectorFromObject({ matchExpressions: [{ key: "a", operator: "Like" }] })).toThrow("Like");
  });

  test("plain maps: an empty one selects nothing", () => {
    expect(selectorFromMap({ app: "web" }).matches(labels)).toBe(true);
    expect(selectorFromMap({}).matches(labels)).toBe(false);
  });

  test("names that every object has are no labels", () => {
    expect(parseLabelSelector("constructor").matches({})).toBe(false);
    expect(parseLabelSelector("toString=x").matches({})).toBe(false);
  });
});

test("fields: equal or not, with escapes", () => {
  expect(parseFieldSelector("metadata.name=x,status.phase!=Running")).toEqual([
    { field: "metadata.name", equal: true, value: "x" },
    { field: "status.phase", equal: false, value: "Running" },
  ]);
  expect(parseFieldSelector(String.raw`a=x\,y\=z`)).toEqual([{ field: "a", equal: true, value: "x,y=z" }]);
  expect(parseFieldSelector("")).toEqual([]);
  expect(() => parseFieldSelector("name")).toThrow("invalid selector");
});
