import { expect, it } from "vitest";
import { matches } from "./matching.ts";

it.each([
  ["pod/web created", "pod/web created\n", true],
  ["pod/web created", "pod/web created\nWarning: more", false],
  ["NAME READY\nweb 1/1", "NAME   READY\nweb    1/1 \n", true],
  ["NAME …\n…\nlast", "NAME  AGE\na 1\nb 2\nlast\n", true],
  ["NAME …\n…\nlast", "NAME  AGE\na 1\n", false],
  ["…", "", true],
  ["", "something", false],
  ["a.b", "axb", false],
])("%j and %j: %s", (expected, printed, right) => {
  expect(matches(expected, printed)).toBe(right);
});
