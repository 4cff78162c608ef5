/**
 * Usage of nodes and containers, asked of the kubelets when somebody wants to know. CPU is a rate between two looks: the
 * one before is kept, and where there is none a second look follows the first after a moment.
 */
import type { IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { text } from "node:stream/consumers";
import type { Node } from "../../../common/kube/types.ts";

export interface Counters {
  cpuNanos: number;
  memoryBytes: number;
}

/** What one kubelet said at one moment. */
export interface Look {
  /** Unix milliseconds. */
  at: number;
  node: Counters;
  /** "namespace/name" → container → counters. */
  pods: Map<string, Map<string, Counters>>;
}

export interface Usage {
  /** Nanocores. */
  cpu: number;
  memoryBytes: number;
}

export interface NodeUsage {
  at: number;
  /** Seconds that the CPU's rate was taken over. */
  window: number;
  node: Usage;
  pods: Map<string, Map<string, Usage>>;
}

interface Kubelets {
  get(target: { address: string; port: number }, path: string, signal?: AbortSignal): Promise<IncomingMessage>;
}

const FRESH = 10_000;
/** A look older than this is no start for a rate that tells of now. */
const TOO_OLD = 120_000;
const FIRST_WINDOW = 2_000;
const DEADLINE = 10_000;
const KUBELET_PORT = 10_250;

export class UsageSource {
  readonly #kubelets: Kubelets;
  readonly #now: () => number;
  readonly #pause: (milliseconds: number) => Promise<unknown>;
  readonly #looks = new Map<string, { before: Look | undefined; latest: Look }>();
  readonly #asking = new Map<string, Promise<NodeUsage | undefined>>();

  constructor(
    kubelets: Kubelets,
    now: () => number = Date.now,
    pause: (milliseconds: number) => Promise<unknown> = sleep,
  ) {
    this.#kubelets = kubelets;
    this.#now = now;
    this.#pause = pause;
  }

  /** undefined: its kubelet does not answer. */
  usage(node: Node): Promise<NodeUsage | undefined> {
    const name = node.metadata.name ?? "";
    let asking = this.#asking.get(name);
    if (!asking) {
      asking = this.#usage(name, node).finally(() => this.#asking.delete(name));
      this.#asking.set(name, asking);
    }
    return asking;
  }

  async #usage(name: string, node: Node): Promise<NodeUsage | undefined> {
    const known = this.#looks.get(name);
    if (known?.before && this.#now() - known.latest.at < FRESH) return usageBetween(known.before, known.latest);
    try {
      let before = known?.latest;
      if (!before || this.#now() - before.at > TOO_OLD) {
        before = await this.#look(node);
        await this.#pause(FIRST_WINDOW);
      }
      const latest = await this.#look(node);
      this.#looks.set(name, { before, latest });
      return usageBetween(before, latest);
    } catch {
      // Nothing is known of a node that does not answer; who asked sees that it is missing.
      this.#looks.delete(name);
      return undefined;
    }
  }

  async #look(node: Node): Promise<Look> {
    const address = node.status?.addresses?.find(({ type }) => type === "InternalIP")?.address;
    if (!address) throw new Error("the node has no address");
    const port = node.status?.daemonEndpoints?.kubeletEndpoint?.Port ?? KUBELET_PORT;
    const answer = await this.#kubelets.get({ address, port }, "/stats/summary", AbortSignal.timeout(DEADLINE));
    if (answer.statusCode !== 200) {
      answer.resume();
      throw new Error(`the kubelet answered ${answer.statusCode}`);
    }
    return parseSummary(JSON.parse(await text(answer)) as Summary, this.#now());
  }
}

interface Stats {
  cpu?: { time?: string; usageCoreNanoSeconds?: number };
  memory?: { workingSetBytes?: number };
}
export interface Summary {
  node?: Stats;
  pods?: { podRef: { name: string; namespace: string }; containers?: (Stats & { name: string })[] }[];
}

const counters = ({ cpu, memory }: Stats): Counters => ({
  cpuNanos: cpu?.usageCoreNanoSeconds ?? 0,
  memoryBytes: memory?.workingSetBytes ?? 0,
});

export function parseSummary(summary: Summary, now: number): Look {
  const pods = new Map(
    (summary.pods ?? []).map(({ podRef, containers = [] }) => [
      `${podRef.namespace}/${podRef.name}`,
      new Map(containers.map((container) => [container.name, counters(container)])),
    ]),
  );
  return { at: now, node: counters(summary.node ?? {}), pods };
}

/** Containers that were not there before (or began anew) have no rate yet, and are left out. */
export function usageBetween(before: Look, latest: Look): NodeUsage {
  const seconds = Math.max(0.001, (latest.at - before.at) / 1000);
  const rate = (old: Counters, now: Counters): Usage => ({
    cpu: Math.max(0, Math.round((now.cpuNanos - old.cpuNanos) / seconds)),
    memoryBytes: now.memoryBytes,
  });
  const pods = new Map<string, Map<string, Usage>>();
  for (const [key, containers] of latest.pods) {
    const old = before.pods.get(key);
    const usages = new Map<string, Usage>();
    for (const [name, now] of containers) {
      const then = old?.get(name);
      if (then && now.cpuNanos >= then.cpuNanos) usages.set(name, rate(then, now));
    }
    // A Pod counts when all of its containers do.
    if (usages.size > 0 && usages.size === containers.size) pods.set(key, usages);
  }
  return { at: latest.at, window: seconds, node: rate(before.node, latest.node), pods };
}
