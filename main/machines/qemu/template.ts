/**
 * Templates: a machine booted once, up to "awaiting-identity", and frozen: its memory stays in a file, its
 * device state in another. Clones begin from there. One folder per image and shape; built under another
 * name and renamed when whole, so that a folder of the right name is a whole template.
 */
import { createHash } from "node:crypto";
import { mkdir, readdir, rename, rm, stat, statfs, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { AgentMessage, AgentStage } from "../../../common/node/identity.ts";
import { lockHolder } from "../../host/lock.ts";
import { withLock } from "../image/lock.ts";
import { forgetOldImages, verifyImage } from "../image/image.ts";
import type { NodeImage } from "../image/image.ts";
import { beginNotes, isUsed, noteUse } from "../image/uses.ts";
import type { Accelerator, Progress } from "../driver.ts";
import { MachineError } from "../failure.ts";
import { AgentPort } from "./agent-port.ts";
import { TEMPLATE_MAC, qemuArguments, shapeOf } from "./arguments.ts";
import { saveState } from "./migration.ts";
import { isAlive, lastLines, readIfThere, untilGone } from "../process.ts";
import { findQemu, killQemu, spawnQemu } from "./process.ts";
import { Qmp } from "./qmp.ts";
import { createOverlay, qemuVersion } from "./tools.ts";

export interface Shape {
  cpus: number;
  memoryMiB: number;
  diskGiB: number;
  accelerator: Accelerator;
}

export interface Template {
  folder: string;
  disk: string;
  ram: string;
  state: string;
}

const BOOT_MILLIS = 15 * 60_000;
const PING_MILLIS = 500;
const SAVE_MILLIS = 60_000;
const QMP_MILLIS = 20_000;
const MANIFEST = "template.json";
/** KEY-TIME: a folder of a whole template. */
const TEMPLATE = /^[0-9a-f]{16}(-[0-9a-z]+)?$/;
const KEPT_TEMPLATES = 4;
/** A node that was created over a template may be started a little later. */
const IN_USE_MILLIS = 60 * 60_000;
const SPARE_BYTES = 512 * 1024 * 1024;

const TITLES: Partial<Record<AgentStage, string>> = {
  booting: "the system starts",
  docker: "Docker starts",
  images: "images are loaded",
  "awaiting-identity": "ready to be frozen",
};

/** The name of the template for this image and shape, by all that a frozen state depends on. */
export async function templateKey(image: NodeImage, shape: Shape): Promise<string> {
  const parts = [image.key, await qemuVersion(), shapeOf(shape), `${shape.diskGiB}G`];
  return createHash("sha256").update(parts.join("\n")).digest("hex").slice(0, 16);
}

export async function findTemplate(folder: string, image: NodeImage, shape: Shape): Promise<Template | undefined> {
  const key = await templateKey(image, shape);
  for (const entry of await entriesOf(folder)) {
    if (!entry.startsWith(key) || !TEMPLATE.test(entry)) continue;
    const found = templateIn(path.join(folder, entry));
    if ((await readIfThere(path.join(found.folder, MANIFEST))) !== undefined) return found;
  }
  return undefined;
}

/** Notes that it is of use still: `forgetOld` goes by that. */
export async function touchTemplate({ folder }: Template): Promise<void> {
  const now = new Date();
  await utimes(path.join(folder, MANIFEST), now, now);
}

/** Boots and freezes one when it is missing. `run` is a short folder for its sockets. */
export async function ensureTemplate(
  options: { folder: string; run: string; image: NodeImage; shape: Shape },
  progress: Progress,
  signal?: AbortSignal,
): Promise<Template> {
  const { folder, image, shape } = options;
  const present = await findTemplate(folder, image, shape);
  if (present) return present;
  const key = await templateKey(image, shape);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return withLock(path.join(folder, `${key}.lock`), "the template", progress, signal, async () => {
    const made = await findTemplate(folder, image, shape);
    if (made) return made;
    await roomFor(folder, shape);
    await verifyImage(image);
    const making = templateIn(path.join(folder, `.making-${key}`));
    await removeMaking(making.folder, key);
    await mkdir(making.folder, { mode: 0o700 });
    try {
      await freeze(making, key, options, progress, signal);
      // A name of its own: of a former one whose memory was forgotten the disk is left, and nodes stand on that.
      const whole = templateIn(path.join(folder, `${key}-${Date.now().toString(36)}`));
      await beginNotes(making.folder);
      // The note of its own disk must name the place where it will be.
      await noteUse(path.dirname(image.disk), whole.disk);
      await rename(making.folder, whole.folder);
      await forgetOld(folder, whole.folder);
      await forgetOldImages(path.dirname(folder), path.dirname(image.disk));
      return whole;
    } catch (error) {
      await removeMaking(making.folder, key);
      throw error;
    }
  });
}

/**
 * Frozen memory is large, and every change of the agent, the image or the shape makes another template. Of those that
 * nobody has used lately the memory goes at once, and the whole folder when no node's disk is a layer over it.
 */
async function forgetOld(folder: string, current: string): Promise<void> {
  const whole: { folder: string; ram: string; state: string; manifest: string; at: number }[] = [];
  for (const entry of await entriesOf(folder)) {
    if (!TEMPLATE.test(entry) || path.join(folder, entry) === current) continue;
    const { ram, state, folder: one } = templateIn(path.join(folder, entry));
    const manifest = path.join(one, MANIFEST);
    const at = await stat(manifest).then(
      ({ mtimeMs }) => mtimeMs,
      // Its memory went before.
      () => 0,
    );
    whole.push({ folder: one, ram, state, manifest, at });
  }
  const old = whole.toSorted((a, b) => b.at - a.at).slice(KEPT_TEMPLATES - 1);
  for (const { folder: one, ram, state, manifest, at } of old) {
    if (Date.now() - at < IN_USE_MILLIS) continue;
    for (const file of [manifest, ram, state]) await rm(file, { force: true });
    if (!(await isUsed(one))) await rm(one, { recursive: true, force: true });
  }
}

/** What a killed engine left: half-made templates, and the machines that made them. */
export async function cleanMaking(folder: string): Promise<void> {
  for (const entry of await entriesOf(folder)) {
    const key = /^\.making-([0-9a-f]+)$/.exec(entry)?.[1];
    // One whose lock is held is being made by somebody else.
    if (key && !(await lockHolder(path.join(folder, `${key}.lock`)))) await removeMaking(path.join(folder, entry), key);
  }
}

async function entriesOf(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

function templateIn(folder: string): Template {
  return {
    folder,
    disk: path.join(folder, "disk.qcow2"),
    ram: path.join(folder, "ram"),
    state: path.join(folder, "state"),
  };
}

async function removeMaking(folder: string, key: string): Promise<void> {
  const left = await findQemu(path.join(folder, "qemu.pid"), processName(key));
  if (left) await killQemu(left);
  await rm(folder, { recursive: true, force: true });
}

function processName(key: string): string {
  return `drydock-template-${key}`;
}

async function roomFor(folder: string, shape: Shape): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const needed = shape.memoryMiB * 1024 * 1024 + SPARE_BYTES;
  if (bavail * bsize >= needed) return;
  const mib = (bytes: number): number => Math.round(bytes / 1024 / 1024);
  throw new MachineError({
    code: "DISK_SHORT",
    message: `a template needs ${mib(needed)} MiB in ${folder}; ${mib(bavail * bsize)} MiB are free`,
    advice: "Free some space, or set DRYDOCK_IMAGES to a folder on a larger disk.",
  });
}

async function freeze(
  making: Template,
  key: string,
  { run, image, shape }: { run: string; image: NodeImage; shape: Shape },
  progress: Progress,
  signal: AbortSignal | undefined,
): Promise<void> {
  const consoleLog = path.join(making.folder, "console.log");
  const qemuLog = path.join(making.folder, "qemu.log");
  const short = path.join(run, `t-${key.slice(0, 8)}-${process.pid}`);
  const sockets = { qmp: `${short}.qmp`, agent: `${short}.agent`, network: `${short}.net` };
  await createOverlay(making.disk, { file: image.disk, format: image.diskFormat }, shape.diskGiB);
  const args = qemuArguments({
    ...shape,
    name: processName(key),
    boot: image,
    disk: making.disk,
    memory: { kind: "template", path: making.ram },
    mac: TEMPLATE_MAC,
    sockets,
    consoleLog,
    pidFile: path.join(making.folder, "qemu.pid"),
    incoming: false,
  });
  progress.log(`booting the template: ${args.join(" ")}`);
  const running = await spawnQemu({ args, log: qemuLog, parent: "dies" });
  const failed = async (code: string, message: string): Promise<MachineError> =>
    new MachineError({
      code,
      message,
      command: `qemu ${args.join(" ")}`,
      lastLines: [...(await lastLines(qemuLog, 5)), ...(await lastLines(consoleLog, 10))],
      advice:
        code === "AGENT_SILENT"
          ? "Rebuild the image, or try another accelerator or more memory."
          : "Read its last lines.",
    });
  try {
    let alive = true;
    const qmp = await Qmp.connect(sockets.qmp, {
      deadlineMillis: QMP_MILLIS,
      alive: () => running.exitCode === undefined,
      signal,
    }).catch(async (error: unknown) => {
      if (signal?.aborted) throw error;
      throw await failed("QEMU_FAILED", `QEMU did not start: ${String(error)}`);
    });
    qmp.onClose(() => (alive = false));
    const stage = await untilAwaiting(sockets.agent, () => alive, progress, signal);
    if (stage !== "awaiting-identity")
      throw await failed(
        alive ? "AGENT_SILENT" : "QEMU_FAILED",
        alive
          ? `the template's agent did not become ready (last stage: ${stage ?? "none"})`
          : "the template's machine ended",
      );
    progress.log("freezing it");
    progress.detail?.("freezing the template");
    await saveState(qmp, making.state, { ignoreShared: true, deadlineMillis: SAVE_MILLIS });
    await qmp.execute("quit");
    if (!(await untilGone(running, 20_000))) throw await failed("QEMU_FAILED", "QEMU did not end");
    await writeFile(
      path.join(making.folder, MANIFEST),
      JSON.stringify({
        key,
        shape,
        image: image.version,
        stateBytes: (await stat(making.state)).size,
        createdAt: new Date().toISOString(),
      }),
    );
  } finally {
    if (await isAlive(running)) await killQemu(running);
    for (const socket of Object.values(sockets)) await rm(socket, { force: true });
  }
}

/** The last stage the agent told: "awaiting-identity" when all is well; whatever it was at the deadline otherwise. */
async function untilAwaiting(
  socket: string,
  alive: () => boolean,
  progress: Progress,
  signal: AbortSignal | undefined,
): Promise<AgentStage | undefined> {
  const heard: { stage?: AgentStage; failure?: Extract<AgentMessage, { type: "failure" }> } = {};
  const port = new AgentPort(socket, progress.log);
  port.onMessage((message) => {
    if (message.type === "failure") heard.failure = message;
    if (message.type !== "hello" && message.type !== "stage") return;
    if (message.stage !== heard.stage) {
      progress.log(`agent: ${TITLES[message.stage] ?? message.stage}`);
      progress.detail?.(`making the template: ${TITLES[message.stage] ?? message.stage}`);
    }
    heard.stage = message.stage;
  });
  try {
    const until = Date.now() + BOOT_MILLIS;
    while (heard.stage !== "awaiting-identity" && alive() && Date.now() < until) {
      signal?.throwIfAborted();
      const { failure } = heard;
      if (failure)
        throw new MachineError({
          code: "IMAGE_BROKEN",
          message: `the template's agent failed: ${failure.code}: ${failure.message}`,
          ...(failure.detail ? { lastLines: failure.detail.split("\n").slice(-10) } : {}),
          advice: "Rebuild the image: drydock image build --rebuild",
        });
      // Not connected yet: asked again in a moment.
      await port.send({ type: "ping" }).catch(() => undefined);
      await sleep(PING_MILLIS);
    }
    return heard.stage;
  } finally {
    port.close();
  }
}
