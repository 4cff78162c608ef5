import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { readJson, writeDurably } from "./durable.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "dd-"));
});

afterEach(() => rm(folder, { recursive: true }));

it("reads what was written, and leaves nothing else", async () => {
  const file = path.join(folder, "state", "identity.json");
  await writeDurably(file, '{"a":1}');
  await writeDurably(file, '{"a":2}');
  expect(await readJson(file, () => expect.unreachable())).toEqual({ a: 2 });
  expect(await readdir(path.dirname(file))).toEqual(["identity.json"]);
});

it("takes an empty file, as a power cut leaves it, for none", async () => {
  const damages: unknown[] = [];
  const file = path.join(folder, "identity.json");
  expect(await readJson(file, (error) => damages.push(error))).toBeUndefined();
  expect(damages).toEqual([]);
  await writeFile(file, "");
  expect(await readJson(file, (error) => damages.push(error))).toBeUndefined();
  expect(damages).toHaveLength(1);
});
