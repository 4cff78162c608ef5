/** External data representation (RFC 4506): everything in units of four bytes, numbers in network order. */

export class XdrReader {
  private readonly bytes: Buffer;
  private at = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** Each throws a RangeError when there is not so much. */
  uint(): number {
    const value = this.bytes.readUInt32BE(this.at);
    this.at += 4;
    return value;
  }

  hyper(): bigint {
    const value = this.bytes.readBigUInt64BE(this.at);
    this.at += 8;
    return value;
  }

  boolean(): boolean {
    return this.uint() !== 0;
  }

  fixed(length: number): Buffer {
    if (this.at + length > this.bytes.length) throw new RangeError("the message ends too early");
    const value = this.bytes.subarray(this.at, this.at + length);
    this.at += length + padding(length);
    return value;
  }

  opaque(most: number): Buffer {
    const length = this.uint();
    if (length > most) throw new RangeError(`${length} bytes where ${most} are allowed`);
    return this.fixed(length);
  }

  string(most: number): string {
    return this.opaque(most).toString("utf8");
  }
}

export class XdrWriter {
  private readonly parts: Buffer[] = [];
  private length = 0;

  /** Bytes so far. */
  get size(): number {
    return this.length;
  }

  uint(value: number): this {
    const part = Buffer.allocUnsafe(4);
    part.writeUInt32BE(value >>> 0);
    return this.raw(part);
  }

  hyper(value: bigint): this {
    const part = Buffer.allocUnsafe(8);
    part.writeBigUInt64BE(BigInt.asUintN(64, value));
    return this.raw(part);
  }

  boolean(value: boolean): this {
    return this.uint(value ? 1 : 0);
  }

  fixed(value: Buffer): this {
    this.raw(value);
    const missing = padding(value.length);
    return missing > 0 ? this.raw(Buffer.alloc(missing)) : this;
  }

  opaque(value: Buffer): this {
    return this.uint(value.length).fixed(value);
  }

  string(value: string): this {
    return this.opaque(Buffer.from(value, "utf8"));
  }

  /** What another has written. */
  append(other: XdrWriter): this {
    for (const part of other.parts) this.raw(part);
    return this;
  }

  bytes(): Buffer {
    return Buffer.concat(this.parts, this.length);
  }

  private raw(part: Buffer): this {
    this.parts.push(part);
    this.length += part.length;
    return this;
  }
}

function padding(length: number): number {
  return (4 - (length % 4)) % 4;
}
