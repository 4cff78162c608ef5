import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { MachineSpec } from "../driver.ts";
import { filesOf } from "./files.ts";
import type { Files } from "./files.ts";
import { forgetState, isUsable, keepState, noteSuspended } from "./suspended.ts";

const QEMU = "QEMU emulator version 7.2";
let folder: string;
let files: Files;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "dd-"));
  files = filesOf({ folder } as MachineSpec);
  await noteSuspended(files, QEMU, "monday");
  await writeFile(files.state, "memory");
});

afterEach(() => rm(folder, { recursive: true }));

describe("a saved state", () => {
  it("is usable while the computer runs on", async () => {
    expect(await isUsable(files, QEMU, "monday")).toBe(true);
  });

  it("is usable after the computer's next start only when it had reached the disk", async () => {
    expect(await isUsable(files, QEMU, "tuesday")).toBe(false);
    await keepState(files);
    expect(await isUsable(files, QEMU, "tuesday")).toBe(true);
  });

  it("is not kept by what another saving left", async () => {
    await keepState(files);
    await noteSuspended(files, QEMU, "monday");
    expect(await isUsable(files, QEMU, "tuesday")).toBe(false);
  });

  it("belongs to the QEMU that wrote it", async () => {
    expect(await isUsable(files, "QEMU emulator version 10.0", "monday")).toBe(false);
  });

  it("is not usable without its note, or with a torn one", async () => {
    await writeFile(files.suspendedBy, "");
    expect(await isUsable(files, QEMU, "monday")).toBe(false);
    await rm(files.suspendedBy);
    expect(await isUsable(files, QEMU, "monday")).toBe(false);
  });

  it("leaves nothing when it is forgotten", async () => {
    await keepState(files);
    await forgetState(files);
    expect(await readdir(folder)).toEqual([]);
  });
});
