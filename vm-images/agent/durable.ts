/** State of the node that must survive the machine being cut off at any moment: whole and on the disk before it counts. */
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import type { Log } from "./log.ts";
import { describeError } from "./log.ts";

/** Writes JSON beside the file, brings it to the disk, then puts it in the file's place. */
export async function writeState(file: string, value: unknown): Promise<void> {
  const folder = dirname(file);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const fresh = `${file}.new`;
  const handle = await open(fresh, "w", 0o600);
  try {
    await handle.writeFile(JSON.stringify(value));
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(fresh, file);
  const directory = await open(folder, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** undefined when there is none, or it cannot be read: then the node asks for it again. */
export async function readState<T>(file: string, log: Log): Promise<T | undefined> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") log.error("state", file, error);
    return undefined;
  }
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    log.info("state", `${file} is damaged (${describeError(error)}) and counts as absent`);
    return undefined;
  }
}
