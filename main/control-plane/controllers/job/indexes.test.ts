import fc from "fast-check";
import { expect, test } from "vitest";
import { Indexes } from "./indexes.ts";

test.each([
  ["", []],
  ["0-2,4", [0, 1, 2, 4]],
  ["1,2,7-9", [1, 2, 7, 8, 9]],
] as const)("indexes %j", (text, indexes) => {
  const read = Indexes.parse(text);
  expect(String(read)).toBe(text);
  expect(read.size).toBe(indexes.length);
  expect(Array.from({ length: 11 }, (_, index) => index).filter((index) => read.has(index))).toEqual(indexes);
});

test.each([
  ["5,3,4", "3-5"],
  ["0-4,2-9", "0-9"],
  ["7-3,x,,-1,1.5,2", "2"],
])("what nobody but a user writes, %j, is read as %j", (text, read) => {
  expect(String(Indexes.parse(text))).toBe(read);
});

test("thousands of millions take no longer than a few", () => {
  const most = 2 ** 31 - 1;
  const all = Indexes.parse(`0-9,11-${most}`);
  expect(all.size).toBe(most);
  expect([...all.missing(most)]).toEqual([10]);
  expect(String(Indexes.parse(`0-${most}`, 3))).toBe("0-2");
});

test("is a set", () => {
  const some = fc.uniqueArray(fc.nat(30));
  const of = (indexes: readonly number[]): Indexes => {
    const made = Indexes.parse("");
    for (const index of indexes) made.add(index);
    return made;
  };
  fc.assert(
    fc.property(some, some, (a, b) => {
      const [left, right] = [of(a), of(b)];
      const range = Array.from({ length: 31 }, (_, index) => index);
      expect(left.size).toBe(a.length);
      expect(range.filter((index) => left.has(index))).toEqual(a.toSorted((x, y) => x - y));
      expect([...left.missing(31)]).toEqual(range.filter((index) => !a.includes(index)));
      expect(String(Indexes.parse(String(left)))).toBe(String(left));
      expect(left.common(right)).toBe(a.filter((index) => b.includes(index)).length);
      expect(String(left.with(right))).toBe(String(of([...a, ...b])));
    }),
  );
});
