/**
 * The folders of a Pod on the node and the volumes in them. Secrets and tokens live in memory
 * (under /run), all else on disk. Setting up is idempotent: it is repeated to bring updates in.
 */
import { chmod, chown, lstat, mkdir, readdir, readFile, realpath, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import type { Container, PersistentVolume, Pod } from "../../../common/kube/types.ts";
import type { RunCommand } from "../command.ts";
import { ContainerConfigError, expand } from "../kubelet/env.ts";
import { podUid } from "../kubelet/pod.ts";
import { wholeValue } from "../kubelet/resources.ts";
import type { Device, Mount } from "../runtime/runtime.ts";
import { writeAtomically } from "./atomic-directory.ts";
import { boundVolume, claimName } from "./claims.ts";
import { setUpHostPath } from "./host-path.ts";
import { LocalDisks } from "./local-disks.ts";
import { mountNfs, mountTmpfs, unmountBelow } from "./mounts.ts";
import { VolumeError, volumePayload } from "./payload.ts";
import type { PayloadSources, Volume } from "./payload.ts";

/** Milliseconds that giving a volume with many files to a group may take. */
const GIVE_DEADLINE = 10 * 60_000;

export interface VolumePaths {
  /** On disk, e.g. /var/lib/drydock/pods */
  disk: string;
  /** In memory, e.g. /run/drydock/pods */
  memory: string;
  /** Folders that outlive Pods: one for each PersistentVolume of this node. */
  persistent: string;
}

export class Volumes {
  readonly #paths: VolumePaths;
  readonly #run: RunCommand;
  readonly localDisks: LocalDisks;
  /** Paths by "uid/volume", of Pods that were set up in this life of the agent. */
  readonly #used = new Map<string, string>();

  constructor(paths: VolumePaths, run: RunCommand) {
    this.#paths = paths;
    this.#run = run;
    this.localDisks = new LocalDisks(paths.persistent, run);
  }

  podFolder(uid: string): string {
    return join(this.#paths.disk, uid);
  }

  /** Where each volume of the Pod is on the node, by name. */
  async setUp(pod: Pod, sources: PayloadSources): Promise<Map<string, string>> {
    const result = new Map<string, string>();
    for (const volume of pod.spec?.volumes ?? []) {
      const path = await this.#setUpOne(pod, volume, sources).catch((error: unknown) => {
        throw error instanceof VolumeError ? new VolumeError(`for volume "${volume.name}" : ${error.message}`) : error;
      });
      result.set(volume.name, path);
      this.#used.set(`${podUid(pod)}/${volume.name}`, path);
    }
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
    if (volume.nfs) {
      await mountNfs(volume.nfs, path, [], this.#run);
      return path;
    }
    const claim = claimName(pod, volume);
    if (claim !== undefined) return this.#claimed(pod, await boundVolume(pod, volume, claim, sources), path);
    if (volume.emptyDir === undefined && kind !== "emptyDir")
      throw new VolumeError(`volume "${volume.name}": this node has no support for ${kind} volumes`);
    if (!(await exists(path))) {
      await mkdir(path, { recursive: true });
      if (volume.emptyDir?.medium === "Memory") {
        const limit = volume.emptyDir.sizeLimit;
        await mountTmpfs(path, limit === undefined ? undefined : wholeValue(limit as string), this.#run);
      }
      await chmod(path, group === undefined ? 0o777 : 0o2777);
      if (group !== undefined) await chown(path, 0, group);
    }
    return path;
  }

  /** Where the volumes of the Pod are that hold data of their own, for measuring them. */
  measured(pod: Pod): { name: string; path: string; claim: string | undefined }[] {
    return (pod.spec?.volumes ?? []).flatMap((volume) => {
      const claim = claimName(pod, volume);
      if (volume.emptyDir === undefined && claim === undefined) return [];
      const path = this.#used.get(`${podUid(pod)}/${volume.name}`);
      return path === undefined ? [] : [{ name: volume.name, path, claim }];
    });
  }

  /** What a PersistentVolume stands for, on this node. */
  async #claimed(pod: Pod, volume: PersistentVolume, mountPoint: string): Promise<string> {
    const { spec } = volume;
    if (spec?.hostPath) return setUpHostPath(spec.hostPath.path, spec.hostPath.type ?? "DirectoryOrCreate");
    if (spec?.nfs) {
      await mountNfs(spec.nfs, mountPoint, spec.mountOptions ?? [], this.#run);
      return mountPoint;
    }
    if (!spec?.local)
      throw new VolumeError(`persistentvolume "${volume.metadata.name}": this node has no support for its kind`);
    const path = await this.localDisks.open(volume);
    const group = pod.spec?.securityContext?.fsGroup;
    if (group !== undefined && spec.volumeMode !== "Block") await this.#giveToGroup(path, group, pod);
    return path;
  }

  /** Everything in it may be read and written by the group, and what is made there belongs to the group too. */
  async #giveToGroup(path: string, group: number, pod: Pod): Promise<void> {
    const { gid, mode } = await stat(path);
    const right = gid === group && (mode & 0o2070) === 0o2070;
    if (right && pod.spec?.securityContext?.fsGroupChangePolicy === "OnRootMismatch") return;
    const large = { apart: true, deadline: GIVE_DEADLINE };
    await this.#run("chown", ["-R", `:${group}`, path], large);
    await this.#run("chmod", ["-R", "g+rwX", path], large);
    await this.#run("chmod", ["g+s", path]);
  }

  /** The block volumes that a container asks for. */
  devices(container: Container, volumes: Map<string, string>): Device[] {
    return (container.volumeDevices ?? []).map(({ name, devicePath }) => {
      const source = volumes.get(name);
      if (source === undefined) throw new ContainerConfigError(`volume "${name}" not found`);
      return { source, target: devicePath, readOnly: false };
    });
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
        readOnly: (mount.readOnly ?? false) || isReadOnly(pod, mount.name),
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

  /** Removes the volumes of a Pod that has ended; what its containers said about their end stays. */
  async tearDownVolumes(uid: string): Promise<void> {
    for (const key of this.#used.keys()) if (key.startsWith(`${uid}/`)) this.#used.delete(key);
    const folder = join(this.podFolder(uid), "volumes");
    await unmountBelow(folder, this.#run);
    await rm(folder, { recursive: true, force: true });
    await rm(join(this.#paths.memory, uid), { recursive: true, force: true });
  }

  /** Removes all that the Pod had here. */
  async tearDown(uid: string): Promise<void> {
    await this.tearDownVolumes(uid);
    const folder = this.podFolder(uid);
    await unmountBelow(folder, this.#run);
    await rm(folder, { recursive: true, force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}

/** What is made of objects of the API is nobody's to write; a claim may be asked for read-only. */
function isReadOnly(pod: Pod, name: string): boolean {
  const volume = pod.spec?.volumes?.find((candidate) => candidate.name === name);
  if (!volume) return false;
  if (volume.configMap || volume.secret || volume.projected || volume.downwardAPI) return true;
  return volume.persistentVolumeClaim?.readOnly ?? volume.nfs?.readOnly ?? false;
}

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
