import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, it } from "vitest";
import type { RuntimeContainer } from "../runtime/runtime.ts";
import { LABEL_MESSAGE_POLICY, lastOutput, terminationMessage } from "./termination-message.ts";

const folder = mkdtempSync(path.join(tmpdir(), "drydock-message-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const file = (name: string, text: string): string => {
  writeFileSync(path.join(folder, name), text);
  return path.join(folder, name);
};
const ended = (exitCode: number, policy = "FallbackToLogsOnError"): RuntimeContainer =>
  ({ state: "exited", exitCode, error: "", labels: { [LABEL_MESSAGE_POLICY]: policy } }) as unknown as RuntimeContainer;
const records = (...lines: string[]): string =>
  lines.map((log) => JSON.stringify({ log, stream: "stdout", time: "2026-05-01T10:00:00Z" })).join("\n") + "\n";

it("is what the container wrote to its file", () => {
  expect(terminationMessage(ended(1), file("m", "why"), file("l", records("noise\n")))).toBe("why");
});

it("falls back to the log only on an error, and only where asked", () => {
  const [message, log] = [file("empty", ""), file("l", records("one\n", "two\n"))];
  expect(terminationMessage(ended(1), message, log)).toBe("one\ntwo\n");
  expect(terminationMessage(ended(0), message, log)).toBe("");
  expect(terminationMessage(ended(1, "File"), message, log)).toBe("");
});

it("cuts files and logs to what a status may hold", () => {
  expect(terminationMessage(ended(1), file("long", "x".repeat(9000)), "/nowhere")).toHaveLength(4096);
  expect(lastOutput(records("y".repeat(9000)))).toHaveLength(2048);
  const many = Array.from({ length: 200 }, (_, index) => `${index}\n`);
  expect(lastOutput(records(...many)).split("\n")).toHaveLength(81);
});
