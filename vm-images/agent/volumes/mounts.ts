/** File systems that the agent mounts into Pods' folders, and takes away again. */
import { mkdir, readFile } from "node:fs/promises";
import type { RunCommand } from "../command.ts";
import { VolumeError } from "./payload.ts";

const MOUNT_DEADLINE = 25_000;
const MODULE_DEADLINE = 120_000;

/** Mount points at `folder` or below, the innermost first. */
export async function mountsBelow(folder: string): Promise<string[]> {
  return mountPoints(await readFile("/proc/self/mountinfo", "utf8"), folder);
}

/** Mount points of file systems that another computer serves. */
export async function remoteMounts(): Promise<Set<string>> {
  return remoteMountPoints(await readFile("/proc/self/mountinfo", "utf8"));
}

export function remoteMountPoints(mountinfo: string): Set<string> {
  const lines = mountinfo.split("\n").filter((line) => / - nfs4? /.test(line));
  return new Set(lines.flatMap((line) => mountPointOf(line) ?? []));
}

/** The mount point on a line of /proc/self/mountinfo. */
function mountPointOf(line: string): string | undefined {
  return line
    .split(" ")[4]
    ?.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** From the text of /proc/self/mountinfo. */
export function mountPoints(mountinfo: string, folder: string): string[] {
  return mountinfo
    .split("\n")
    .flatMap((line) => mountPointOf(line) ?? [])
    .filter((path) => path === folder || path.startsWith(`${folder}/`))
    .toReversed();
}

/** Everything mounted at or below a folder goes, so that the folder can be removed without touching what was there. */
export async function unmountBelow(folder: string, run: RunCommand): Promise<void> {
  for (const path of await mountsBelow(folder)) await run("umount", ["-l", path], { apart: true });
}

export async function mountTmpfs(path: string, bytes: number | undefined, run: RunCommand): Promise<void> {
  const options = bytes === undefined ? "mode=0777" : `mode=0777,size=${bytes}`;
  await run("mount", ["-t", "tmpfs", "-o", options, "drydock", path]);
}

export interface NfsSource {
  server: string;
  path: string;
  readOnly?: boolean;
}

/** `options`: of the PersistentVolume. Mounted once, however often it is asked for. */
export async function mountNfs(
  source: NfsSource,
  path: string,
  options: readonly string[],
  run: RunCommand,
): Promise<void> {
  // Looking at what is mounted there would wait for a server that does not answer.
  if ((await mountsBelow(path)).includes(path)) return;
  await mkdir(path, { recursive: true });
  // Without the server's own locking daemon version 4 still works; a server that does not answer must not hold the Pod for ever.
  const all = ["retry=0", ...(source.readOnly ? ["ro"] : []), ...options];
  try {
    // The first time a large module is loaded from the disk: nothing else must wait for it.
    await run("modprobe", ["nfsv4"], { deadline: MODULE_DEADLINE, apart: true });
    await run("mount", ["-t", "nfs", "-o", all.join(","), `${source.server}:${source.path}`, path], {
      deadline: MOUNT_DEADLINE,
      apart: true,
    });
  } catch (error) {
    throw new VolumeError(`mount of ${source.server}:${source.path} failed: ${(error as Error).message}`);
  }
}
