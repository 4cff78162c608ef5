/**
 * The NFS version 3 procedures (RFC 1813) over folders of this computer. Links are never followed here, everything is done
 * as the user who runs the engine, and a folder that is shared for reading refuses every change.
 */
import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { link, lstat, mkdir, open, rename, rmdir, symlink, unlink } from "node:fs/promises";
import { apply, NOFOLLOW, statOf } from "./files.ts";
import type { Found, Handles } from "./handles.ts";
import {
  MOST_BYTES,
  NFS_PROGRAM,
  NfsError,
  Status,
  VERSION,
  ok,
  readWishes,
  statusOf,
  writeAttributes,
  writePostOp,
  writeWcc,
} from "./nfs-types.ts";
import { Reading } from "./reading.ts";
import type { Procedure, Program } from "./rpc-server.ts";
import { Targets } from "./targets.ts";
import type { Place } from "./targets.ts";
import { XdrWriter } from "./xdr.ts";
import type { XdrReader } from "./xdr.ts";

const PATH_BYTES = 1024;

export class Nfs implements Program {
  readonly number = NFS_PROGRAM;
  readonly version = VERSION;
  private readonly handles: Handles;
  private readonly targets: Targets;
  private readonly reading: Reading;
  /** Tells clients that this server was started anew, so that they write again what was not yet on the disk. */
  private readonly verifier = randomBytes(8);
  private readonly procedures: Record<number, Procedure>;

  constructor(handles: Handles) {
    this.handles = handles;
    this.targets = new Targets(handles);
    this.reading = new Reading(handles, this.targets);
    this.procedures = {
      0: () => new XdrWriter(),
      1: (args) => this.guarded(async () => writeAttributes(ok(), (await this.targets.file(args)).stat)),
      2: (args) => this.setAttributes(args),
      3: (args) => this.guarded(() => this.reading.lookup(args), noAttributes),
      4: (args) => this.guarded(() => this.reading.mayDo(args), noAttributes),
      5: (args) => this.guarded(() => this.reading.readLink(args), noAttributes),
      6: (args) => this.guarded(() => this.reading.read(args), noAttributes),
      7: (args) => this.write(args),
      8: (args) => this.make(args, (place) => this.createFile(args, place)),
      9: (args) => this.make(args, (place) => this.createFolder(args, place)),
      10: (args) => this.make(args, (place) => this.createLink(args, place)),
      11: (args) => this.make(args, () => Promise.reject(new NfsError(Status.notSupported))),
      12: (args) => this.remove(args, unlink),
      13: (args) => this.remove(args, rmdir),
      14: (args) => this.rename(args),
      15: (args) => this.hardLink(args),
      16: (args) => this.guarded(() => this.reading.list(args, false), noAttributes),
      17: (args) => this.guarded(() => this.reading.list(args, true), noAttributes),
      18: (args) => this.guarded(() => this.reading.fileSystem(args), noAttributes),
      19: (args) => this.guarded(() => this.reading.limits(args), noAttributes),
      20: (args) => this.guarded(() => this.reading.pathLimits(args), noAttributes),
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
      found = await this.targets.file(args);
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
      place = await this.targets.place(args);
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
      place = await this.targets.place(args);
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
      from = await this.targets.place(args);
      to = await this.targets.place(args);
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
      found = await this.targets.file(args);
      place = await this.targets.place(args);
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
}

const noAttributes = (writer: XdrWriter): XdrWriter => writer.boolean(false);
