/** The procedures that change nothing (RFC 1813). */
import { constants } from "node:fs";
import { access, lstat, open, readlink, realpath, statfs } from "node:fs/promises";
import path from "node:path";
import { NOFOLLOW, statOf } from "./files.ts";
import type { Found, Handles } from "./handles.ts";
import { Listings } from "./listings.ts";
import { MOST_BYTES, NAME_BYTES, NfsError, ok, Status, writePostOp } from "./nfs-types.ts";
import type { Targets } from "./targets.ts";
import { XdrWriter } from "./xdr.ts";
import type { XdrReader } from "./xdr.ts";

const ACCESS = { read: 1, lookup: 2, modify: 4, extend: 8, delete: 16, execute: 32 };

export class Reading {
  private readonly handles: Handles;
  private readonly targets: Targets;
  private readonly listings = new Listings();

  constructor(handles: Handles, targets: Targets) {
    this.handles = handles;
    this.targets = targets;
  }

  async lookup(args: XdrReader): Promise<XdrWriter> {
    const folder = await this.targets.file(args);
    const name = args.string(NAME_BYTES);
    if (!folder.stat.isDirectory()) throw new NfsError(Status.notDirectory);
    const top = folder.file === folder.of.folder;
    const file = name === "." || (name === ".." && top) ? folder.file : path.join(folder.file, name);
    if (name.includes("/") || name.includes("\0")) throw new NfsError(Status.noEntry);
    if ((await realpath(folder.file)) !== folder.file) throw new NfsError(Status.stale);
    const stat = await lstat(file, { bigint: true });
    return writePostOp(writePostOp(ok().opaque(this.handles.make(folder.of, file, stat)), stat), folder.stat);
  }

  async mayDo(args: XdrReader): Promise<XdrWriter> {
    const { of, file, stat } = await this.targets.file(args);
    const asked = args.uint();
    const may = (mode: number): Promise<boolean> =>
      access(file, mode).then(
        () => true,
        () => false,
      );
    // A link's own rights mean nothing, and asking for them would follow it.
    const isLink = stat.isSymbolicLink();
    const [reads, writes, executes] = isLink
      ? [true, false, true]
      : await Promise.all([may(constants.R_OK), may(constants.W_OK), may(constants.X_OK)]);
    let granted = 0;
    if (reads) granted |= ACCESS.read;
    if (executes) granted |= ACCESS.lookup | ACCESS.execute;
    if (writes && !of.readOnly) granted |= ACCESS.modify | ACCESS.extend | ACCESS.delete;
    return writePostOp(ok(), stat).uint(granted & asked);
  }

  async readLink(args: XdrReader): Promise<XdrWriter> {
    const { file, stat } = await this.targets.file(args);
    if (!stat.isSymbolicLink()) throw new NfsError(Status.invalid);
    return writePostOp(ok(), stat).string(await readlink(file));
  }

  async read(args: XdrReader): Promise<XdrWriter> {
    const found = await this.targets.file(args);
    const offset = args.hyper();
    const count = Math.min(args.uint(), MOST_BYTES);
    if (!found.stat.isFile()) throw new NfsError(found.stat.isDirectory() ? Status.isDirectory : Status.invalid);
    const handle = await open(found.file, constants.O_RDONLY | NOFOLLOW);
    try {
      const buffer = Buffer.allocUnsafe(count);
      const { bytesRead } = await handle.read(buffer, 0, count, Number(offset));
      const stat = await handle.stat({ bigint: true });
      const end = offset + BigInt(bytesRead) >= stat.size;
      return writePostOp(ok(), stat).uint(bytesRead).boolean(end).opaque(buffer.subarray(0, bytesRead));
    } finally {
      await handle.close();
    }
  }

  async list(args: XdrReader, plus: boolean): Promise<XdrWriter> {
    const folder = await this.targets.file(args);
    const cookie = Number(args.hyper());
    const verifier = args.fixed(8).toString("hex");
    if (plus) args.uint();
    const room = Math.min(args.uint(), MOST_BYTES) - 256;
    if (!folder.stat.isDirectory()) throw new NfsError(Status.notDirectory);
    const { listing, id } = await this.listings.of(folder, cookie, verifier);
    const writer = writePostOp(ok(), folder.stat).fixed(Buffer.from(id, "hex"));
    let index = cookie;
    for (; index < listing.names.length; index++) {
      const name = listing.names[index] as string;
      const file = name === "." ? folder.file : name === ".." ? parentOf(folder) : path.join(folder.file, name);
      const stat = await statOf(file);
      // Gone meanwhile.
      if (!stat) continue;
      const entry = new XdrWriter()
        .boolean(true)
        .hyper(stat.ino)
        .string(name)
        .hyper(BigInt(index + 1));
      if (plus)
        writePostOp(entry, stat)
          .boolean(true)
          .opaque(this.handles.make(folder.of, file, stat));
      if (writer.size + entry.size > room) break;
      writer.append(entry);
    }
    return writer.boolean(false).boolean(index >= listing.names.length);
  }

  async fileSystem(args: XdrReader): Promise<XdrWriter> {
    const { file, stat } = await this.targets.file(args);
    const found = await statfs(file, { bigint: true });
    const writer = writePostOp(ok(), stat);
    for (const value of [found.blocks, found.bfree, found.bavail]) writer.hyper(value * found.bsize);
    return writer.hyper(found.files).hyper(found.ffree).hyper(found.ffree).uint(0);
  }

  async limits(args: XdrReader): Promise<XdrWriter> {
    const { stat } = await this.targets.file(args);
    const writer = writePostOp(ok(), stat);
    for (let times = 0; times < 2; times++) writer.uint(MOST_BYTES).uint(MOST_BYTES).uint(4096);
    // Hard and symbolic links, the same limits everywhere, times can be set.
    return writer
      .uint(64 * 1024)
      .hyper(2n ** 53n)
      .uint(0)
      .uint(1)
      .uint(1 | 2 | 8 | 16);
  }

  async pathLimits(args: XdrReader): Promise<XdrWriter> {
    const { stat } = await this.targets.file(args);
    return writePostOp(ok(), stat)
      .uint(32_000)
      .uint(NAME_BYTES)
      .boolean(true)
      .boolean(true)
      .boolean(false)
      .boolean(true);
  }
}

function parentOf({ file, of }: Found): string {
  return file === of.folder ? file : path.dirname(file);
}
