/** As much of an NFS client as the tests need: calls over one connection, answers in the order in which they are asked for. */
import { connect } from "node:net";
import type { Socket } from "node:net";
import { MOUNT_PROGRAM, NFS_PROGRAM, VERSION } from "../nfs-types.ts";
import { XdrReader, XdrWriter } from "../xdr.ts";

const ATTRIBUTE_BYTES = 84;

export class NfsClient {
  readonly socket: Socket;
  private received: Buffer = Buffer.alloc(0);
  private id = 0;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => (this.received = Buffer.concat([this.received, chunk])));
  }

  static async connect(port: number): Promise<NfsClient> {
    const socket = connect({ host: "127.0.0.1", port });
    await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    return new NfsClient(socket);
  }

  /** What follows the status of the call itself. */
  async call(procedure: number, args: XdrWriter = new XdrWriter(), program = NFS_PROGRAM): Promise<XdrReader> {
    const message = new XdrWriter()
      .uint(++this.id)
      .uint(0)
      .uint(2)
      .uint(program)
      .uint(VERSION)
      .uint(procedure);
    message.uint(1).opaque(Buffer.alloc(0)).uint(0).opaque(Buffer.alloc(0)).append(args);
    const head = Buffer.alloc(4);
    head.writeUInt32BE((0x8000_0000 | message.size) >>> 0);
    this.socket.write(Buffer.concat([head, message.bytes()]));
    const reader = new XdrReader(await this.record());
    const [, , , , , accepted] = Array.from({ length: 6 }, () => reader.uint());
    if (accepted !== 0) throw new Error(`accepted with ${accepted}`);
    return reader;
  }

  async mount(name: string): Promise<Buffer | number> {
    const reader = await this.call(1, new XdrWriter().string(name), MOUNT_PROGRAM);
    const status = reader.uint();
    return status === 0 ? reader.opaque(64) : status;
  }

  async lookup(folder: Buffer, name: string): Promise<Buffer | number> {
    const reader = await this.call(3, new XdrWriter().opaque(folder).string(name));
    const status = reader.uint();
    return status === 0 ? Buffer.from(reader.opaque(64)) : status;
  }

  /** The status alone. */
  async status(procedure: number, args: XdrWriter): Promise<number> {
    return (await this.call(procedure, args)).uint();
  }

  async read(file: Buffer, offset = 0, count = 1 << 20): Promise<string | number> {
    const reader = await this.call(6, new XdrWriter().opaque(file).hyper(BigInt(offset)).uint(count));
    const status = reader.uint();
    if (status !== 0) return status;
    skipAttributes(reader);
    reader.uint();
    reader.boolean();
    return reader.opaque(1 << 20).toString("utf8");
  }

  write(file: Buffer, text: string, offset = 0): Promise<number> {
    const data = Buffer.from(text);
    return this.status(7, new XdrWriter().opaque(file).hyper(BigInt(offset)).uint(data.length).uint(2).opaque(data));
  }

  /** All names, page by page; `between` is called after each page. */
  async list(folder: Buffer, pageBytes = 512, between?: (names: string[]) => Promise<void>): Promise<string[]> {
    const names: string[] = [];
    let cookie = 0n;
    let verifier: Buffer = Buffer.alloc(8);
    for (;;) {
      const args = new XdrWriter().opaque(folder).hyper(cookie).fixed(verifier).uint(pageBytes);
      const reader = await this.call(16, args);
      if (reader.uint() !== 0) throw new Error("not listed");
      skipAttributes(reader);
      verifier = Buffer.from(reader.fixed(8));
      while (reader.boolean()) {
        reader.hyper();
        names.push(reader.string(255));
        cookie = reader.hyper();
      }
      if (reader.boolean()) return names;
      await between?.(names);
    }
  }

  private async record(): Promise<Buffer> {
    while (this.received.length < 4 || this.received.length < 4 + (this.received.readUInt32BE(0) & 0x7fff_ffff)) {
      if (this.socket.destroyed) throw new Error("the server has closed the connection");
      await new Promise<void>((resolve) => {
        const next = (): void => {
          this.socket.off("data", next).off("close", next);
          resolve();
        };
        this.socket.once("data", next).once("close", next);
      });
    }
    const end = 4 + (this.received.readUInt32BE(0) & 0x7fff_ffff);
    const record = this.received.subarray(4, end);
    this.received = this.received.subarray(end);
    return record;
  }
}

function skipAttributes(reader: XdrReader): void {
  if (reader.boolean()) reader.fixed(ATTRIBUTE_BYTES);
}

/** No wishes at all. */
export function noWishes(): XdrWriter {
  const writer = new XdrWriter();
  for (let times = 0; times < 6; times++) writer.uint(0);
  return writer;
}
