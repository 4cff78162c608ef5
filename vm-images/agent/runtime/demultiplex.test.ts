import { describe, expect, it } from "vitest";
import { Demultiplexer } from "./demultiplex.ts";

function frame(stream: number, text: string): Buffer {
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([header, Buffer.from(text)]);
}

describe("Demultiplexer", () => {
  const input = Buffer.concat([frame(1, "one\n"), frame(2, "bad\n"), frame(1, ""), frame(1, "two\n")]);

  it.each([1, 3, 7, 8, 11, 1000])("gives the same text whatever the size of the chunks (%i)", (size) => {
    const demultiplexer = new Demultiplexer();
    const text = { stdout: "", stderr: "" };
    for (let at = 0; at < input.length; at += size) {
      for (const piece of demultiplexer.push(input.subarray(at, at + size)))
        text[piece.stream] += piece.data.toString();
    }
    expect(text).toEqual({ stdout: "one\ntwo\n", stderr: "bad\n" });
  });
});
