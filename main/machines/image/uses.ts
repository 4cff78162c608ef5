/**
 * Who stands on what: a disk that is a layer over another says so beside that one, in `users/`, one small file with
 * its own path. So an image or a template can be removed when nothing stands on it any more, also where several
 * data folders share one folder of images and nobody knows all clusters.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";

const USERS = "users";

/** Notes that the disk `user` is a layer over a file in `folder`. Before the layer is made, so that none is ever unknown. */
export async function noteUse(folder: string, user: string): Promise<void> {
  const users = path.join(folder, USERS);
  await mkdir(users, { recursive: true, mode: 0o700 });
  const name = createHash("sha256").update(user).digest("hex").slice(0, 16);
  await writeFile(path.join(users, name), user, { mode: 0o600 });
}

/** Whether some noted disk still exists. A folder without notes was made before there were any: in use, for all we know. */
export async function isUsed(folder: string): Promise<boolean> {
  const users = path.join(folder, USERS);
  let names: string[];
  try {
    names = await readdir(users);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return true;
    throw error;
  }
  let used = false;
  for (const name of names) {
    const note = path.join(users, name);
    if (await exists(await readFile(note, "utf8"))) used = true;
    else await rm(note, { force: true });
  }
  return used;
}

/** A new folder that nothing stands on yet. */
export async function beginNotes(folder: string): Promise<void> {
  await mkdir(path.join(folder, USERS), { recursive: true, mode: 0o700 });
}

async function exists(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (error) {
    // A disk on a mount that does not answer now is not gone.
    const { code } = error as NodeJS.ErrnoException;
    return code !== "ENOENT" && code !== "ENOTDIR";
  }
}
