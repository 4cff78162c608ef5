import { expect, test } from "vitest";
import { timeoutOf } from "./request-timeout.ts";

test.each<[string, number | undefined]>([
  ["10s", 10_000],
  ["1m30s", 90_000],
  ["1.5h", 5_400_000],
  ["250ms", 250],
  ["+2s", 2000],
  ["0", undefined],
  ["0s", undefined],
  ["-5s", undefined],
  ["", undefined],
])("%j", (text, millis) => {
  expect(timeoutOf(new URLSearchParams({ timeout: text }))).toBe(millis);
});

test.each([
  ["10", 'time: missing unit in duration "10"'],
  ["soon", 'time: invalid duration "soon"'],
  ["s", 'time: invalid duration "s"'],
])("%s is none", (text, why) => {
  expect(() => timeoutOf(new URLSearchParams({ timeout: text }))).toThrow(
    `invalid timeout specified in the request URL - ${why}`,
  );
});
