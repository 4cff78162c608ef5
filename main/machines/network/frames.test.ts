import { describe, expect, it } from "vitest";
import { FrameDecoder, FrameError, MAX_FRAME_BYTES, addressesOf, isFrame } from "./frames.ts";

function framed(payload: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(payload.length);
  return Buffer.concat([length, payload]);
}

const frames = [1, 60, 1514, 9014, 65536].map((size, index) => framed(Buffer.alloc(size, index + 1)));
const stream = Buffer.concat(frames);

describe("FrameDecoder", () => {
  it.each([1, 3, 4, 5, 64, 1500, 70_000, stream.length])("finds every frame in pieces of %i bytes", (size) => {
    const decoder = new FrameDecoder();
    const found: Buffer[] = [];
    for (let at = 0; at < stream.length; at += size) found.push(...decoder.push(stream.subarray(at, at + size)));
    expect(found.map((frame) => frame.length)).toEqual(frames.map((frame) => frame.length));
    expect(Buffer.concat(found).equals(stream)).toBe(true);
  });

  it("keeps the beginning of an unfinished frame", () => {
    const decoder = new FrameDecoder();
    const frame = frames[2] as Buffer;
    expect(decoder.push(frame.subarray(0, 100))).toEqual([]);
    expect(decoder.push(frame.subarray(100))).toHaveLength(1);
  });

  it.each([0, MAX_FRAME_BYTES + 1, 0xffffffff])("refuses a length of %i", (length) => {
    const bytes = Buffer.alloc(20);
    bytes.writeUInt32BE(length);
    expect(() => new FrameDecoder().push(bytes)).toThrow(FrameError);
  });
});

describe("addressesOf", () => {
  it("reads destination and source after the length", () => {
    const frame = framed(Buffer.from("525400f00016525400f000150800".padEnd(120, "0"), "hex"));
    expect(addressesOf(frame)).toEqual({ destination: "525400f00016", source: "525400f00015", group: false });
  });

  it.each(["ffffffffffff", "01005e000001", "333300000001"])("knows %s as a group", (destination) => {
    expect(addressesOf(framed(Buffer.from(`${destination}525400f00015`, "hex"))).group).toBe(true);
  });
});

it("takes nothing shorter than an Ethernet header for a frame", () => {
  expect(isFrame(framed(Buffer.alloc(13)))).toBe(false);
  expect(isFrame(framed(Buffer.alloc(14)))).toBe(true);
});
