/** Logs that a program is still writing. */
import { readFile } from "node:fs/promises";

/** What stands in a file of one JSON value a line. Whole lines alone: the last may still be on its way. */
export async function jsonLines<T>(file: string): Promise<T[]> {
  const lines = (await readFile(file, "utf8")).split("\n").slice(0, -1);
  return lines.map((line) => JSON.parse(line) as T);
}
