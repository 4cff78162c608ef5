/**
 * The NFS version 3 procedures (RFC 1813) over folders of this computer. Links are never followed here, everything is done
 * as the user who runs the engine, and a folder that is shared for reading refuses every change.
 */
import { constants } from "node:fs";
import type { BigIntStats } from "node:fs";
import {
  access,
  chmod,
  chown,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  realpath,
  rename,
  rmdir,
  statfs,
  symlink,
  unlink,
  utimes,
} from "node:fs/promises";
import { randomBytes } from "node:crypto";
import path from "node:path";
import type { Found, Handles } from "./handles.ts";
import {
  NFS_PROGRAM,
  NfsError,
  Status,
  VERSION,
  readWishes,
  statusOf,
  writeAttributes,
  writePostOp,
  writeWcc,
} from "./nfs-types.ts";
import type { Wishes } from "./nfs-types.ts";
import type { Procedure, Program } from "./rpc-server.ts";
import { XdrWriter } from "./xdr.ts";
import type { XdrReader } from "./xdr.ts";

const MOST_BYTES = 1024 * 1024;
const NAME_BYTES = 255;
const PATH_BYTES = 1024;
/** Listings that are being read in pieces. */
const LISTINGS = 64;
const ACCESS = { read: 1, lookup: 2, modify: 4, extend: 8, delete: 16, execute: 32 };
const NOFOLLOW = constants.O_NOFOLLOW ?? 0;

interface Listing {
  folder: string;
  names: string[];
}

/** A directory with a name in it: where something is made, moved or removed. */
interface Place {
  folder: Found;
  file: string;
}

export class Nfs implements Program {
  readonly number = NFS_PROGRAM;
  readonly version = VERSION;
  private readonly handles: Handles;
  /** Tells clients that this server was started anew, so that they write again what was not yet on the disk. */
  private readonly verifier = randomBytes(8);
  private readonly listings = new Map<string, Listing>();
  private readonly procedures: Record<number, Procedure>;

  constructor(handles: Handles) {
    this.handles = handles;
    this.procedures = {
      0: () => new XdrWriter(),
      1: (args) => this.guarded(async () => writeAttributes(ok(), (await this.file(args)).stat)),
      2: (args) => this.setAttributes(args),
      3: (args) => this.guarded(() => this.lookup(args), noAttributes),
      4: (args) => this.guarded(() => this.mayDo(args), noAttributes),
      5: (args) => this.guarded(() => this.readLink(args), noAttributes),
      6: (args) => this.guarded(() => this.read(args), noAttributes),
      7: (args) => this.write(args),
      8: (args) => this.make(args, (place) => this.createFile(args, place)),
      9: (args) => this.make(args, (place) => this.createFolder(args, place)),
      10: (args) => this.make(args, (place) => this.createLink(args, place)),
      11: (args) => this.make(args, () => Promise.reject(new NfsError(Status.notSupported))),
      12: (args) => this.remove(args, unlink),
      13: (args) => this.remove(args, rmdir),
      14: (args) => this.rename(args),
      15: (args) => this.hardLink(args),
      16: (args) => this.guarded(() => this.list(args, false), noAttributes),
      17: (args) => this.guarded(() => this.list(args, true), noAttributes),
      18: (args) => this.guarded(() => this.fileSystem(args), noAttributes),
      19: (args) => this.guarded(() => this.limits(args), noAttributes),
      20: (args) => this.guarded(() => this.pathLimits(args), noAttributes),
      21: (args) => this.commit(args),
    };
  }

  procedure(number: number): Procedure | undefined {
    return this.procedures[number];
  }

