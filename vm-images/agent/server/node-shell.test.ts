import { tmpdir } from "node:os";
import { buffer, text } from "node:stream/consumers";
import { expect, it } from "vitest";
import { runOnNode } from "./node-shell.ts";

it("passes a command's input, output and errors byte for byte, and its exit code", async () => {
  const run = runOnNode(["sh", "-c", "cat; echo trouble >&2; exit 7"], tmpdir());
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
  run.stdin.end(bytes);
  const [output, errors, code] = await Promise.all([buffer(run.stdout), text(run.stderr), run.exitCode]);
  expect({ output, errors, code }).toEqual({ output: bytes, errors: "trouble\n", code: 7 });
});

it("takes words as they are", async () => {
  const run = runOnNode(["printf", "%s|", "two words", "$HOME", "it's", ""], tmpdir());
  expect(await text(run.stdout)).toBe("two words|$HOME|it's||");
});

it.each([
  ["no-such-program", 127],
  [tmpdir(), 126],
])("says that %s cannot be run", async (program, code) => {
  const run = runOnNode([program], tmpdir());
  expect(await text(run.stderr)).toContain(program);
  expect(await run.exitCode).toBe(code);
});

it("ends what it has started when it is closed, and says so", async () => {
  const run = runOnNode(["sh", "-c", "sleep 600 & echo begun; wait"], tmpdir());
  for await (const chunk of run.stdout as AsyncIterable<Buffer>) if (chunk.toString().includes("begun")) break;
  run.close();
  expect(await run.exitCode).toBe(137);
  // A second time it has nothing to end.
  run.close();
});
