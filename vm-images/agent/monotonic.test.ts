import { expect, it } from "vitest";
import { monotonicNow } from "./monotonic.ts";

it("gives whole milliseconds: a signal's timeout takes no fractions", () => {
  expect(Number.isInteger(monotonicNow())).toBe(true);
  expect(() => AbortSignal.timeout(monotonicNow() + 1000 - monotonicNow())).not.toThrow();
});
