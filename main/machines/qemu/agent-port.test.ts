import { expect, it } from "vitest";
import { parsed } from "./agent-port.ts";

it.each([
  '{"type":"hello","agentVersion":"1","imageVersion":"2","stage":"ready"}',
  '{"type":"stage","stage":"docker"}',
  '{"type":"failure","code":"X","message":"y"}',
  '{"type":"log","lines":["a"]}',
])("takes %s for a message", (line) => {
  expect(parsed(line)).toEqual(JSON.parse(line));
});

it.each([
  "",
  "{",
  "null",
  "42",
  '"hello"',
  "[]",
  "{}",
  '{"type":"reboot"}',
  '{"type":"hello"}',
  '{"type":"stage","stage":7}',
  '{"type":"log","lines":"a"}',
  `{"type":"log","lines":["${"x".repeat(1 << 20)}"]}`,
])("takes what a guest may write beside messages for none: %.30s", (line) => {
  expect(parsed(line)).toBeUndefined();
});
