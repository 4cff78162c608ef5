/** Files of this computer, as the procedures see and change them: links are never followed. */
import { constants } from "node:fs";
import type { BigIntStats } from "node:fs";
import { chmod, chown, lstat, open, utimes } from "node:fs/promises";
import type { Wishes } from "./nfs-types.ts";

export const NOFOLLOW = constants.O_NOFOLLOW ?? 0;

/** Nothing when it is not there, or may not be looked at. */
export function statOf(file: string): Promise<BigIntStats | undefined> {
  return lstat(file, { bigint: true }).catch(() => undefined);
}

/** Gives a file the attributes that a client wishes. */
export async function apply(file: string, wishes: Wishes, isLink: boolean): Promise<void> {
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
