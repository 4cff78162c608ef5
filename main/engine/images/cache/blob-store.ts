/**
 * Blobs by their digest in a folder: each is written beside, checked against its digest, and renamed when whole. One that is
 * being downloaded is read by everybody who asks for it meanwhile. The least used go when there are too many.
 */
import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import type { ReadStream } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import path from "node:path";
import type { Readable } from "node:stream";

const DIGEST = /^sha256:[0-9a-f]{64}$/;
const CHUNK = 256 * 1024;
/** What is left when there was too much. */
const KEPT_SHARE = 0.9;

export interface Stored {
  size: number;
  open(from?: number, to?: number): ReadStream;
}

/** A blob on its way: grows until `finished`, which rejects when it is not what its digest says. */
export class Download {
  readonly size: number | undefined;
  readonly finished: Promise<void>;
  private readonly making: string;
  private readonly whole: string;
  private received = 0;
  private ended = false;
  private failure: Error | undefined;
  private wakers: (() => void)[] = [];

  constructor(
    files: { making: string; whole: string },
    size: number | undefined,
    work: (grown: (bytes: number) => void) => Promise<void>,
  ) {
    this.making = files.making;
    this.whole = files.whole;
    this.size = size;
    this.finished = work((bytes) => {
      this.received += bytes;
      this.wake();
    }).then(
      () => this.end(),
      (error: unknown) => {
        this.end(error instanceof Error ? error : new Error(String(error)));
        throw this.failure;
      },
    );
    // Readers are told too.
    this.finished.catch(() => undefined);
  }

  /** The bytes from there on, as they come; throws where the download fails. */
  async *read(from = 0): AsyncGenerator<Buffer, void, void> {
    const handle = await open(this.making, "r").catch((error: NodeJS.ErrnoException) => {
      if (this.failure) throw this.failure;
      // It has become whole meanwhile, and has its own name.
      if (error.code === "ENOENT") return open(this.whole, "r");
      throw error;
    });
    try {
      let at = from;
      for (;;) {
        if (this.failure) throw this.failure;
        if (at < this.received) {
          const buffer = Buffer.allocUnsafe(Math.min(CHUNK, this.received - at));
          const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
          at += bytesRead;
          yield buffer.subarray(0, bytesRead);
        } else if (this.ended) return;
        else await new Promise<void>((resolve) => this.wakers.push(resolve));
      }
    } finally {
      await handle.close();
    }
  }

  private end(error?: Error): void {
    this.ended = true;
    this.failure = error;
    this.wake();
  }

  private wake(): void {
    const { wakers } = this;
    this.wakers = [];
    for (const wake of wakers) wake();
  }
}

export class BlobStore {
  private readonly folder: string;
  private readonly log: (line: string) => void;
  private readonly downloads = new Map<string, Download>();
  /** Of the downloads that are under way or are to begin, and what becomes of these. */
  private readonly bodies = new Map<Readable, Promise<unknown>>();
  private collecting: Promise<void> = Promise.resolve();
  private closed = false;

  constructor(folder: string, log: (line: string) => void) {
    this.folder = folder;
    this.log = log;
  }

  static isDigest(text: string): boolean {
    return DIGEST.test(text);
  }

  /** Removes what a killed engine left half-done. */
  async prepare(): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.folder))
      if (name.endsWith(".making")) await rm(path.join(this.folder, name), { force: true });
  }

  async find(digest: string): Promise<Stored | undefined> {
    const file = this.file(digest);
    try {
      const { size } = await stat(file);
      const now = new Date();
      await utimes(file, now, now);
      return {
        size,
        open: (start, end) =>
          createReadStream(file, { ...(start === undefined ? {} : { start }), ...(end === undefined ? {} : { end }) }),
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  /** The download of that blob that is under way. */
  underWay(digest: string): Download | undefined {
    return this.downloads.get(digest);
  }

  /** Breaks off what is under way. Resolves when nothing is written any more. */
  async close(): Promise<void> {
    this.closed = true;
    const ended = [...this.bodies].map(([body, done]) => {
      body.destroy(new Error("the cache is closed"));
      return done;
    });
    await Promise.allSettled(ended);
    await this.collecting;
  }

  /** Takes the bytes of a blob in; of two at once the second body is not read. Throws when the cache is closed. */
  async take(digest: string, body: Readable, size: number | undefined): Promise<Download> {
    const begun = this.begin(digest, body, size);
    const done = begun.then(({ finished }) => finished).finally(() => this.bodies.delete(body));
    done.catch(() => undefined);
    this.bodies.set(body, done);
    return begun;
  }

  private async begin(digest: string, body: Readable, size: number | undefined): Promise<Download> {
    if (this.closed) throw new Error("the cache is closed");
    const making = path.join(this.folder, `${digest.slice(7)}.${randomUUID().slice(0, 8)}.making`);
    const handle = await open(making, "wx", 0o600);
    const present = this.downloads.get(digest);
    if (present) {
      await handle.close();
      await rm(making, { force: true });
      body.destroy();
      return present;
    }
    const download = new Download({ making, whole: this.file(digest) }, size, async (grown) => {
      try {
        const hash = createHash("sha256");
        for await (const chunk of body as AsyncIterable<Buffer>) {
          hash.update(chunk);
          await handle.write(chunk);
          grown(chunk.length);
        }
        const got = `sha256:${hash.digest("hex")}`;
        if (got !== digest) throw new Error(`the registry sent ${got} in place of ${digest}`);
        await handle.datasync();
        await rename(making, this.file(digest));
      } catch (error) {
        await rm(making, { force: true });
        throw error;
      } finally {
        await handle.close();
        this.downloads.delete(digest);
      }
    });
    this.downloads.set(digest, download);
    download.finished.catch((error: unknown) => this.log(`blob ${digest.slice(7, 19)}: ${String(error)}`));
    return download;
  }

  async usage(): Promise<{ bytes: number; blobs: number }> {
    const all = await this.all();
    return { bytes: all.reduce((sum, { size }) => sum + size, 0), blobs: all.length };
  }

  /** Removes the least recently used when there are more bytes than that. One after another. */
  collect(limitBytes: number): Promise<number> {
    const work = this.collecting.then(async () => {
      const all = (await this.all()).toSorted((a, b) => a.usedAt - b.usedAt);
      let bytes = all.reduce((sum, { size }) => sum + size, 0);
      if (bytes <= limitBytes) return 0;
      const before = bytes;
      for (const { file, size } of all) {
        if (bytes <= limitBytes * KEPT_SHARE) break;
        await rm(file, { force: true });
        bytes -= size;
      }
      return before - bytes;
    });
    this.collecting = work.then(
      () => undefined,
      () => undefined,
    );
    return work;
  }

  private async all(): Promise<{ file: string; size: number; usedAt: number }[]> {
    const found: { file: string; size: number; usedAt: number }[] = [];
    for (const name of await readdir(this.folder)) {
      if (!/^[0-9a-f]{64}$/.test(name)) continue;
      const file = path.join(this.folder, name);
      try {
        const { size, mtimeMs } = await stat(file);
        found.push({ file, size, usedAt: mtimeMs });
      } catch (error) {
        // Collected meanwhile.
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      }
    }
    return found;
  }

  private file(digest: string): string {
    if (!DIGEST.test(digest)) throw new Error(`${digest} is no digest`);
    return path.join(this.folder, digest.slice(7));
  }
}
