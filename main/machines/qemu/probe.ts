/**
 * Which accelerators really run a guest here. Opening /dev/kvm proves nothing (under some hypervisors the
 * device opens and no guest ever leaves its boot code), so each is tried: the node kernel is booted to its
 * first line or, while there is no node image, a boot sector that writes to the serial port. The answer is
 * kept per QEMU and per what was booted.
 */
import { createHash } from "node:crypto";
import { access, constants, mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Accelerator, DriverProbe } from "../driver.ts";
import { MachineError } from "../failure.ts";
import { isAlive, lastLines, readIfThere } from "../process.ts";
import { killQemu, spawnQemu } from "./process.ts";
import { qemuVersion } from "./tools.ts";

type Tried = DriverProbe["accelerators"][number];
type Kept = Tried & { triedAt: number };

/** By speed. Software emulation always works: there is nothing to try. */
const CANDIDATES: Accelerator[] = process.platform === "darwin" ? ["hvf"] : ["kvm"];
const BOOT_MILLIS = 5000;
/** A "no" may be mended (a setting of the firmware, a group joined), so it is asked again after a day. */
const NO_MILLIS = 24 * 60 * 60_000;
const SAID = "drydock";
const FOLDER = "probe-";

export interface ProbeOptions {
  /** Where answers are kept. */
  cache: string;
  /** Folder for what is tried. */
  work: string;
  /** The node kernel, where there is one. */
  kernel: string | undefined;
  /** Gives up: nothing is kept, and its reason is thrown. */
  signal?: AbortSignal;
}

export async function probeQemu(options: ProbeOptions): Promise<DriverProbe> {
  let version: string;
  try {
    version = await qemuVersion();
  } catch (error) {
    if (!(error instanceof MachineError)) throw error;
    return { ok: false, accelerators: [], problem: { code: error.code, message: error.message, advice: error.advice } };
  }
  const accelerators: Tried[] = [];
  for (const name of CANDIDATES) accelerators.push(await remembered(name, version, options));
  accelerators.push({ name: "tcg", works: true, reason: "software emulation works everywhere, ten times slower" });
  return { ok: true, version, accelerators };
}

async function remembered(name: Accelerator, version: string, options: ProbeOptions): Promise<Tried> {
  const missing = name === "kvm" ? await kvmMissing() : undefined;
  if (missing !== undefined) return { name, works: false, reason: missing };
  const subject = options.kernel ? `${options.kernel} ${(await stat(options.kernel)).mtimeMs}` : "sector";
  const key = createHash("sha256").update(`${name} ${version} ${subject}`).digest("hex").slice(0, 16);
  const known = await readCache(options.cache);
  const kept = known[key];
  if (kept && (kept.works || Date.now() - kept.triedAt < NO_MILLIS)) {
    return { name: kept.name, works: kept.works, reason: kept.reason };
  }
  const tried = await tryToBoot(name, options);
  options.signal?.throwIfAborted();
  await mkdir(path.dirname(options.cache), { recursive: true, mode: 0o700 });
  await writeFile(options.cache, `${JSON.stringify({ ...known, [key]: { ...tried, triedAt: Date.now() } })}\n`, {
    mode: 0o600,
  });
  return tried;
}

async function kvmMissing(): Promise<string | undefined> {
  try {
    await access("/dev/kvm", constants.R_OK | constants.W_OK);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT"
      ? "there is no /dev/kvm"
      : "/dev/kvm may not be opened (add yourself to the group kvm)";
  }
}

async function tryToBoot(name: Accelerator, { work, kernel, signal }: ProbeOptions): Promise<Tried> {
  await mkdir(work, { recursive: true, mode: 0o700 });
  // What a killed engine was just trying.
  for (const entry of await readdir(work)) {
    if (entry.startsWith(FOLDER)) await rm(path.join(work, entry), { recursive: true, force: true });
  }
  const folder = await mkdtemp(path.join(work, FOLDER));
  try {
    const serial = path.join(folder, "serial");
    const log = path.join(folder, "qemu.log");
    const sector = path.join(folder, "sector");
    await writeFile(sector, bootSector(SAID));
    const boot = kernel
      ? ["-kernel", kernel, "-append", "console=ttyS0 earlyprintk=ttyS0 panic=-1"]
      : ["-drive", `if=ide,format=raw,file=${sector.replaceAll(",", ",,")}`];
    const running = await spawnQemu({
      args: [
        "-name",
        "drydock-probe",
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-no-reboot",
        "-m",
        "256M",
        "-machine",
        "q35",
        "-accel",
        name,
        "-cpu",
        "host",
        "-serial",
        `file:${serial}`,
        ...boot,
      ],
      log,
      parent: "dies",
    });
    try {
      const until = Date.now() + BOOT_MILLIS;
      const expected = kernel ? "Linux version" : SAID;
      while (Date.now() < until && (await isAlive(running))) {
        if ((await readIfThere(serial))?.includes(expected))
          return { name, works: true, reason: kernel ? "the node kernel boots" : "a guest runs" };
        await sleep(50, undefined, signal ? { signal } : {});
      }
      if (await isAlive(running))
        return { name, works: false, reason: `a guest never says a word (tried for ${BOOT_MILLIS / 1000} s)` };
      return { name, works: false, reason: (await lastLines(log, 1))[0] ?? "QEMU ended" };
    } finally {
      await killQemu(running);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function readCache(file: string): Promise<Record<string, Kept>> {
  try {
    return JSON.parse(await readFile(file, "utf8")) as Record<string, Kept>;
  } catch {
    // Absent or damaged: tried again.
    return {};
  }
}

/**
 * A disk whose first sector writes a text to the first serial port and halts (16-bit code):
 *   mov dx,0x3f8 / mov al,CHAR / out dx,al … / cli / hlt / jmp $-1
 */
export function bootSector(text: string): Buffer {
  const code = [
    0xba,
    0xf8,
    0x03,
    ...[...Buffer.from(`${text}\n`)].flatMap((byte) => [0xb0, byte, 0xee]),
    0xfa,
    0xf4,
    0xeb,
    0xfd,
  ];
  const sector = Buffer.alloc(512 * 64);
  Buffer.from(code).copy(sector);
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}
