import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ClusterManager } from "./manager.ts";
import { UsualTimes } from "./usual-times.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "drydock-manager-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const plan = { id: "one", kind: "one", title: "One", group: "g", deadlineMillis: 1000 };

it("writes nothing any more once it is closed", async () => {
  const lines: string[] = [];
  const manager = new ClusterManager({
    clusters: path.join(folder, "clusters"),
    run: path.join(folder, "run"),
    times: path.join(folder, "times.json"),
    driver: () => Promise.reject(new Error("no driver here")),
    imageProxy: () => Promise.reject(new Error("no images here")),
    shareFolders: () => Promise.resolve([]),
    log: (line) => lines.push(line),
  });
  await manager.load();
  manager.operations.begin("delete", "a", [plan], (run) => run.step("one", () => Promise.resolve()));
  await manager.close(false);
  await rm(folder, { recursive: true });
  // A write that had come after would have found no folder, and said so.
  await sleep(20);
  expect(lines).toEqual([expect.stringContaining("delete a: cancelled")]);
});

it("keeps usual times again after a write that failed", async () => {
  const lost = path.join(folder, "lost", "times.json");
  const times = new UsualTimes(lost);
  times.record("boot", 5);
  await expect(times.save()).rejects.toThrow(/ENOENT/);
  await mkdir(path.dirname(lost));
  await times.save();
  expect(JSON.parse(await readFile(lost, "utf8"))).toEqual({ boot: [5] });
});
