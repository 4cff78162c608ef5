import { expect, it } from "vitest";
import { Output } from "./terminal-output.ts";
import type { TerminalEvent } from "./terminal-output.ts";

async function all(output: Output): Promise<TerminalEvent[]> {
  const events: TerminalEvent[] = [];
  for await (const event of output.read()) events.push(event);
  return events;
}

it("joins what waits, and keeps the two streams of a command in their order", async () => {
  const output = new Output();
  const bytes = Buffer.from([0, 255, 10]);
  output.output("stdout", bytes);
  output.output("stdout", bytes);
  output.output("stderr", Buffer.from("oh"));
  output.output("stdout", bytes);
  output.exit(3);
  const base64 = (...parts: Buffer[]): string => Buffer.concat(parts).toString("base64");
  expect(await all(output)).toEqual([
    { type: "output", stream: "stdout", base64: base64(bytes, bytes) },
    { type: "output", stream: "stderr", base64: base64(Buffer.from("oh")) },
    { type: "output", stream: "stdout", base64: base64(bytes) },
    { type: "exit", code: 3 },
  ]);
});

it("holds its source back while nobody reads", async () => {
  const told: string[] = [];
  const output = new Output();
  output.source = { pause: () => void told.push("pause"), resume: () => void told.push("resume") };
  output.data("x".repeat(300_000));
  output.data("y");
  expect(told).toEqual(["pause"]);
  output.exit(0);
  const events = await all(output);
  expect(told).toEqual(["pause", "resume"]);
  expect(events).toEqual([
    { type: "data", data: `${"x".repeat(300_000)}y` },
    { type: "exit", code: 0 },
  ]);
});

it("tells its first end only", async () => {
  const output = new Output();
  output.exit(1, "closed");
  output.exit(0);
  expect(await all(output)).toEqual([{ type: "exit", code: 1, message: "closed" }]);
});
