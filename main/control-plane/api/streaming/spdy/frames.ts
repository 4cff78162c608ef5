/** The frames of SPDY/3.1 (draft-mbelshe-httpbis-spdy-00, 2.2): an eight-byte head, then what its length says. */
import { SpdyError } from "./header-block.ts";

export const SYN_STREAM = 1;
export const SYN_REPLY = 2;
export const RST_STREAM = 3;
export const PING = 6;
export const GOAWAY = 7;
export const HEADERS = 8;

export const FLAG_FIN = 1;
export const CANCEL = 5;
export const REFUSED_STREAM = 3;
export const PROTOCOL_ERROR = 1;

const VERSION = 3;
const HEAD = 8;
/** Control frames are collected whole; none in earnest is longer. */
const LARGEST_CONTROL = 64 * 1024;

export type Frame =
  | { kind: "control"; type: number; flags: number; body: Buffer }
  /** A part of a data frame; `last` is its end, where its flags count. */
  | { kind: "data"; stream: number; flags: number; bytes: Buffer; last: boolean };

/** Cuts what comes in into frames. Data is handed on as it comes: its frame may be of 16 MiB. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);
  #data: { stream: number; flags: number; left: number } | undefined;

  /** Throws SpdyError on what is not SPDY/3. */
  *push(chunk: Buffer): Generator<Frame> {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = Buffer.alloc(0);
    for (;;) {
      if (this.#data) {
        const { stream, flags, left } = this.#data;
        if (bytes.length === 0 && left > 0) return;
        const part = bytes.subarray(0, left);
        bytes = bytes.subarray(part.length);
        const last = part.length === left;
        this.#data = last ? undefined : { stream, flags, left: left - part.length };
        yield { kind: "data", stream, flags, bytes: part, last };
        continue;
      }
      if (bytes.length < HEAD) break;
      const first = bytes.readUInt32BE(0);
      const flags = bytes[4] as number;
      const length = bytes.readUIntBE(5, 3);
      if (first < 0x8000_0000) {
        this.#data = { stream: first, flags, left: length };
        bytes = bytes.subarray(HEAD);
        continue;
      }
      if (first >>> 16 !== (0x8000 | VERSION)) throw new SpdyError("not a frame of SPDY/3");
      if (length > LARGEST_CONTROL) throw new SpdyError("control frame: too large");
      if (bytes.length < HEAD + length) break;
      yield { kind: "control", type: first & 0xffff, flags, body: bytes.subarray(HEAD, HEAD + length) };
      bytes = bytes.subarray(HEAD + length);
    }
    this.#rest = bytes;
  }
}

export function controlFrame(type: number, flags: number, ...body: Buffer[]): Buffer {
  const head = Buffer.alloc(HEAD);
  head.writeUInt16BE(0x8000 | VERSION, 0);
  head.writeUInt16BE(type, 2);
  head[4] = flags;
  head.writeUIntBE(
    body.reduce((sum, part) => sum + part.length, 0),
    5,
    3,
  );
  return Buffer.concat([head, ...body]);
}

/** The head of a data frame. `length` is below 2^24. */
export function dataHead(stream: number, flags: number, length: number): Buffer {
  const head = Buffer.alloc(HEAD);
  head.writeUInt32BE(stream, 0);
  head[4] = flags;
  head.writeUIntBE(length, 5, 3);
  return head;
}

export function words(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [at, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, at * 4);
  return bytes;
}
