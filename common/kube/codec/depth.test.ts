import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isNestedDeeper } from "./depth.ts";

const depthOf = (value: unknown): number =>
  typeof value === "object" && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0;

describe("a JSON text's depth", () => {
  it("is that of what it says", () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(6), (text, most) => {
        expect(isNestedDeeper(text, most)).toBe(depthOf(JSON.parse(text)) > most);
      }),
    );
  });

  it("is not raised by brackets in strings, or by what stands side by side", () => {
    expect(isNestedDeeper(JSON.stringify({ a: '[[[{{{\\"[[[' }), 2)).toBe(false);
    expect(isNestedDeeper(JSON.stringify(Array.from({ length: 50 }, () => ({}))), 2)).toBe(false);
  });

  it("is found in what is no JSON, too", () => {
    expect(isNestedDeeper("[".repeat(1000), 500)).toBe(true);
    expect(isNestedDeeper(`${"[".repeat(400)}"`, 300)).toBe(true);
    expect(isNestedDeeper(`"${"[".repeat(400)}`, 300)).toBe(false);
  });
});
