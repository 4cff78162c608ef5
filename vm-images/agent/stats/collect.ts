/** Usage of the node, its Pods and their containers, read from the kernel when somebody asks: nothing runs in between. */
import { stat, statfs } from "node:fs/promises";
import type { Pod } from "../../../common/kube/types.ts";
import { latest, podUid, viewOf } from "../kubelet/pod.ts";
import type { RunCommand } from "../command.ts";
import { monotonicNow } from "../monotonic.ts";
import type { RuntimeCache } from "../runtime/runtime-cache.ts";
import { remoteMounts } from "../volumes/mounts.ts";
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
  /** What the container has written beside its volumes; 0 where nobody asked for it. */
  layerBytes: number;
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
const DU_DEADLINE = 60_000;
/** A server that is away holds up whoever looks at its files. */
const REMOTE_DEADLINE = 5_000;

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
  readonly #volumes = new Map<string, { at: number; usage: FileSystem | undefined }>();
  #last: { at: number; sample: Promise<Sample> } | undefined;

  constructor(options: CollectorOptions) {
    this.#options = options;
    this.#now = options.now ?? monotonicNow;
  }

  /** Callers at about the same time share one look. */
  collect(): Promise<Sample> {
    const now = this.#now();
    if (!this.#last || now - this.#last.at > SHARED_FOR) this.#last = { at: now, sample: this.#collect(now) };
    return this.#last.sample;
  }

  async #collect(now: number): Promise<Sample> {
    const before = this.#rates;
    this.#rates = new Map();
    const rate = (key: string, cpuNanos: number): number | undefined => {
      const old = before.get(key);
      const recent = old && now - old.at < LEAST_INTERVAL;
      const known = recent ? old.rate : old && ((cpuNanos - old.cpuNanos) * 1000) / (now - old.at);
      this.#rates.set(key, recent ? old : { at: now, cpuNanos, rate: known });
      return known === undefined ? undefined : Math.max(0, Math.round(known));
    };
    const [node, nodeTraffic, disk] = await Promise.all([readMachine(), readTraffic("self"), fileSystem(DISK)]);
    const pods: PodSample[] = [];
    for (const pod of this.#options.pods()) pods.push(await this.#pod(pod, rate));
    const ids = new Set(pods.flatMap(({ containers }) => containers.map(({ id }) => id)));
    for (const id of this.#cgroups.keys()) if (!ids.has(id)) this.#cgroups.delete(id);
    return { at: Date.now(), node, nodeCpuRate: rate("", node.cpuNanos), nodeTraffic, disk, pods };
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
        layerBytes: 0,
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
      if (known?.usage !== usage || !known) this.#volumes.set(path, { at: this.#now(), usage });
      if (usage) result.push({ name, claim, ...usage });
    }
    return result;
  }

  /** The samples with what each container has written into its own layer: one program for all of them. */
  async withLayers(samples: readonly PodSample[]): Promise<PodSample[]> {
    const { cache, run } = this.#options;
    const paths = new Map<string, string>();
    for (const { id } of samples.flatMap(({ containers }) => containers)) {
      const path = cache.get(id)?.layerPath;
      if (path) paths.set(path, id);
    }
    if (paths.size === 0) return [...samples];
    // Files vanish while they are counted: what it says on its way is not the worse for that.
    const script = 'du -skx -- "$@" 2>/dev/null; true';
    const text = await run("sh", ["-c", script, "sh", ...paths.keys()], { deadline: DU_DEADLINE, apart: true });
    const bytes = new Map(
      text.split("\n").flatMap((line) => {
        const [size, path = ""] = line.split("\t");
        const id = paths.get(path);
        return id === undefined ? [] : [[id, Number(size) * 1024] as const];
      }),
    );
    return samples.map((sample) => ({
      ...sample,
      containers: sample.containers.map((each) => ({ ...each, layerBytes: bytes.get(each.id) ?? 0 })),
    }));
  }

  async #measure(path: string): Promise<FileSystem | undefined> {
    if ((await remoteMounts()).has(path)) return this.#remote(path);
    const whole = await fileSystem(path).catch(() => undefined);
    if (!whole) return undefined;
    const [own, disk] = await Promise.all([stat(path), stat(DISK)]);
    if (own.dev !== disk.dev) return whole;
    // A folder of the node's disk: the disk's own numbers say nothing of it.
    const text = await this.#options.run("du", ["-sk", path], { deadline: DU_DEADLINE, apart: true }).catch(() => "");
    return { ...whole, usedBytes: Number(text.split(/\s/)[0] ?? 0) * 1024 };
  }

  /** By a program of its own: a thread of ours that waits for a server would be missing everywhere else. */
  async #remote(path: string): Promise<FileSystem | undefined> {
    const format = "%S %b %a %f %c %d";
    const options = { deadline: REMOTE_DEADLINE, apart: true };
    const text = await this.#options.run("stat", ["-f", "-c", format, path], options).catch(() => undefined);
    if (text === undefined) return undefined;
    const [size = 0, blocks = 0, available = 0, free = 0, inodes = 0, inodesFree = 0] = text.split(" ").map(Number);
    return {
      capacityBytes: blocks * size,
      availableBytes: available * size,
      usedBytes: (blocks - free) * size,
      inodes,
      inodesFree,
    };
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
