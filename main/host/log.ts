/** A log file that starts anew when it has grown, keeping its two predecessors; and its live lines. */
import { closeSync, existsSync, fstatSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";

export type LogLevel = "info" | "warn" | "error";

export interface Log {
  info(message: string): void;
  warn(message: string): void;
  /** `cause` is written with its stack. */
  error(message: string, cause?: unknown): void;
}

export class RotatingLog implements Log {
  private descriptor: number;
  private size: number;
  private readonly listeners = new Set<(line: string) => void>();
  private readonly file: string;
  private readonly limit: number;

  constructor(file: string, limit = 4 * 1024 * 1024) {
    this.file = file;
    this.limit = limit;
    this.descriptor = openSync(file, "a", 0o600);
    this.size = fstatSync(this.descriptor).size;
  }

  info(message: string): void {
    this.write("info", message);
  }

  warn(message: string): void {
    this.write("warn", message);
  }

  error(message: string, cause?: unknown): void {
    const detail =
      cause === undefined ? "" : `: ${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}`;
    this.write("error", message + detail);
  }

  /** Raw text of a child process, one line at a time, without a level of ours. */
  line(text: string): void {
    this.append(text);
  }

  /** The last `count` lines, from the predecessor too when this file has just been begun. */
  tail(count: number): string[] {
    return tailOf(this.file, count);
  }

  /** Each line from now on; returns the way to stop. */
  onLine(listener: (line: string) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  close(): void {
    closeSync(this.descriptor);
    this.descriptor = -1;
  }

  private write(level: LogLevel, message: string): void {
    this.append(`${new Date().toISOString()} ${level.padEnd(5)} ${message}`);
  }

  private append(line: string): void {
    // Lines that come after the end (a late child's last words) have no file to go to.
    if (this.descriptor < 0) return;
    const bytes = Buffer.from(`${line}\n`);
    if (this.size > 0 && this.size + bytes.length > this.limit) this.rotate();
    writeSync(this.descriptor, bytes);
    this.size += bytes.length;
    for (const listener of this.listeners) listener(line);
  }

  private rotate(): void {
    closeSync(this.descriptor);
    if (existsSync(`${this.file}.1`)) renameSync(`${this.file}.1`, `${this.file}.2`);
    renameSync(this.file, `${this.file}.1`);
    this.descriptor = openSync(this.file, "a", 0o600);
    this.size = 0;
  }
}

/** The last `count` lines of a rotated log. */
export function tailOf(file: string, count: number): string[] {
  const lines = linesOf(file);
  if (lines.length < count) lines.unshift(...linesOf(`${file}.1`));
  return count === 0 ? [] : lines.slice(-count);
}

function linesOf(file: string): string[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}
