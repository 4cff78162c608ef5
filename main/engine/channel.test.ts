import { describe, expect, it } from "vitest";
import { exitOf, resizeMessage, stdinMessage } from "./channel.ts";

describe("the channel protocol", () => {
  it("puts the channel before the bytes", () => {
    expect(stdinMessage(Buffer.from("é"))).toEqual(Buffer.from([0, 0xc3, 0xa9]));
    expect(resizeMessage(80, 24).toString("latin1")).toBe('\u0004{"Width":80,"Height":24}');
  });

  it.each([
    ['{"status":"Success"}', { code: 0 }],
    [
      '{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"7"}]}}',
      { code: 7 },
    ],
    ['{"status":"Failure","message":"no such container"}', { code: 1, message: "no such container" }],
    ["plain text", { code: 1, message: "plain text" }],
  ])("reads the end from %s", (body, exit) => expect(exitOf(body)).toEqual(exit));
});