  private async guarded(
    work: () => Promise<XdrWriter>,
    rest: (writer: XdrWriter) => XdrWriter = (w) => w,
  ): Promise<XdrWriter> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof RangeError) throw error;
      return rest(new XdrWriter().uint(statusOf(error)));
    }
  }

  private async file(args: XdrReader): Promise<Found> {
    const found = await this.handles.find(args.opaque(64));
    if (found === "bad") throw new NfsError(Status.badHandle);
    if (found === "stale") throw new NfsError(Status.stale);
    return found;
  }

  /** A directory, and a name that is one: neither a path nor "..". */
  private async place(args: XdrReader): Promise<Place> {
    const folder = await this.file(args);
    const name = args.string(NAME_BYTES);
    if (!folder.stat.isDirectory()) throw new NfsError(Status.notDirectory);
    if (name === "" || name === "." || name === ".." || name.includes("/") || name.includes("\0"))
      throw new NfsError(Status.access);
    // A folder on the way that was replaced by a link would lead out of what is shared.
    if ((await realpath(folder.file)) !== folder.file) throw new NfsError(Status.stale);
    return { folder, file: path.join(folder.file, name) };
  }

  private async lookup(args: XdrReader): Promise<XdrWriter> {
    const folder = await this.file(args);
    const name = args.string(NAME_BYTES);
    if (!folder.stat.isDirectory()) throw new NfsError(Status.notDirectory);
    const top = folder.file === folder.of.folder;
    const file = name === "." || (name === ".." && top) ? folder.file : path.join(folder.file, name);
    if (name.includes("/") || name.includes("\0")) throw new NfsError(Status.noEntry);
    if ((await realpath(folder.file)) !== folder.file) throw new NfsError(Status.stale);
    const stat = await lstat(file, { bigint: true });
    return writePostOp(writePostOp(ok().opaque(this.handles.make(folder.of, file, stat)), stat), folder.stat);
  }

  private async mayDo(args: XdrReader): Promise<XdrWriter> {
    const { of, file, stat } = await this.file(args);
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

  private async readLink(args: XdrReader): Promise<XdrWriter> {
    const { file, stat } = await this.file(args);
    if (!stat.isSymbolicLink()) throw new NfsError(Status.invalid);
    return writePostOp(ok(), stat).string(await readlink(file));
  }

  private async read(args: XdrReader): Promise<XdrWriter> {
    const found = await this.file(args);
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

  private async write(args: XdrReader): Promise<XdrWriter> {
    return this.changing(args, async ({ file, stat }) => {
      const offset = Number(args.hyper());
      args.uint();
      const stable = args.uint();
      const data = args.opaque(MOST_BYTES);
      if (!stat.isFile()) throw new NfsError(Status.invalid);
      const handle = await open(file, constants.O_WRONLY | NOFOLLOW);
      try {
        for (let done = 0; done < data.length;)
          done += (await handle.write(data, done, data.length - done, offset + done)).bytesWritten;
        if (stable !== 0) await handle.datasync();
      } finally {
        await handle.close();
      }
      return (writer) => writer.uint(data.length).uint(stable).fixed(this.verifier);
    });
  }

  private commit(args: XdrReader): Promise<XdrWriter> {
    return this.changing(args, async ({ file, stat }) => {
      if (stat.isFile()) {
        const handle = await open(file, constants.O_WRONLY | NOFOLLOW);
        try {
          await handle.datasync();
        } finally {
          await handle.close();
        }
      }
      return (writer) => writer.fixed(this.verifier);
    });
  }

  private setAttributes(args: XdrReader): Promise<XdrWriter> {
    return this.changing(args, async ({ file, stat }) => {
      const wishes = readWishes(args);
      await apply(file, wishes, stat.isSymbolicLink());
      return (writer) => writer;
    });
  }

  /** A change of one file: answered with how it was and how it is. */
  private async changing(
    args: XdrReader,
    work: (found: Found) => Promise<(writer: XdrWriter) => XdrWriter>,
  ): Promise<XdrWriter> {
    let found: Found | undefined;
    try {
      found = await this.file(args);
      if (found.of.readOnly) throw new NfsError(Status.readOnly);
      const rest = await work(found);
      return rest(writeWcc(ok(), found.stat, await statOf(found.file)));
    } catch (error) {
      if (error instanceof RangeError) throw error;
      return writeWcc(new XdrWriter().uint(statusOf(error)), undefined, found && (await statOf(found.file)));
    }
  }

  /** Something new in a directory: answered with its handle and what became of the directory. */
  private async make(args: XdrReader, work: (place: Place) => Promise<void>): Promise<XdrWriter> {
    let place: Place | undefined;
    try {
      place = await this.place(args);
      if (place.folder.of.readOnly) throw new NfsError(Status.readOnly);
      await work(place);
      const { folder, file } = place;
      const stat = await lstat(file, { bigint: true });
      const writer = ok()
        .boolean(true)
        .opaque(this.handles.make(folder.of, file, stat));
      return writeWcc(writePostOp(writer, stat), folder.stat, await statOf(folder.file));
    } catch (error) {
      if (error instanceof RangeError) throw error;
      return writeWcc(new XdrWriter().uint(statusOf(error)), undefined, place && (await statOf(place.folder.file)));
    }
  }

  private async createFile(args: XdrReader, { file }: Place): Promise<void> {
    const how = args.uint();
    const exclusive = how === 2;
    const wishes = exclusive ? {} : readWishes(args);
    const flags = constants.O_WRONLY | constants.O_CREAT | NOFOLLOW | (how === 0 ? 0 : constants.O_EXCL);
    await (await open(file, flags, wishes.mode ?? 0o644)).close();
    await apply(file, wishes, false);
  }

  private async createFolder(args: XdrReader, { file }: Place): Promise<void> {
    const wishes = readWishes(args);
    await mkdir(file, { mode: wishes.mode ?? 0o755 });
    await apply(file, wishes, false);
  }

  private async createLink(args: XdrReader, { file }: Place): Promise<void> {
    readWishes(args);
    await symlink(args.string(PATH_BYTES), file);
  }

  private async remove(args: XdrReader, how: (file: string) => Promise<void>): Promise<XdrWriter> {
    let place: Place | undefined;
    try {
      place = await this.place(args);
      if (place.folder.of.readOnly) throw new NfsError(Status.readOnly);
      await how(place.file);
      return writeWcc(ok(), place.folder.stat, await statOf(place.folder.file));
    } catch (error) {
      if (error instanceof RangeError) throw error;
      return writeWcc(new XdrWriter().uint(statusOf(error)), undefined, place && (await statOf(place.folder.file)));
    }
  }

  private async rename(args: XdrReader): Promise<XdrWriter> {
    let from: Place | undefined;
    let to: Place | undefined;
    let status: number = Status.ok;
    try {
      from = await this.place(args);
      to = await this.place(args);
      if (from.folder.of.readOnly || to.folder.of.readOnly) throw new NfsError(Status.readOnly);
      if (from.folder.of !== to.folder.of) throw new NfsError(Status.crossDevice);
      await rename(from.file, to.file);
      this.handles.moved(from.file, to.file);
    } catch (error) {
      if (error instanceof RangeError) throw error;
      status = statusOf(error);
    }
    const writer = new XdrWriter().uint(status);
    for (const place of [from, to]) writeWcc(writer, place?.folder.stat, place && (await statOf(place.folder.file)));
    return writer;
  }

  private async hardLink(args: XdrReader): Promise<XdrWriter> {
    let found: Found | undefined;
    let place: Place | undefined;
    let status: number = Status.ok;
    try {
      found = await this.file(args);
      place = await this.place(args);
      if (found.of.readOnly || place.folder.of.readOnly) throw new NfsError(Status.readOnly);
      if (found.of !== place.folder.of) throw new NfsError(Status.crossDevice);
      await link(found.file, place.file);
    } catch (error) {
      if (error instanceof RangeError) throw error;
      status = statusOf(error);
    }
    const writer = writePostOp(new XdrWriter().uint(status), found && (await statOf(found.file)));
    return writeWcc(writer, place?.folder.stat, place && (await statOf(place.folder.file)));
  }

  /** A listing is read once and sent in pieces: what is removed meanwhile must not shift the rest. */
  private async list(args: XdrReader, plus: boolean): Promise<XdrWriter> {
    const folder = await this.file(args);
    const cookie = Number(args.hyper());
    const verifier = args.fixed(8).toString("hex");
    if (plus) args.uint();
    const room = Math.min(args.uint(), MOST_BYTES) - 256;
    if (!folder.stat.isDirectory()) throw new NfsError(Status.notDirectory);
    const { listing, id } = await this.listingOf(folder, cookie, verifier);
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

  private async listingOf(folder: Found, cookie: number, verifier: string): Promise<{ listing: Listing; id: string }> {
    if (cookie > 0) {
      const listing = this.listings.get(verifier);
      if (listing?.folder === folder.file) return { listing, id: verifier };
      throw new NfsError(Status.badCookie);
    }
    const names = (await readdir(folder.file)).toSorted();
    const listing = { folder: folder.file, names: [".", "..", ...names] };
    const id = randomBytes(8).toString("hex");
    this.listings.set(id, listing);
    const [oldest] = this.listings.keys();
    if (this.listings.size > LISTINGS && oldest !== undefined) this.listings.delete(oldest);
    return { listing, id };
  }

  private async fileSystem(args: XdrReader): Promise<XdrWriter> {
    const { file, stat } = await this.file(args);
    const found = await statfs(file, { bigint: true });
    const writer = writePostOp(ok(), stat);
    for (const value of [found.blocks, found.bfree, found.bavail]) writer.hyper(value * found.bsize);
    return writer.hyper(found.files).hyper(found.ffree).hyper(found.ffree).uint(0);
  }

  private async limits(args: XdrReader): Promise<XdrWriter> {
    const { stat } = await this.file(args);
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

  private async pathLimits(args: XdrReader): Promise<XdrWriter> {
    const { stat } = await this.file(args);
    return writePostOp(ok(), stat)
      .uint(32_000)
      .uint(NAME_BYTES)
      .boolean(true)
      .boolean(true)
      .boolean(false)
      .boolean(true);
  }
}

const ok = (): XdrWriter => new XdrWriter().uint(Status.ok);
const noAttributes = (writer: XdrWriter): XdrWriter => writer.boolean(false);

function parentOf({ file, of }: Found): string {
  return file === of.folder ? file : path.dirname(file);
}

function statOf(file: string): Promise<BigIntStats | undefined> {
  return lstat(file, { bigint: true }).catch(() => undefined);
}

async function apply(file: string, wishes: Wishes, isLink: boolean): Promise<void> {
  // Everything else would be done to what the link names.
  if (isLink) return;
  const { mode, uid, gid, size, atime, mtime } = wishes;
  if (size !== undefined) {
    const handle = await open(file, constants.O_WRONLY | NOFOLLOW);
    try {
      await handle.truncate(size);
    } finally {
      await handle.close();
    }
  }
  if (uid !== undefined || gid !== undefined) {
    const has = await lstat(file);
    if ((uid ?? has.uid) !== has.uid || (gid ?? has.gid) !== has.gid) await chown(file, uid ?? has.uid, gid ?? has.gid);
  }
  if (mode !== undefined) await chmod(file, mode);
  if (atime !== undefined || mtime !== undefined) {
    const has = await lstat(file);
    await utimes(file, atime ?? has.atimeMs / 1000, mtime ?? has.mtimeMs / 1000);
  }
}
