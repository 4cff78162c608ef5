/** Reading and writing of protobuf's wire format: varints, fixed 64 bits and length-delimited fields. */

export class WireError extends Error {
  constructor(message: string) {
    super(`proto: ${message}`);
    this.name = "WireError";
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true });
const encoder = new TextEncoder();

/** One field as it stands on the wire. `bytes` for wire type 2, `varint` for 0, `double` for 1. */
export interface WireField {
  number: number;
  varint?: bigint;
  bytes?: Uint8Array;
  double?: number;
}

/** The fields of a message in their order. Throws WireError on anything cut off or malformed. */
export function* readFields(bytes: Uint8Array): Generator<WireField> {
  let at = 0;
  const varint = (): bigint => {
    let result = 0n;
    for (let shift = 0n; ; shift += 7n) {
      if (at >= bytes.length) throw new WireError("unexpected EOF");
      if (shift > 63n) throw new WireError("integer overflow");
      const byte = bytes[at++] as number;
      result |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, result);
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const number = tag >>> 3;
    if (number === 0) throw new WireError(`illegal tag 0 (wire type ${tag & 7})`);
    switch (tag & 7) {
      case 0:
        yield { number, varint: varint() };
        break;
      case 1: {
        if (at + 8 > bytes.length) throw new WireError("unexpected EOF");
        yield { number, double: new DataView(bytes.buffer, bytes.byteOffset + at, 8).getFloat64(0, true) };
        at += 8;
        break;
      }
      case 2: {
        const length = Number(varint());
        if (length < 0 || at + length > bytes.length) throw new WireError("unexpected EOF");
        yield { number, bytes: bytes.subarray(at, at + length) };
        at += length;
        break;
      }
      case 5:
        if (at + 4 > bytes.length) throw new WireError("unexpected EOF");
        at += 4;
        break;
      default:
        throw new WireError(`illegal wireType ${tag & 7}`);
    }
  }
}

export function readString(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) throw new WireError("wrong wireType for a string");
  try {
    return decoder.decode(bytes);
  } catch {
    throw new WireError("string field contains invalid UTF-8");
  }
}

/** Collects fields of one message. */
export class WireWriter {
  private readonly parts: Uint8Array[] = [];
  private length = 0;

  private push(part: Uint8Array): void {
    this.parts.push(part);
    this.length += part.length;
  }

  private raw(value: bigint): void {
    let rest = BigInt.asUintN(64, value);
    const out: number[] = [];
    do {
      const byte = Number(rest & 0x7fn);
      rest >>= 7n;
      out.push(rest === 0n ? byte : byte | 0x80);
    } while (rest !== 0n);
    this.push(Uint8Array.from(out));
  }

  varint(number: number, value: bigint | number): void {
    this.raw(BigInt(number << 3));
    this.raw(BigInt(value));
  }

  double(number: number, value: number): void {
    this.raw(BigInt((number << 3) | 1));
    const part = new Uint8Array(8);
    new DataView(part.buffer).setFloat64(0, value, true);
    this.push(part);
  }

  bytes(number: number, value: Uint8Array): void {
    this.raw(BigInt((number << 3) | 2));
    this.raw(BigInt(value.length));
    this.push(value);
  }

  string(number: number, value: string): void {
    this.bytes(number, encoder.encode(value));
  }

  finish(): Uint8Array {
    const out = new Uint8Array(this.length);
    let at = 0;
    for (const part of this.parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }
}
