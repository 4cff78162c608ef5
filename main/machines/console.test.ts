import { appendFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { followFile } from "./console.ts";

let folder: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "dd-"));
  file = path.join(folder, "console.log");
});

afterEach(() => rm(folder, { recursive: true }));

async function all(lines: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = [];
  for await (const line of lines) found.push(line);
  return found;
}

describe("followFile", () => {
  it("gives the last lines, an unfinished one too", async () => {
    await writeFile(file, "one\r\ntwo\nthree\nfour");
    expect(await all(followFile(file, { lines: 2, follow: false }))).toEqual(["two", "three", "four"]);
    expect(await all(followFile(file, { lines: 0, follow: false }))).toEqual(["four"]);
  });

  it("has no lines of a file that is not there", async () => {
    expect(await all(followFile(file, { lines: 5, follow: false }))).toEqual([]);
  });

  it("follows a file that appears, grows in the middle of a line, and is begun anew", async () => {
    const end = new AbortController();
    const lines = followFile(file, { lines: 5, follow: true, signal: end.signal });
    const next = async (): Promise<string | void> => (await lines.next()).value;
    const first = next();
    await writeFile(file, "one\ntw");
    expect(await first).toBe("one");
    const second = next();
    await appendFile(file, "o\n");
    expect(await second).toBe("two");
    const third = next();
    await writeFile(file, "new\n");
    expect(await third).toBe("new");
    end.abort();
    expect((await lines.next()).done).toBe(true);
  });
});
