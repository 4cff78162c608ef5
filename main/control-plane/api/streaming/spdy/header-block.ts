/** SPDY/3.1 header blocks: names and values with their lengths, compressed by one zlib stream a direction and session. */
import { constants, createInflate } from "node:zlib";
import type { Inflate } from "node:zlib";
import { dictionary } from "./dictionary.ts";

/** More than any client has to say about a stream. */
const LARGEST_BLOCK = 64 * 1024;
const LARGEST_STORED = 0xffff;

/** An empty block: by it readers know that what came before is complete. */
const FLUSH = Buffer.from([0, 0, 0, 0xff, 0xff]);

const OPTIONS = {
  dictionary,
  flush: constants.Z_SYNC_FLUSH,
  finishFlush: constants.Z_SYNC_FLUSH,
  readableHighWaterMark: LARGEST_BLOCK,
};

export class SpdyError extends Error {}

/** Unpacks the blocks of one direction, in their order. */
export class HeaderReader {
  readonly #inflate: Inflate = createInflate(OPTIONS);
  #fail: ((error: Error) => void) | undefined;

  constructor() {
    this.#inflate.on("error", (error) => this.#fail?.(new SpdyError(`header block: ${error.message}`)));
    // A block that fills the buffer would wait for ever to be read: nobody sends one in earnest.
    this.#inflate.on("readable", () => {
      if (this.#inflate.readableLength >= LARGEST_BLOCK) this.#fail?.(new SpdyError("header block: too large"));
    });
  }

  /** One at a time. Rejects with SpdyError on what is no header block; then the session is of no use. */
  read(block: Buffer): Promise<Record<string, string>> {
    return new Promise<Buffer>((resolve, reject) => {
      this.#fail = reject;
      this.#inflate.write(block, () => resolve((this.#inflate.read() as Buffer | null) ?? Buffer.alloc(0)));
    }).then(parse);
  }

  close(): void {
    this.#inflate.destroy();
  }
}

function parse(bytes: Buffer): Record<string, string> {
  const headers: Record<string, string> = {};
  let at = 0;
  const number = (): number => {
    if (at + 4 > bytes.length) throw new SpdyError("header block: cut short");
    at += 4;
    return bytes.readUInt32BE(at - 4);
  };
  const text = (): string => {
    const length = number();
    if (at + length > bytes.length) throw new SpdyError("header block: cut short");
    at += length;
    return bytes.toString("utf8", at - length, at);
  };
  for (let left = number(); left > 0; left--) {
    const name = text().toLowerCase();
    headers[name] = text().replaceAll("\0", ", ");
  }
  return headers;
}

/** Packs blocks: stored as they are, which is a zlib stream too. Ours say next to nothing. */
export class HeaderWriter {
  #begun = false;

  write(headers: Record<string, string>): Buffer {
    const parts: Buffer[] = [uint32(Object.keys(headers).length)];
    for (const pair of Object.entries(headers)) {
      for (const text of pair) parts.push(uint32(Buffer.byteLength(text)), Buffer.from(text));
    }
    const plain = Buffer.concat(parts);
    if (plain.length > LARGEST_STORED) throw new SpdyError("header block: too large");
    // RFC 1951, 3.2.4: a block that is not the last, not compressed, its length and the length's complement.
    const stored = Buffer.alloc(5);
    stored.writeUInt16LE(plain.length, 1);
    stored.writeUInt16LE(~plain.length & 0xffff, 3);
    const beginning = this.#begun ? Buffer.alloc(0) : Buffer.from([0x78, 0x01]);
    this.#begun = true;
    return Buffer.concat([beginning, stored, plain, FLUSH]);
  }
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
