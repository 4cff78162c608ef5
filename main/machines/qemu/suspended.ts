/**
 * When a saved state may be gone on from. Half a gigabyte takes a slow disk many seconds to keep for certain, and
 * nobody should wait for that: so the state is usable at once while this computer runs on (what was written is what
 * will be read), and after the computer's next start only if it had reached the disk by then. A node that must not
 * use its state boots, which is slow but right; memory that is torn would not be.
 */
import { randomUUID } from "node:crypto";
import { readFile, rm, writeFile } from "node:fs/promises";
import { durable, isThere } from "./files.ts";
import type { Files } from "./files.ts";
import { readIfThere } from "../process.ts";

interface Note {
  /** Which saving this was: what reached the disk is told by it. */
  id: string;
  /** QEMU's version and the machine's shape: another one may not understand the state. */
  qemu: string;
  /** The start of this computer, where it can tell. */
  host: string;
}

export async function noteSuspended(files: Files, qemu: string, startOfHost?: string): Promise<void> {
  const note: Note = { id: randomUUID(), qemu, host: startOfHost ?? (await thisStart()) };
  await writeFile(files.suspendedBy, JSON.stringify(note), { mode: 0o600 });
}

/** Resolves when the saved state is on the disk for certain, and has noted that. */
export async function keepState(files: Files): Promise<void> {
  const note = await readNote(files);
  if (!note) return;
  await durable(files.state);
  await writeFile(files.suspendedKept, note.id, { mode: 0o600 });
}

export async function isUsable(files: Files, qemu: string, startOfHost?: string): Promise<boolean> {
  const note = await readNote(files);
  if (!note || note.qemu !== qemu || !(await isThere(files.state))) return false;
  const host = startOfHost ?? (await thisStart());
  if (note.host === host && host !== UNKNOWN) return true;
  return (await readIfThere(files.suspendedKept)) === note.id;
}

/** Before the machine runs on: its disk moves on then, and this memory must never meet that disk again. */
export async function forgetState(files: Files): Promise<void> {
  for (const file of [files.suspendedBy, files.suspendedKept, files.state]) await rm(file, { force: true });
}

const UNKNOWN = "unknown";

async function thisStart(): Promise<string> {
  if (process.platform !== "linux") return UNKNOWN;
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
}

async function readNote(files: Files): Promise<Note | undefined> {
  const text = await readIfThere(files.suspendedBy);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as Note;
  } catch {
    // Torn by a power cut: then the state is not to be trusted either.
    return undefined;
  }
}
