import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { PulledImages } from "./pulled-images.ts";

const friend = { username: "friend", password: "secret-word", serveraddress: "r.example" };
const other = { ...friend, password: "other" };

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "drydock-pulled-"));
  file = join(folder, "pulled-images.json");
});
afterEach(() => rm(folder, { recursive: true }));

const open = (onDamage: (error: unknown) => void = () => expect.unreachable()): Promise<PulledImages> =>
  PulledImages.open(file, onDamage);

it("gives an image that came with a login to those who bring it, after a restart too", async () => {
  const pulled = await open();
  await pulled.begin("r.example:5000/a:1");
  await pulled.pulled("sha256:1", "r.example:5000/a:1", friend);
  for (const images of [pulled, await open()]) {
    expect(images.mayUse("sha256:1", "r.example:5000/a:1", [friend])).toBe(true);
    expect(images.mayUse("sha256:1", "r.example:5000/a:2", [other, friend])).toBe(true);
    expect(images.mayUse("sha256:1", "r.example:5000/a@sha256:1", [])).toBe(false);
    expect(images.mayUse("sha256:1", "r.example:5000/a:1", [other])).toBe(false);
    // The same image by another name: its registry was never asked.
    expect(images.mayUse("sha256:1", "s.example/a:1", [friend])).toBe(false);
  }
  expect(await readFile(file, "utf8")).not.toContain("secret-word");
});

it("gives everybody what nobody pulled, and what was pulled without a login", async () => {
  const pulled = await open();
  expect(pulled.mayUse("sha256:2", "busybox:1", [])).toBe(true);
  await pulled.pulled("sha256:1", "r.example/a:1", friend);
  await pulled.pulled("sha256:1", "r.example/a:1", undefined);
  expect(pulled.mayUse("sha256:1", "r.example/a:1", [])).toBe(true);
});

it("asks the registry about what a pull brought that was cut off", async () => {
  await (await open()).begin("r.example/a:1");
  const after = await open();
  expect(after.mayUse("sha256:1", "r.example/a:1", [friend])).toBe(false);
  await after.keepOnly([{ id: "sha256:1", names: ["r.example/a:1"] }]);
  for (const images of [after, await open()]) expect(images.mayUse("sha256:1", "r.example/a:1", [friend])).toBe(false);
  // One that is loaded by hand later was not of that pull.
  expect(after.mayUse("sha256:9", "r.example/a:2", [])).toBe(true);
  await after.pulled("sha256:1", "r.example/a:1", friend);
  expect(after.mayUse("sha256:1", "r.example/a:1", [friend])).toBe(true);
});

it("gives everybody what is loaded after a pull that failed", async () => {
  const pulled = await open();
  await Promise.all([pulled.begin("app:1"), pulled.begin("app:1")]);
  await pulled.failed("app:1");
  expect(pulled.mayUse("sha256:1", "app:1", [])).toBe(false);
  await pulled.failed("app:1");
  for (const images of [pulled, await open()]) expect(images.mayUse("sha256:1", "app:1", [])).toBe(true);
});

it("forgets images that are gone", async () => {
  const pulled = await open();
  await Promise.all([
    pulled.pulled("sha256:1", "r.example/a:1", friend),
    pulled.pulled("sha256:2", "r.example/b:1", friend),
  ]);
  await pulled.keepOnly([{ id: "sha256:2", names: [] }]);
  expect(Object.keys((JSON.parse(await readFile(file, "utf8")) as { images: object }).images)).toEqual(["sha256:2"]);
});

it("says that its file is damaged, and begins anew", async () => {
  await writeFile(file, "{");
  const errors: unknown[] = [];
  const pulled = await open((error) => errors.push(error));
  expect(errors).toHaveLength(1);
  expect(pulled.mayUse("sha256:1", "r.example/a:1", [])).toBe(true);
});
