/** The folder that an image is built from, as the archive Docker wants: without what .dockerignore leaves out. */
import { createReadStream } from "node:fs";
import { lstat, readFile, readdir, readlink } from "node:fs/promises";
import path from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import dockerignore from "@balena/dockerignore";
import { pack } from "tar-stream";
import type { Pack } from "tar-stream";
import { fail } from "../../clusters/failure.ts";

/** What Docker itself always needs, whatever is left out. */
const KEPT = [".dockerignore"];

export interface BuildContext {
  folder: string;
  /** The Dockerfile's path in the folder. */
  dockerfile: string;
  /** Its text, to see what it is built from. */
  text: string;
}

/** Throws FILE_UNREADABLE where there is no such folder or Dockerfile, or the Dockerfile lies elsewhere. */
export async function findContext(folder: string, dockerfile: string): Promise<BuildContext> {
  const file = path.resolve(folder, dockerfile);
  const inside = path.relative(folder, file);
  if (inside.startsWith("..") || path.isAbsolute(inside))
    throw fail(
      "FILE_UNREADABLE",
      `${file} is not in ${folder}: a Dockerfile must lie in the folder that it is built from`,
    );
  try {
    return { folder, dockerfile: inside.split(path.sep).join("/"), text: await readFile(file, "utf8") };
  } catch (error) {
    throw fail("FILE_UNREADABLE", `${file}: ${(error as Error).message}`, { cause: error });
  }
}

/** The images that a Dockerfile begins from. Pure. */
export function basesOf(dockerfile: string): string[] {
  const stages = new Set<string>();
  const bases: string[] = [];
  for (const [, image = "", stage] of dockerfile.matchAll(/^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?/gim)) {
    if (!stages.has(image.toLowerCase()) && image !== "scratch") bases.push(image);
    if (stage) stages.add(stage.toLowerCase());
  }
  return [...new Set(bases)];
}

/** Read while it is sent: a large folder is never held in memory. */
export async function archiveOf({ folder, dockerfile }: BuildContext): Promise<Readable> {
  const text = await readFile(path.join(folder, ".dockerignore"), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  const ignore = dockerignore.default({ ignorecase: false }).add(text);
  const wanted = ignore.createFilter();
  const kept = new Set([...KEPT, dockerfile]);
  // An exception ("!docs/a") may lie in any folder: without one, what is left out need not be looked into.
  const exceptions = /^\s*!/m.test(text);
  const archive = pack();
  const walk = async (relative: string): Promise<void> => {
    const entries = await readdir(path.join(folder, relative), { withFileTypes: true });
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const name = relative === "" ? entry.name : `${relative}/${entry.name}`;
      const goes = kept.has(name) || wanted(name);
      if (goes) await add(archive, folder, name);
      if (entry.isDirectory() && (goes || exceptions || dockerfile.startsWith(`${name}/`))) await walk(name);
    }
  };
  walk("").then(
    () => archive.finalize(),
    (error: unknown) => archive.destroy(error instanceof Error ? error : new Error(String(error))),
  );
  return archive as unknown as Readable;
}

async function add(archive: Pack, folder: string, name: string): Promise<void> {
  const file = path.join(folder, name);
  const { mode, mtime, size, isFile, isDirectory, isSymbolicLink } = await described(file);
  const header = { name, mode, mtime, uid: 0, gid: 0 };
  if (isDirectory) archive.entry({ ...header, type: "directory" });
  else if (isSymbolicLink) archive.entry({ ...header, type: "symlink", linkname: await readlink(file) });
  else if (isFile) {
    // A file that grows meanwhile is taken as it was: the archive says beforehand how much comes.
    if (size === 0) archive.entry({ ...header, size }, "");
    else await pipeline(createReadStream(file, { end: size - 1 }), archive.entry({ ...header, size }));
  }
  // Sockets and pipes are left out, as Docker's own client does.
}

async function described(file: string) {
  const found = await lstat(file);
  return {
    mode: found.mode & 0o7777,
    mtime: found.mtime,
    size: found.size,
    isFile: found.isFile(),
    isDirectory: found.isDirectory(),
    isSymbolicLink: found.isSymbolicLink(),
  };
}
