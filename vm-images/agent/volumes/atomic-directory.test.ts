import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { writeAtomically } from "./atomic-directory.ts";
import type { Payload } from "./atomic-directory.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "drydock-atomic-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const files = (...entries: [string, string][]): Payload =>
  new Map(entries.map(([name, text]) => [name, { data: Buffer.from(text), mode: 0o644 }]));
const read = (name: string): string => readFileSync(path.join(folder, name), "utf8");

it("writes versions, links to them, and says whether anything changed", async () => {
  expect(await writeAtomically(folder, files(["a", "1"], ["deep/b", "2"]))).toBe(true);
  expect([read("a"), read("deep/b")]).toEqual(["1", "2"]);
  const version = readlinkSync(path.join(folder, "..data"));
  expect(await writeAtomically(folder, files(["a", "1"], ["deep/b", "2"]))).toBe(false);
  expect(await writeAtomically(folder, files(["a", "3"]))).toBe(true);
  expect(readlinkSync(path.join(folder, "..data"))).not.toBe(version);
  expect(readdirSync(folder).filter((name) => !name.startsWith(".."))).toEqual(["a"]);
});

it("takes writes of one directory one after another", async () => {
  const many = Array.from({ length: 12 }, (_, index) => files(["a", String(index)], [`only-${index}`, "x"]));
  expect(await Promise.all(many.map((payload) => writeAtomically(folder, payload)))).not.toContain(false);
  expect(read("a")).toBe("11");
  expect(
    readdirSync(folder)
      .filter((name) => !name.startsWith(".."))
      .toSorted(),
  ).toEqual(["a", "only-11"]);
});

it("refuses paths that lead out, and goes on afterwards", async () => {
  await expect(writeAtomically(folder, files(["../x", "1"]))).rejects.toThrow("invalid path");
  expect(await writeAtomically(folder, files(["a", "1"]))).toBe(true);
});
