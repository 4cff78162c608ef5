/**
 * A directory whose files change together. Readers follow a symlink that is swapped in one rename:
 *
 *     config/app.conf   → ..data/app.conf
 *     config/..data     → ..2026_11_23_1
 *     config/..2026_11_23_1/app.conf
 *
 * Someone watching `..data` sees each version whole.
 */
import {
  chmod,
  chown,
  lchown,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { dirname, join, normalize } from "node:path";

export interface FileContent {
  data: Buffer;
  /** Permission bits. */
  mode: number;
}

export type Payload = Map<string, FileContent>;

/** The last write of each directory: a container that starts and a refresh may come at the same time. */
const writing = new Map<string, Promise<unknown>>();

/** Makes `directory` hold exactly `payload`. Returns false when it did already. Paths must be relative and stay inside. */
export function writeAtomically(directory: string, payload: Payload, groupId?: number): Promise<boolean> {
  const before = writing.get(directory) ?? Promise.resolve();
  const own = before.then(() => write(directory, payload, groupId));
  const settled = own
    .catch(() => undefined)
    .then(() => {
      if (writing.get(directory) === settled) writing.delete(directory);
    });
  writing.set(directory, settled);
  return own;
}

async function write(directory: string, payload: Payload, groupId: number | undefined): Promise<boolean> {
  for (const path of payload.keys()) {
    const clean = normalize(path);
    if (clean.startsWith("/") || clean.split("/").some((part) => part.startsWith("..")))
      throw new Error(`invalid path in volume: ${path}`);
  }
  await mkdir(directory, { recursive: true });
  const current = await readlink(join(directory, "..data")).catch(() => undefined);
  if (current && (await holds(join(directory, current), payload))) return false;

  const version = await unusedName(directory);
  const target = join(directory, version);
  await mkdir(target, { mode: 0o755 });
  for (const [path, { data, mode }] of payload) {
    const file = join(target, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, data);
    await chmod(file, groupId === undefined ? mode : mode | 0o440);
    if (groupId !== undefined) await chown(file, -1, groupId).catch(() => lchown(file, 0, groupId));
  }
  const temporary = join(directory, "..data_tmp");
  await rm(temporary, { force: true });
  await symlink(version, temporary);
  await rename(temporary, join(directory, "..data"));

  const wanted = new Set([...payload.keys()].map((path) => normalize(path).split("/")[0] as string));
  for (const entry of await readdir(directory)) {
    if (entry === "..data" || entry === version) continue;
    if (entry.startsWith("..") || !wanted.has(entry))
      await rm(join(directory, entry), { recursive: true, force: true });
  }
  for (const entry of wanted) {
    const link = join(directory, entry);
    if (!(await lstat(link).catch(() => undefined))) await symlink(join("..data", entry), link);
  }
  return true;
}

async function holds(directory: string, payload: Payload): Promise<boolean> {
  const files = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  if (files.filter((entry) => entry.isFile()).length !== payload.size) return false;
  for (const [path, { data, mode }] of payload) {
    const file = join(directory, path);
    const info = await lstat(file).catch(() => undefined);
    if (!info?.isFile() || info.size !== data.length || (info.mode & mode) !== mode) return false;
    if (!(await readFile(file)).equals(data)) return false;
  }
  return true;
}

async function unusedName(directory: string): Promise<string> {
  const day = new Date().toISOString().slice(0, 19).replaceAll(/[-:T]/g, "_");
  for (let number = 0; ; number++) {
    const name = `..${day}.${number}`;
    if (!(await lstat(join(directory, name)).catch(() => undefined))) return name;
  }
}
