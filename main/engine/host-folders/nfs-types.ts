/** NFS version 3 (RFC 1813): its numbers, and how attributes are written. */
import type { BigIntStats } from "node:fs";
import { XdrReader, XdrWriter } from "./xdr.ts";

export const NFS_PROGRAM = 100_003;
export const MOUNT_PROGRAM = 100_005;
export const VERSION = 3;
/** Of one read or write. */
export const MOST_BYTES = 1024 * 1024;
export const NAME_BYTES = 255;

export const Status = {
  ok: 0,
  perm: 1,
  noEntry: 2,
  io: 5,
  access: 13,
  exists: 17,
  crossDevice: 18,
  notDirectory: 20,
  isDirectory: 21,
  invalid: 22,
  tooLarge: 27,
  noSpace: 28,
  readOnly: 30,
  tooManyLinks: 31,
  nameTooLong: 63,
  notEmpty: 66,
  quota: 69,
  stale: 70,
  badHandle: 10_001,
  badCookie: 10_003,
  notSupported: 10_004,
  serverFault: 10_006,
} as const;

const BY_CODE: Record<string, number> = {
  EPERM: Status.perm,
  ENOENT: Status.noEntry,
  EACCES: Status.access,
  EEXIST: Status.exists,
  EXDEV: Status.crossDevice,
  ENOTDIR: Status.notDirectory,
  EISDIR: Status.isDirectory,
  EINVAL: Status.invalid,
  EFBIG: Status.tooLarge,
  ENOSPC: Status.noSpace,
  EROFS: Status.readOnly,
  EMLINK: Status.tooManyLinks,
  ENAMETOOLONG: Status.nameTooLong,
  ENOTEMPTY: Status.notEmpty,
  EDQUOT: Status.quota,
  ESTALE: Status.stale,
  // A link where a file was asked for: links are followed by nodes, never here.
  ELOOP: Status.invalid,
};

/** A refusal, with its number. */
export class NfsError extends Error {
  readonly status: number;
  constructor(status: number) {
    super(`status ${status}`);
    this.status = status;
  }
}

/** The beginning of an answer of a call that went well. */
export const ok = (): XdrWriter => new XdrWriter().uint(Status.ok);

export function statusOf(error: unknown): number {
  if (error instanceof NfsError) return error.status;
  return BY_CODE[(error as NodeJS.ErrnoException).code ?? ""] ?? Status.io;
}

export function writeAttributes(writer: XdrWriter, stat: BigIntStats): XdrWriter {
  writer
    .uint(typeOf(stat))
    .uint(Number(stat.mode) & 0o7777)
    .uint(Number(stat.nlink));
  writer
    .uint(Number(stat.uid))
    .uint(Number(stat.gid))
    .hyper(stat.size)
    .hyper(stat.blocks * 512n);
  writer.uint(0).uint(0).hyper(stat.dev).hyper(stat.ino);
  return writeTime(writeTime(writeTime(writer, stat.atimeNs), stat.mtimeNs), stat.ctimeNs);
}

function typeOf(stat: BigIntStats): number {
  if (stat.isFile()) return 1;
  if (stat.isDirectory()) return 2;
  if (stat.isBlockDevice()) return 3;
  if (stat.isCharacterDevice()) return 4;
  if (stat.isSymbolicLink()) return 5;
  return stat.isSocket() ? 6 : 7;
}

const SECOND = 1_000_000_000n;

function writeTime(writer: XdrWriter, nanoseconds: bigint): XdrWriter {
  return writer.uint(Number((nanoseconds / SECOND) & 0xffff_ffffn)).uint(Number(nanoseconds % SECOND));
}

/** Attributes after an operation, where they are known. */
export function writePostOp(writer: XdrWriter, stat: BigIntStats | undefined): XdrWriter {
  return stat ? writeAttributes(writer.boolean(true), stat) : writer.boolean(false);
}

/** Weak cache consistency: what it was before, and what it is now. */
export function writeWcc(
  writer: XdrWriter,
  before: BigIntStats | undefined,
  after: BigIntStats | undefined,
): XdrWriter {
  if (before) writeTime(writeTime(writer.boolean(true).hyper(before.size), before.mtimeNs), before.ctimeNs);
  else writer.boolean(false);
  return writePostOp(writer, after);
}

/** What a client wants to set; times in seconds. */
export interface Wishes {
  mode?: number;
  uid?: number;
  gid?: number;
  size?: number;
  atime?: number;
  mtime?: number;
}

export function readWishes(reader: XdrReader): Wishes {
  const optional = <T>(read: () => T): T | undefined => (reader.boolean() ? read() : undefined);
  const mode = optional(() => reader.uint() & 0o7777);
  const uid = optional(() => reader.uint());
  const gid = optional(() => reader.uint());
  const size = optional(() => Number(reader.hyper()));
  const time = (): number | undefined => {
    const how = reader.uint();
    if (how === 0) return undefined;
    return how === 1 ? Date.now() / 1000 : reader.uint() + reader.uint() / 1e9;
  };
  const atime = time();
  const mtime = time();
  const all = { mode, uid, gid, size, atime, mtime };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}
