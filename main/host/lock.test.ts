import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LockedError, acquireLock, lockHolder } from "./lock.ts";
import { processStartTime } from "./process-start.ts";

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "drydock-lock-"));
  file = path.join(folder, "engine.lock");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("acquireLock", () => {
  it("is held by one, and free again when released", async () => {
    const lock = await acquireLock(file);
    expect(await lockHolder(file)).toEqual({ pid: process.pid, startTime: await processStartTime(process.pid) });
    await expect(acquireLock(file)).rejects.toThrow(LockedError);
    await lock.release();
    expect(await lockHolder(file)).toBeUndefined();
    await (await acquireLock(file)).release();
    expect(await readdir(folder)).toEqual([]);
  });

  it("takes over from a dead process and from another one that has its id now", async () => {
    for (const stale of [
      { pid: 4_000_000, startTime: "1" },
      { pid: process.pid, startTime: "1" },
    ]) {
      await writeFile(file, JSON.stringify(stale));
      expect(await lockHolder(file)).toBeUndefined();
      const lock = await acquireLock(file);
      expect(await lock.held()).toBe(true);
      await lock.release();
    }
    expect(await readdir(folder)).toEqual([]);
  });

  it("takes over a damaged file", async () => {
    await writeFile(file, '{"pid":');
    const lock = await acquireLock(file);
    expect(JSON.parse(await readFile(file, "utf8"))).toMatchObject({ pid: process.pid });
    await lock.release();
  });

  it("lets exactly one of many through", async () => {
    await writeFile(file, JSON.stringify({ pid: 4_000_000, startTime: "1" }));
    const results = await Promise.allSettled(Array.from({ length: 10 }, () => acquireLock(file)));
    expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(1);
  });
});
