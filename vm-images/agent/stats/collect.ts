/** Usage of the node, its Pods and their containers, read from the kernel when somebody asks: nothing runs in between. */
import { stat, statfs } from "node:fs/promises";
import type { Pod } from "../../../common/kube/types.ts";
import { latest, podUid, viewOf } from "../kubelet/pod.ts";
import type { RunCommand } from "../command.ts";
import type { RuntimeCache } from "../runtime/runtime-cache.ts";
import type { Volumes } from "../volumes/volumes.ts";
import { cgroupOf, readMachine, readTraffic, readUsage } from "./cgroup.ts";
import type { Traffic, Usage } from "./cgroup.ts";

export interface ContainerSample {
  name: string;
  id: string;
  image: string;
  startedAt: number;
  usage: Usage;
  /** Nanocores; undefined the first time. */
  cpuRate: number | undefined;
  logBytes: number;
}

export interface FileSystem {
  capacityBytes: number;
  availableBytes: number;
  usedBytes: number;
  inodes: number;
  inodesFree: number;
}

export interface PodSample {
  pod: Pod;
  containers: ContainerSample[];
  traffic: Traffic[];
  volumes: ({ name: string; claim: string | undefined } & FileSystem)[];
}

export interface Sample {
  at: number;
  node: Usage & { availableBytes: number };
  nodeCpuRate: number | undefined;
  nodeTraffic: Traffic[];
  disk: FileSystem;
  pods: PodSample[];
}

const DISK = "/var/lib";
/** Rates over less than this say little. */
const LEAST_INTERVAL = 1000;
const SHARED_FOR = 1000;
const VOLUMES_FOR = 60_000;
const DU_DEADLINE = 30_000;

export interface CollectorOptions {
  cache: RuntimeCache;
  volumes: Volumes;
  run: RunCommand;
  pods(): Pod[];
  now?(): number;
}

export class Collector {
  readonly #options: CollectorOptions;
  readonly #now: () => number;
  readonly #cgroups = new Map<string, string>();
  #rates = new Map<string, { at: number; cpuNanos: number; rate: number | undefined }>();
  readonly #volumes = new Map<string, { at: number; usage: FileSystem }>();
  #last: { at: number; sample: Promise<Sample> } | undefined;

  constructor(options: CollectorOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** Callers at about the same time share one look. */
  collect(): Promise<Sample> {
    const now = this.#now();
    if (!this.#last || now - this.#last.at > SHARED_FOR) this.#last = { at: now, sample: this.#collect(now) };
    return this.#last.sample;
  }

  async #collect(at: number): Promise<Sample> {
    const before = this.#rates;
    this.#rates = new Map();
    const rate = (key: string, cpuNanos: number): number | undefined => {
      const old = before.get(key);
      const recent = old && at - old.at < LEAST_INTERVAL;
      const known = recent ? old.rate : old && ((cpuNanos - old.cpuNanos) * 1000) / (at - old.at);
      this.#rates.set(key, recent ? old : { at, cpuNanos, rate: known });
      return known === undefined ? undefined : Math.max(0, Math.round(known));
    };
    const [node, nodeTraffic, disk] = await Promise.all([readMachine(), readTraffic("self"), fileSystem(DISK)]);
    const pods: PodSample[] = [];
    for (const pod of this.#options.pods()) pods.push(await this.#pod(pod, rate));
    const ids = new Set(pods.flatMap(({ containers }) => containers.map(({ id }) => id)));
    for (const id of this.#cgroups.keys()) if (!ids.has(id)) this.#cgroups.delete(id);
    return { at, node, nodeCpuRate: rate("", node.cpuNanos), nodeTraffic, disk, pods };
  }

  async #pod(pod: Pod, rate: (key: string, cpuNanos: number) => number | undefined): Promise<PodSample> {
    const view = viewOf(this.#options.cache.ofPod(podUid(pod)));
    const containers: ContainerSample[] = [];
    for (const [name, container] of latest(view)) {
      if (container.state !== "running") continue;
      const cgroup = this.#cgroups.get(container.id) ?? (await cgroupOf(container.pid));
      const usage = cgroup === undefined ? undefined : await readUsage(cgroup);
      if (!usage || cgroup === undefined) continue;
      this.#cgroups.set(container.id, cgroup);
      containers.push({
        name,
        id: container.id,
        image: container.image,
        startedAt: container.startedAt,
        usage,
        cpuRate: rate(container.id, usage.cpuNanos),
        logBytes: (await stat(container.logPath).catch(() => undefined))?.size ?? 0,
      });
    }
    const sandbox = view.sandboxes[0];
    const traffic = sandbox?.state === "running" && !pod.spec?.hostNetwork ? await readTraffic(sandbox.pid) : [];
    return { pod, containers, traffic, volumes: containers.length > 0 ? await this.#volumesOf(pod) : [] };
  }

  /** Of volumes that hold data of their own. */
  async #volumesOf(pod: Pod): Promise<PodSample["volumes"]> {
    const result: PodSample["volumes"] = [];
    for (const { name, path, claim } of this.#options.volumes.measured(pod)) {
      const known = this.#volumes.get(path);
      const usage = known && this.#now() - known.at < VOLUMES_FOR ? known.usage : await this.#measure(path);
      if (!usage) continue;
      this.#volumes.set(path, { at: known?.usage === usage ? known.at : this.#now(), usage });
      result.push({ name, claim, ...usage });
    }
    return result;
  }

  async #measure(path: string): Promise<FileSystem | undefined> {
    const whole = await fileSystem(path).catch(() => undefined);
    if (!whole) return undefined;
    const [own, disk] = await Promise.all([stat(path), stat(DISK)]);
    if (own.dev !== disk.dev) return whole;
    // A folder of the node's disk: the disk's own numbers say nothing of it.
    const text = await this.#options.run("du", ["-sk", path], { deadline: DU_DEADLINE }).catch(() => "");
    return { ...whole, usedBytes: Number(text.split(/\s/)[0] ?? 0) * 1024 };
  }
}

async function fileSystem(path: string): Promise<FileSystem> {
  const { blocks, bavail, bfree, bsize, files, ffree } = await statfs(path);
  return {
    capacityBytes: blocks * bsize,
    availableBytes: bavail * bsize,
    usedBytes: (blocks - bfree) * bsize,
    inodes: files,
    inodesFree: ffree,
  };
}
