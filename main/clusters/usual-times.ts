/** How long each kind of step usually takes on this computer: the median of its last few runs. */
import { readFile } from "node:fs/promises";
import * as z from "zod";
import { writeFileAtomically } from "./cluster-file.ts";

const Times = z.record(z.string(), z.array(z.number().min(0)));
const KEPT = 9;

export class UsualTimes {
  private times: Record<string, number[]> = {};
  private readonly file: string;
  private writing: Promise<void> = Promise.resolve();

  constructor(file: string) {
    this.file = file;
  }

  /** A missing or damaged file only means that nothing is remembered. */
  async load(): Promise<void> {
    let content: string;
    try {
      content = await readFile(this.file, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
      throw error;
    }
    try {
      this.times = Times.parse(JSON.parse(content));
    } catch {
      this.times = {};
    }
  }

  /** Milliseconds; undefined the first time. */
  usual(kind: string): number | undefined {
    const kept = this.times[kind];
    return kept && kept.length > 0 ? median(kept) : undefined;
  }

  record(kind: string, millis: number): void {
    this.times[kind] = [...(this.times[kind] ?? []), Math.round(millis)].slice(-KEPT);
  }

  /** Writes one after another; the last content wins. One that fails keeps no later one from being written. */
  save(): Promise<void> {
    const write = (): Promise<void> => writeFileAtomically(this.file, `${JSON.stringify(this.times)}\n`, 0o600);
    this.writing = this.writing.then(write, write);
    return this.writing;
  }
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}
