import { expect, it } from "vitest";
import { BoundedMap } from "./bounded-map.ts";

it("keeps the newest so many", () => {
  const map = new BoundedMap<string, number>(2);
  map.set("a", 1);
  map.set("b", 2);
  map.set("a", 3);
  expect([map.get("a"), map.get("b")]).toEqual([3, 2]);
  map.set("c", 4);
  expect([map.get("a"), map.get("b"), map.get("c")]).toEqual([undefined, 2, 4]);
  map.set("a", 5);
  expect([map.get("a"), map.get("b"), map.get("c")]).toEqual([5, undefined, 4]);
});
