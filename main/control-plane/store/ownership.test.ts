import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Ownership } from "./ownership.ts";
import { openSqliteStore } from "./sqlite.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "owner-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it("lets one store be opened at a time, and the next once it is closed", async () => {
  const store = await openSqliteStore({ directory: folder });
  const file = join(folder, "store.db");
  expect(() => new Ownership(file, 0)).toThrow(
    expect.objectContaining({
      code: "STORE_IN_USE",
      message: expect.stringContaining("another control plane"),
    }) as Error,
  );
  const next = openSqliteStore({ directory: folder });
  await store.close();
  await (await next).close();
});

it("is taken back from a process that was killed", async () => {
  const file = join(folder, "store.db");
  const program = `
    const Database = require("better-sqlite3");
    new Database(process.argv[1]).exec("BEGIN EXCLUSIVE");
    console.log("held");
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["-e", program, `${file}-owner`], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  expect(() => new Ownership(file, 0)).toThrow(/in use/);
  child.kill("SIGKILL");
  await once(child, "exit");
  new Ownership(file, 0).release();
});
