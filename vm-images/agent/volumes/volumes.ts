/**
 * The folders of a Pod on the node and the volumes in them. Secrets and tokens live in memory
 * (under /run), all else on disk. Setting up is idempotent: it is repeated to bring updates in.
 */
import { chmod, chown, lstat, mkdir, open, readdir, readFile, realpath, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import type { Container, Pod } from "../../../common/kube/types.ts";
import type { RunCommand } from "../command.ts";
import { ContainerConfigError, expand } from "../kubelet/env.ts";
import { podUid } from "../kubelet/pod.ts";
import { wholeValue } from "../kubelet/resources.ts";
import type { Mount } from "../runtime/runtime.ts";
import { writeAtomically } from "./atomic-directory.ts";
import { VolumeError, volumePayload } from "./payload.ts";
import type { PayloadSources, Volume } from "./payload.ts";

export interface VolumePaths {
  /** On disk, e.g. /var/lib/drydock/pods */
  disk: string;
  /** In memory, e.g. /run/drydock/pods */
  memory: string;
}

export class Volumes {
  readonly #paths: VolumePaths;
  readonly #run: RunCommand;

  constructor(paths: VolumePaths, run: RunCommand) {
    this.#paths = paths;
    this.#run = run;
  }

  podFolder(uid: string): string {
    return join(this.#paths.disk, uid);
  }

  /** Where each volume of the Pod is on the node, by name. */
  async setUp(pod: Pod, sources: PayloadSources): Promise<Map<string, string>> {
    const result = new Map<string, string>();
    for (const volume of pod.spec?.volumes ?? []) result.set(volume.name, await this.#setUpOne(pod, volume, sources));
    return result;
  }

  /** Brings changed ConfigMaps, Secrets, tokens and fields into the files of a running Pod. */
  async refresh(pod: Pod, sources: PayloadSources): Promise<void> {
    for (const volume of pod.spec?.volumes ?? []) {
      if (volume.configMap || volume.secret || volume.projected || volume.downwardAPI)
        await this.#setUpOne(pod, volume, sources);
    }
  }

  async #setUpOne(pod: Pod, volume: Volume, sources: PayloadSources): Promise<string> {
    const uid = podUid(pod);
    const group = pod.spec?.securityContext?.fsGroup;
    if (volume.hostPath) return setUpHostPath(volume.hostPath.path, volume.hostPath.type ?? "");
    const kind = Object.keys(volume).find((key) => key !== "name") ?? "emptyDir";
    const inMemory = volume.secret !== undefined || volume.projected !== undefined;
    const path = join(inMemory ? this.#paths.memory : this.#paths.disk, uid, "volumes", kind, volume.name);
    const payload = await volumePayload(pod, volume, sources);
    if (payload) {
      await writeAtomically(path, payload, group);
      return path;
    }
    if (volume.emptyDir === undefined && kind !== "emptyDir")
      throw new VolumeError(`volume "${volume.name}": this node has no support for ${kind} volumes`);
    if (!(await exists(path))) {
      await mkdir(path, { recursive: true });
      if (volume.emptyDir?.medium === "Memory") {
        const limit = volume.emptyDir.sizeLimit;
        await this.#run("mount", [
          "-t",
          "tmpfs",
          "-o",
          limit === undefined ? "mode=0777" : `mode=0777,size=${wholeValue(limit as string)}`,
          "drydock",
          path,
        ]);
      }
      await chmod(path, group === undefined ? 0o777 : 0o2777);
      if (group !== undefined) await chown(path, 0, group);
    }
    return path;
  }

  /** The mounts of a container: its volumeMounts, and the files that the kubelet manages. */
  async mounts(
    pod: Pod,
    container: Container,
    attempt: number,
    volumes: Map<string, string>,
    environment: string[],
  ): Promise<Mount[]> {
    const values = new Map(
      environment.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
    );
    const folder = this.podFolder(podUid(pod));
    const mounts: Mount[] = [];
    for (const mount of container.volumeMounts ?? []) {
      const root = volumes.get(mount.name);
      if (root === undefined) throw new ContainerConfigError(`volume "${mount.name}" not found`);
      const subPath = mount.subPathExpr ? expand(mount.subPathExpr, (name) => values.get(name)) : mount.subPath;
      mounts.push({
        source: subPath ? await resolveSubPath(root, subPath) : root,
        target: mount.mountPath,
        readOnly: mount.readOnly ?? false,
        ...(mount.mountPropagation === "Bidirectional"
          ? { propagation: "rshared" as const }
          : mount.mountPropagation === "HostToContainer"
            ? { propagation: "rslave" as const }
            : {}),
      });
    }
    const managed: [string, string][] = [
      ["/etc/hosts", "etc-hosts"],
      ["/etc/resolv.conf", "resolv.conf"],
      ["/etc/hostname", "hostname"],
    ];
    for (const [target, file] of managed) {
      if (!mounts.some((mount) => mount.target === target))
        mounts.push({ source: join(folder, file), target, readOnly: false });
    }
    const log = this.terminationLog(podUid(pod), container.name, attempt);
    await mkdir(dirname(log), { recursive: true });
    await writeFile(log, "");
    await chmod(log, 0o666);
    mounts.push({ source: log, target: container.terminationMessagePath ?? "/dev/termination-log", readOnly: false });
    // Docker mounts in the order of the list: the outer before the inner.
    return mounts.toSorted((a, b) => a.target.split("/").length - b.target.split("/").length);
  }

  terminationLog(uid: string, container: string, attempt: number): string {
    return join(this.podFolder(uid), "containers", container, `${attempt}-termination-log`);
  }

  async writePodFile(uid: string, name: string, text: string): Promise<void> {
    const path = join(this.podFolder(uid), name);
    const old = await readFile(path, "utf8").catch(() => undefined);
    if (old === text) return;
    await mkdir(dirname(path), { recursive: true });
    // Written in place: containers hold the file itself, a new one would not reach them.
    await writeFile(path, text);
  }

  /** Pods of which something is on disk. */
  async known(): Promise<string[]> {
    const lists = await Promise.all(
      [this.#paths.disk, this.#paths.memory].map((path) => readdir(path).catch(() => [] as string[])),
    );
    return [...new Set(lists.flat())];
  }

  /** Removes all that the Pod had here. */
  async tearDown(uid: string): Promise<void> {
    const folder = this.podFolder(uid);
    const memory = join(folder, "volumes", "emptyDir");
    const device = (await stat(folder).catch(() => undefined))?.dev;
    for (const name of await readdir(memory).catch(() => [] as string[])) {
      const path = join(memory, name);
      if ((await stat(path)).dev !== device) await this.#run("umount", ["-l", path]);
    }
    await rm(folder, { recursive: true, force: true });
    await rm(join(this.#paths.memory, uid), { recursive: true, force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}

async function setUpHostPath(path: string, type: string): Promise<string> {
  const info = await stat(path).catch(() => undefined);
  const wrong = (): VolumeError =>
    new VolumeError(`hostPath type check failed: ${path} is not a ${HOST_PATH_KINDS[type] ?? type}`);
  switch (type) {
    case "":
      if (!info) await mkdir(path, { recursive: true, mode: 0o755 });
      return path;
    case "DirectoryOrCreate":
      if (!info) await mkdir(path, { recursive: true, mode: 0o755 });
      else if (!info.isDirectory()) throw wrong();
      return path;
    case "FileOrCreate":
      if (!info) await (await open(path, "a", 0o644)).close();
      else if (!info.isFile()) throw wrong();
      return path;
    case "Directory":
      if (!info?.isDirectory()) throw wrong();
      return path;
    case "File":
      if (!info?.isFile()) throw wrong();
      return path;
    case "Socket":
      if (!info?.isSocket()) throw wrong();
      return path;
    case "CharDevice":
      if (!info?.isCharacterDevice()) throw wrong();
      return path;
    case "BlockDevice":
      if (!info?.isBlockDevice()) throw wrong();
      return path;
    default:
      throw new VolumeError(`unknown hostPath type ${type}`);
  }
}

const HOST_PATH_KINDS: Record<string, string> = {
  Directory: "directory",
  DirectoryOrCreate: "directory",
  File: "file",
  FileOrCreate: "file",
  Socket: "socket file",
  CharDevice: "character device",
  BlockDevice: "block device",
};

/** The real path of a part of a volume; made as a directory when it is not there. Links must not lead out. */
async function resolveSubPath(root: string, subPath: string): Promise<string> {
  const wanted = resolve(root, subPath);
  if (!inside(root, wanted)) throw new ContainerConfigError(`subPath "${subPath}" leads out of its volume`);
  if (!(await exists(wanted))) {
    await mkdir(wanted, { recursive: true });
    await chmod(wanted, 0o777).catch(() => undefined);
  }
  const [realRoot, real] = await Promise.all([realpath(root), realpath(wanted)]);
  if (!inside(realRoot, real)) throw new ContainerConfigError(`subPath "${subPath}" leads out of its volume`);
  return real;
}

function inside(root: string, path: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : root + sep);
}
