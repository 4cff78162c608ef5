/** A machine's folder: what is in it, what it was made of, and writing there so that a power cut leaves it whole. */
import { open, rename, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import type { MachineSpec } from "../driver.ts";
import { MachineError } from "../failure.ts";
import type { Kernel } from "./arguments.ts";
import { readIfThere } from "../process.ts";

/** What a machine was made of: kept beside its disk, since images and templates come and go. */
export interface Origin {
  boot: Kernel;
  image: { disk: string; format: "raw" | "qcow2" };
  /** Frozen memory and state that fit its disk, until it has run once. */
  template?: { ram: string; state: string };
  /** The machine's NIC has this MAC: a clone keeps its template's in its frozen state. */
  mac: string;
}

export interface Files {
  origin: string;
  disk: string;
  console: string;
  log: string;
  pid: string;
  /** Saved state of a suspended machine; see suspended.ts for the other two. */
  state: string;
  suspendedBy: string;
  suspendedKept: string;
}

export function filesOf({ folder }: MachineSpec): Files {
  return {
    origin: path.join(folder, "origin.json"),
    disk: path.join(folder, "disk.qcow2"),
    console: path.join(folder, "console.log"),
    log: path.join(folder, "qemu.log"),
    pid: path.join(folder, "qemu.pid"),
    state: path.join(folder, "suspended"),
    suspendedBy: path.join(folder, "suspended-by"),
    suspendedKept: path.join(folder, "suspended-kept"),
  };
}

export async function readOrigin(files: Files): Promise<Origin> {
  const text = await readIfThere(files.origin);
  if (text === undefined)
    throw new MachineError({
      code: "MACHINE_FAILED",
      message: `${files.origin} is missing`,
      advice: "Delete the cluster and create it again.",
    });
  return JSON.parse(text) as Origin;
}

export function isThere(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

/** Whoever reads it sees the old text or the new, never half. */
export async function writeWhole(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text, { mode: 0o600 });
  await durable(`${file}.new`);
  await rename(`${file}.new`, file);
}

/** On the disk, not only on its way there. */
export async function durable(file: string): Promise<void> {
  const handle = await open(file, "r+");
  try {
    await handle.datasync();
  } finally {
    await handle.close();
  }
}

export function processName(spec: MachineSpec): string {
  return `drydock-${spec.id}`;
}
