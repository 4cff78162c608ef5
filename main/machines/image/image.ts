/**
 * The node image as the machine drivers use it: found, or built when it is missing. A version is a hash of its
 * recipe; the agent is not part of it but travels in the initrd, so that a new agent costs no new image.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat, statfs, writeFile } from "node:fs/promises";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import {
  IMAGE_BYTES,
  KERNEL_APPEND,
  NODE_PACKAGES,
  NODE_REMOVED,
  SAMPLE_IMAGES,
  SUITE,
} from "../../../vm-images/recipe.ts";
import type { Progress } from "../driver.ts";
import { MachineError } from "../failure.ts";
import { agentBundle, projectFolder } from "./agent-bundle.ts";
import { buildImage } from "./build.ts";
import { cpio } from "./cpio.ts";
import { withLock } from "./lock.ts";
import { beginNotes, isUsed } from "./uses.ts";

export interface NodeImage {
  version: string;
  /** Paths. The initrd is one file: the image's own part, then the agent. */
  kernel: string;
  initrd: string;
  disk: string;
  diskFormat: "raw" | "qcow2";
  /** The kernel's command line. */
  append: string;
  /** Names the template: a hash over all that a booted machine is made of. */
  key: string;
  bytes: number;
}

/** Written last: an image without it is not one. */
export interface ImageManifest {
  format: number;
  version: string;
  createdAt: string;
  files: Record<string, number>;
  /** SHA-256 of each file, in hexadecimal. */
  digests?: Record<string, string>;
}

export const MANIFEST_FORMAT = 1;
/** What a build needs at its height: packages, root, disk twice. */
const BUILD_BYTES = 3 * 1024 ** 3;
const MANIFEST = "manifest.json";
/** VERSION or VERSION-N: a folder of a whole image. */
const IMAGE = /^[0-9a-f]{12}(-\d+)?$/;
const JUST_BUILT_MILLIS = 60 * 60_000;
export const DISK = "disk.qcow2";
export const KERNEL = "vmlinuz";
export const INITRD = "initrd-base.img";

/** The recipe's hash: what this program would build. */
export async function imageVersion(): Promise<string> {
  const hash = createHash("sha256").update(
    JSON.stringify([
      MANIFEST_FORMAT,
      SUITE,
      NODE_PACKAGES,
      NODE_REMOVED,
      SAMPLE_IMAGES,
      IMAGE_BYTES,
      process.versions.node,
    ]),
  );
  for (const part of ["node", "initrd"]) {
    const folder = path.join(projectFolder(), "vm-images", part);
    const files = (await readdir(folder, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => path.join(entry.parentPath, entry.name));
    for (const file of files.toSorted()) hash.update(path.relative(folder, file)).update(await readFile(file));
  }
  return hash.digest("hex").slice(0, 12);
}

/**
 * A cheap look. undefined: there is none; throws IMAGE_BROKEN when its files are not what its manifest says.
 * Nodes' disks are layers over the image's, so an image is never changed in place: building it again makes
 * another folder, `VERSION-N`, and the newest counts.
 */
export async function findImage(imagesFolder: string): Promise<NodeImage | undefined> {
  const version = await imageVersion();
  const newest = (await buildsOf(imagesFolder, version)).at(-1);
  if (newest === undefined) return undefined;
  const folder = path.join(imagesFolder, newest);
  const text = await readIfThere(path.join(folder, MANIFEST));
  if (text === undefined) return undefined;
  let manifest: ImageManifest;
  try {
    manifest = JSON.parse(text) as ImageManifest;
  } catch {
    throw broken(folder, "manifest.json cannot be read");
  }
  if (manifest.format !== MANIFEST_FORMAT || manifest.version !== version) {
    throw new MachineError({
      code: "IMAGE_VERSION",
      message: `The node image in ${folder} says it is version ${manifest.version}, format ${manifest.format}.`,
      advice: "Build it again: drydock image build --rebuild",
    });
  }
  for (const [name, bytes] of Object.entries(manifest.files)) {
    const size = (await stat(path.join(folder, name)).catch(() => undefined))?.size;
    if (size === undefined) throw broken(folder, `${name} is missing`);
    if (size !== bytes) throw broken(folder, `${name} has ${size} bytes instead of ${bytes}`);
  }
  const agent = await agentBundle();
  const initrd = path.join(folder, `initrd-${agent.hash}.img`);
  const agentArchive = cpio([
    { path: "agent", mode: 0o040755 },
    { path: "agent/agent.cjs", mode: 0o100644, data: agent.code },
    { path: "agent/image-version", mode: 0o100644, data: Buffer.from(version) },
  ]);
  const base = path.join(folder, INITRD);
  const wanted = (manifest.files[INITRD] ?? 0) + agentArchive.length;
  if ((await stat(initrd).catch(() => undefined))?.size !== wanted) {
    const temporary = `${initrd}.${process.pid}`;
    await writeFile(temporary, Buffer.concat([await readFile(base), agentArchive]));
    await rename(temporary, initrd);
  }
  return {
    version,
    kernel: path.join(folder, KERNEL),
    initrd,
    disk: path.join(folder, DISK),
    diskFormat: "qcow2",
    append: KERNEL_APPEND,
    key: createHash("sha256").update([newest, agent.hash, KERNEL_APPEND].join("|")).digest("hex").slice(0, 16),
    bytes: Object.values(manifest.files).reduce((sum, size) => sum + size, 0),
  };
}

/** Reads every byte (a second or two): what a template is to be made of is the image that was built. */
export async function verifyImage(image: NodeImage): Promise<void> {
  const folder = path.dirname(image.disk);
  const { digests } = JSON.parse(await readFile(path.join(folder, MANIFEST), "utf8")) as ImageManifest;
  if (!digests) return;
  const found = await digestsOf(folder, Object.keys(digests));
  for (const [name, digest] of Object.entries(digests)) {
    if (found[name] !== digest) throw broken(folder, `${name} is not what was built`);
  }
}

async function digestsOf(folder: string, names: string[]): Promise<Record<string, string>> {
  const digests: Record<string, string> = {};
  for (const name of names) {
    const hash = createHash("sha256");
    await pipeline(createReadStream(path.join(folder, name)), hash);
    digests[name] = hash.digest("hex");
  }
  return digests;
}

function broken(folder: string, why: string): MachineError {
  return new MachineError({
    code: "IMAGE_BROKEN",
    message: `The node image in ${folder} is broken: ${why}.`,
    advice: "Build it again: drydock image build --rebuild",
  });
}

/** A broken image is built again: that costs a minute and loses nothing. */
async function findOrTell(imagesFolder: string, progress: Progress): Promise<NodeImage | undefined> {
  try {
    return await findImage(imagesFolder);
  } catch (error) {
    if (!(error instanceof MachineError)) throw error;
    progress.log(`${error.message} It is built again.`);
    progress.detail?.("the node image was broken and is built again");
    return undefined;
  }
}

async function roomFor(imagesFolder: string): Promise<void> {
  const { bavail, bsize } = await statfs(imagesFolder);
  if (bavail * bsize >= BUILD_BYTES) return;
  const gib = (bytes: number): string => (bytes / 1024 ** 3).toFixed(1);
  throw new MachineError({
    code: "DISK_SHORT",
    message: `building the node image needs ${gib(BUILD_BYTES)} GiB in ${imagesFolder}; ${gib(bavail * bsize)} GiB are free`,
    advice: "Free some space, or set DRYDOCK_IMAGES to a folder on a larger disk.",
  });
}

/** Images of other versions, and former builds of this one, go when no disk is a layer over theirs. `current` stays. */
export async function forgetOldImages(imagesFolder: string, current: string): Promise<void> {
  for (const entry of await readdir(imagesFolder)) {
    const folder = path.join(imagesFolder, entry);
    if (!IMAGE.test(entry) || folder === current) continue;
    const at = await stat(path.join(folder, MANIFEST)).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    );
    // Just built by another version of this program, which is about to use it.
    if (Date.now() - at < JUST_BUILT_MILLIS || (await isUsed(folder))) continue;
    await rm(folder, { recursive: true, force: true });
  }
}

