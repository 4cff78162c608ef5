/** Adds entries to a tar with what they do not say filled in; times are zero, so that equal content is equal bytes. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import type { Header, Pack } from "tar-stream";

export const EPOCH = new Date(0);

export interface TarEntry {
  name: string;
  type?: "file" | "directory" | "symlink";
  mode?: number;
  linkname?: string;
}

export function addEntry(out: Pack, entry: TarEntry, data?: string | Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error | null): void => (error ? reject(error) : resolve());
    const header = { uid: 0, gid: 0, mode: 0o777, ...entry, mtime: EPOCH } as Header;
    if (data === undefined) out.entry(header, done);
    else out.entry(header, data, done);
  });
}

/** Streams a file in. */
export async function addFile(out: Pack, name: string, file: string): Promise<void> {
  const { size } = await stat(file);
  const sink = out.entry({ name, size, mode: 0o644, mtime: EPOCH } as Header);
  await pipeline(createReadStream(file), sink as unknown as NodeJS.WritableStream);
}
