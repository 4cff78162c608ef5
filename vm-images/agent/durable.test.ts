import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readState, writeState } from "./durable.ts";
import { Log } from "./log.ts";

describe("state files", () => {
  let folder = "";
  const log = new Log(() => undefined);
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "drydock-state-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("come back as written, and leave nothing beside them", async () => {
    const file = join(folder, "deep", "a.json");
    await writeState(file, { one: 1 });
    await writeState(file, { two: 2 });
    expect(await readState(file, log)).toEqual({ two: 2 });
    expect(await readdir(join(folder, "deep"))).toEqual(["a.json"]);
  });

  it("count as absent when they are damaged", async () => {
    const file = join(folder, "b.json");
    await writeFile(file, "");
    expect(await readState(file, log)).toBeUndefined();
    expect(await readState(join(folder, "missing.json"), log)).toBeUndefined();
    expect(log.last(5).join("\n")).toContain("damaged");
  });
});
