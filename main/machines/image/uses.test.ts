import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { beginNotes, isUsed, noteUse } from "./uses.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "drydock-uses-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("uses of an image or a template", () => {
  it("last as long as a disk that stands on it", async () => {
    await beginNotes(folder);
    expect(await isUsed(folder)).toBe(false);
    const disks = ["a", "b"].map((name) => path.join(folder, `${name}.qcow2`));
    for (const disk of disks) {
      await noteUse(folder, disk);
      await writeFile(disk, "");
    }
    await noteUse(folder, disks[0] as string);
    await rm(disks[0] as string);
    expect(await isUsed(folder)).toBe(true);
    await rm(disks[1] as string);
    expect(await isUsed(folder)).toBe(false);
  });

  it("are assumed where nobody ever noted them", async () => {
    const old = path.join(folder, "old");
    await mkdir(old);
    expect(await isUsed(old)).toBe(true);
  });
});
