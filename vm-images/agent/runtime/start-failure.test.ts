import { PassThrough } from "node:stream";
import { finished } from "node:stream/promises";
import { text } from "node:stream/consumers";
import { expect, it } from "vitest";
import type { ExecStreams } from "./runtime.ts";
import { withStartFailure } from "./start-failure.ts";

function begun(output: string[], code: number): ExecStreams {
  const stdout = new PassThrough();
  for (const part of output) stdout.write(part);
  stdout.end();
  const stderr = new PassThrough();
  stderr.end();
  return {
    stdin: new PassThrough(),
    stdout,
    stderr,
    resize: async () => undefined,
    exitCode: finished(stdout).then(() => code),
    close: () => undefined,
  };
}

it("hands on the output of a process that ran, whatever its exit code", async () => {
  const streams = withStartFailure(begun(["one ", "two"], 126));
  expect(await text(streams.stdout)).toBe("one two");
  expect(await streams.exitCode).toBe(126);
});

it("ends quietly for a process without output", async () => {
  const streams = withStartFailure(begun([], 0));
  expect(await text(streams.stdout)).toBe("");
  expect(await streams.exitCode).toBe(0);
});

it("is an error with Docker's words when there was no process", async () => {
  const words = 'OCI runtime exec failed: exec failed: executable file "x" not found\r\n';
  const streams = withStartFailure(begun([words], 127));
  expect(await text(streams.stdout)).toBe("");
  await expect(streams.exitCode).rejects.toThrow(words.trim());
});
