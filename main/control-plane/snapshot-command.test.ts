import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { runSnapshot } from "./snapshot-command.ts";
import { openSqliteStore } from "./store/sqlite.ts";

it("saves, restores and describes snapshots in etcdctl's words", async () => {
  const folder = await mkdtemp(join(tmpdir(), "snapshot-"));
  const store = await openSqliteStore({ directory: join(folder, "live") });
  await store.put("/a", Buffer.from("1"), 0);
  await store.put("/b", Buffer.from("2"), 0);
  const said: string[] = [];
  const run = (...argv: string[]): number =>
    runSnapshot(
      argv,
      (line) => said.push(line),
      (line) => said.push(line),
    );
  const file = join(folder, "copy.db");
  expect(run("save", file, "--data", join(folder, "live"))).toBe(0);
  expect(run("status", file)).toBe(0);
  expect(JSON.parse(said[1] as string)).toMatchObject({ revision: 2, totalKey: 2, totalSize: expect.any(Number) });
  expect(run("restore", file, "--data", join(folder, "restored"))).toBe(0);
  expect(run("restore", file, "--data", join(folder, "restored"))).toBe(1);
  expect([run("save"), run("melt", file), run("restore", file)]).toEqual([2, 2, 2]);
  await store.close();
  await rm(folder, { recursive: true, force: true });
});
