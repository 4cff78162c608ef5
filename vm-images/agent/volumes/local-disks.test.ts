import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { PersistentVolume } from "../../../common/kube/types.ts";
import { LocalDisks } from "./local-disks.ts";

let folder: string;
let disks: LocalDisks;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "drydock-disks-"));
  disks = new LocalDisks(folder, async () => "");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const volume = (name: string, policy = "Delete", provisioner = "drydock.local/disk"): PersistentVolume =>
  ({
    metadata: { name, annotations: { "pv.kubernetes.io/provisioned-by": provisioner } },
    spec: { persistentVolumeReclaimPolicy: policy, local: { path: path.join(folder, name, "data") } },
  }) as unknown as PersistentVolume;

it("makes the folder of a volume for everyone to write, and keeps what is in it", async () => {
  const data = await disks.open(volume("pv-1"));
  expect(statSync(data).mode & 0o777).toBe(0o777);
  writeFileSync(path.join(data, "file"), "kept");
  await disks.open(volume("pv-1"));
  expect(readdirSync(data)).toEqual(["file"]);
});

it("holds nobody up while it waits for a block device", async () => {
  const asked: { command: string; apart: boolean }[] = [];
  const waiting = new LocalDisks(folder, async (command, args, options = {}) => {
    asked.push({ command, apart: options.apart === true });
    return args.includes("--show") ? "/dev/loop7\n" : "";
  });
  const block = volume("block");
  Object.assign(block.spec ?? {}, { volumeMode: "Block", capacity: { storage: "1Mi" } });
  expect(await waiting.open(block)).toBe("/dev/loop7");
  await waiting.collect(async () => undefined);
  expect(asked.map(({ command }) => command)).toEqual(["modprobe", "losetup", "losetup", "losetup", "losetup"]);
  expect(asked.filter(({ apart }) => !apart)).toEqual([]);
});

it("makes nothing for a volume of somebody else", async () => {
  await expect(disks.open(volume("pv-2", "Delete", ""))).rejects.toThrow("does not exist");
});

it("removes what belonged to volumes that have gone, unless it was to be retained", async () => {
  for (const each of [volume("gone"), volume("kept", "Retain"), volume("there")]) await disks.open(each);
  expect(await disks.collect(async (name) => (name === "there" ? volume(name) : undefined))).toEqual(["gone"]);
  expect([existsSync(path.join(folder, "kept")), existsSync(path.join(folder, "there"))]).toEqual([true, true]);
});

it("goes by the policy as last seen", async () => {
  await disks.open(volume("pv"));
  await disks.collect(async () => volume("pv", "Retain"));
  expect(await disks.collect(async () => undefined)).toEqual([]);
});

it("removes nothing while the API does not answer", async () => {
  await disks.open(volume("pv"));
  await expect(disks.collect(() => Promise.reject(new Error("away")))).rejects.toThrow("away");
  expect(existsSync(path.join(folder, "pv"))).toBe(true);
});
