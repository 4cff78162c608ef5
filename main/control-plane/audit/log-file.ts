/** The audit log as a file of one JSON event a line, put aside when it is large; "-" is standard output. */
import { appendFile, mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import path from "node:path";

export interface LogFileOptions {
  path: string;
  /** Megabytes; 0: never put aside. */
  maxSize?: number;
  /** How many that were put aside are kept; 0: all. */
  maxBackups?: number;
  /** Days that they are kept; 0: for ever. */
  maxAge?: number;
  failed(error: Error): void;
}

const DAY_MILLIS = 24 * 3600 * 1000;
const MEGABYTE = 1024 * 1024;

export class LogFile {
  readonly #options: LogFileOptions;
  #lines: string[] = [];
  #writing: Promise<void> | undefined;
  #size: number | undefined;

  constructor(options: LogFileOptions) {
    this.#options = options;
  }

  write(line: string): void {
    this.#lines.push(line);
    this.#writing ??= this.#drain();
  }

  /** Resolves when all is written. */
  async close(): Promise<void> {
    await this.#writing;
  }

  async #drain(): Promise<void> {
    // What comes in the same turn is one write.
    await Promise.resolve();
    try {
      while (this.#lines.length > 0) {
        const text = `${this.#lines.join("\n")}\n`;
        this.#lines = [];
        await this.#append(text);
      }
    } catch (error) {
      this.#options.failed(error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.#writing = undefined;
    }
  }

  async #append(text: string): Promise<void> {
    const { path: file, maxSize = 0 } = this.#options;
    if (file === "-") {
      process.stdout.write(text);
      return;
    }
    const bytes = Buffer.byteLength(text);
    if (this.#size === undefined) {
      await mkdir(path.dirname(file), { recursive: true });
      this.#size = await stat(file).then(
        ({ size }) => size,
        () => 0,
      );
    }
    if (maxSize > 0 && this.#size > 0 && this.#size + bytes > maxSize * MEGABYTE) await this.#rotate();
    await appendFile(file, text, { mode: 0o600 });
    this.#size += bytes;
  }

  async #rotate(): Promise<void> {
    const { path: file, maxBackups = 0, maxAge = 0 } = this.#options;
    const { dir, name, ext } = path.parse(file);
    const now = new Date();
    const stamp = now.toISOString().slice(0, -1).replaceAll(":", "-");
    await rename(file, path.join(dir, `${name}-${stamp}${ext}`));
    this.#size = 0;
    const aside = (await readdir(dir))
      .filter((one) => one.startsWith(`${name}-`) && one.endsWith(ext) && /-\d{4}-\d\d-\d\dT/.test(one))
      .toSorted()
      .toReversed();
    for (const [at, one] of aside.entries()) {
      const full = path.join(dir, one);
      const tooMany = maxBackups > 0 && at >= maxBackups;
      const tooOld = maxAge > 0 && now.getTime() - (await stat(full)).mtimeMs > maxAge * DAY_MILLIS;
      if (tooMany || tooOld) await rm(full, { force: true });
    }
  }
}