/** The folders of this version's builds, oldest first. */
async function buildsOf(imagesFolder: string, version: string): Promise<string[]> {
  const entries = await readdir(imagesFolder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  const number = (entry: string): number => (entry === version ? 1 : Number(entry.slice(version.length + 1)));
  return entries
    .filter((entry) => entry === version || (entry.startsWith(`${version}-`) && Number.isInteger(number(entry))))
    .toSorted((a, b) => number(a) - number(b));
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Builds the image when it is missing (or `rebuild` says so). One build at a time, whoever asks. */
export async function ensureImage(
  imagesFolder: string,
  progress: Progress,
  options: { signal?: AbortSignal; rebuild?: boolean } = {},
): Promise<NodeImage> {
  if (!options.rebuild) {
    const present = await findOrTell(imagesFolder, progress);
    if (present) return present;
  }
  await mkdir(imagesFolder, { recursive: true, mode: 0o700 });
  const version = await imageVersion();
  return withLock(path.join(imagesFolder, "build.lock"), "the node image", progress, options.signal, async () => {
    // Another process may have built it while we waited.
    const present = options.rebuild ? undefined : await findOrTell(imagesFolder, { log: () => undefined });
    if (present) return present;
    await roomFor(imagesFolder);
    const staging = path.join(imagesFolder, `.build-${version}`);
    await rm(staging, { recursive: true, force: true });
    await mkdir(staging, { mode: 0o700 });
    try {
      const files = await buildImage(staging, progress, options.signal);
      const manifest: ImageManifest = {
        format: MANIFEST_FORMAT,
        version,
        createdAt: new Date().toISOString(),
        files,
        digests: await digestsOf(staging, Object.keys(files)),
      };
      await writeFile(path.join(staging, MANIFEST), JSON.stringify(manifest, undefined, 2));
      await beginNotes(staging);
      const builds = await buildsOf(imagesFolder, version);
      const last = builds.at(-1);
      const next = last === undefined ? version : `${version}-${Number(last.slice(version.length + 1) || 1) + 1}`;
      await rename(staging, path.join(imagesFolder, next));
      if (last !== undefined)
        progress.log(`the former build stays in ${path.join(imagesFolder, last)}: nodes may be made of it`);
    } catch (error) {
      await rm(staging, { recursive: true, force: true });
      throw error;
    }
    const image = await findImage(imagesFolder);
    if (!image)
      throw new MachineError({
        code: "IMAGE_BROKEN",
        message: "The node image was built but cannot be found.",
        advice: "Look at the step's log, then build it again.",
      });
    return image;
  });
}
