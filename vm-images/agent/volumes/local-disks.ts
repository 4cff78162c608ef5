/**
 * The folders (and, for block volumes, files) on this node's disk that PersistentVolumes of the class `standard` stand for.
 * A folder is made when the first Pod mounts it. It goes when its PersistentVolume has gone and was last seen with the
 * reclaim policy Delete; that policy is kept beside it, since the volume itself cannot be asked any more.
 */
import { chmod, mkdir, open, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LOCAL_DISK_PROVISIONER } from "../../../common/node/storage.ts";
import type { PersistentVolume } from "../../../common/kube/types.ts";
import type { RunCommand } from "../command.ts";
import { wholeValue } from "../kubelet/resources.ts";
import { VolumeError } from "./payload.ts";

const POLICY = "policy";
/** A module or a device may keep its program waiting: nothing else must wait with it. */
const APART = { apart: true };

export class LocalDisks {
  readonly #folder: string;
  readonly #run: RunCommand;

  constructor(folder: string, run: RunCommand) {
    this.#folder = folder;
    this.#run = run;
  }

  /** The path that holds the volume's data; for a block volume a block device. */
  async open(volume: PersistentVolume): Promise<string> {
    const path = volume.spec?.local?.path ?? "";
    const ours = volume.metadata.annotations?.["pv.kubernetes.io/provisioned-by"] === LOCAL_DISK_PROVISIONER;
    if (ours) await this.#make(volume, path);
    const info = await stat(path).catch(() => undefined);
    if (!info) throw new VolumeError(`path "${path}" does not exist`);
    if (volume.spec?.volumeMode !== "Block") return path;
    return info.isBlockDevice() ? path : this.#device(path);
  }

  async #make(volume: PersistentVolume, path: string): Promise<void> {
    const folder = join(this.#folder, volume.metadata.name ?? "");
    await mkdir(folder, { recursive: true });
    await this.#note(volume);
    if (await stat(path).catch(() => undefined)) return;
    if (volume.spec?.volumeMode === "Block") {
      const file = await open(path, "a", 0o600);
      await file.truncate(wholeValue((volume.spec.capacity?.["storage"] as string | undefined) ?? "1Gi"));
      await file.close();
    } else {
      await mkdir(path, { recursive: true });
      await chmod(path, 0o777);
    }
  }

  async #device(file: string): Promise<string> {
    await this.#run("modprobe", ["loop"], APART);
    return (await this.#deviceOf(file)) || (await this.#run("losetup", ["--find", "--show", file], APART)).trim();
  }

  /** The loop device of a file; "" when it has none. */
  async #deviceOf(file: string): Promise<string> {
    const known = await this.#run("losetup", ["--noheadings", "--output", "NAME", "--associated", file], APART);
    return known.trim().split("\n")[0] ?? "";
  }

  /** Remembers the reclaim policy. */
  async #note(volume: PersistentVolume): Promise<void> {
    const file = join(this.#folder, volume.metadata.name ?? "", POLICY);
    const policy = volume.spec?.persistentVolumeReclaimPolicy ?? "Delete";
    if ((await readFile(file, "utf8").catch(() => "")) !== policy) await writeFile(file, policy);
  }

  /** `lookUp`: undefined when there is no such volume any more; it throws when that is not known. */
  async collect(lookUp: (name: string) => Promise<PersistentVolume | undefined>): Promise<string[]> {
    const removed: string[] = [];
    for (const name of await readdir(this.#folder).catch(() => [] as string[])) {
      const volume = await lookUp(name);
      if (volume) {
        await this.#note(volume);
        continue;
      }
      const folder = join(this.#folder, name);
      if ((await readFile(join(folder, POLICY), "utf8").catch(() => "")) !== "Delete") continue;
      for (const file of await readdir(folder)) {
        const device = await this.#deviceOf(join(folder, file)).catch(() => "");
        if (device) await this.#run("losetup", ["--detach", device], APART);
      }
      await rm(folder, { recursive: true, force: true });
      removed.push(name);
    }
    return removed;
  }
}
