/**
 * Keeps the simulated Nodes: registers them, says how they are, renews their Leases. Heartbeats go in small
 * bundles spread over the interval, so that thousands of nodes are a steady trickle of common commits.
 */
import type { Client, ObjectRef } from "../../../common/kube/client.ts";
import type { Clock, Timer } from "../../../common/kube/clock.ts";
import type { EventRecorder } from "../../../common/kube/events.ts";
import type { Informer } from "../../../common/kube/informer.ts";
import { isStatus } from "../../../common/kube/status.ts";
import type { Node } from "../../../common/kube/types.ts";
import { WorkQueue } from "../../../common/kube/workqueue.ts";
import { kinds } from "../controllers/kernel/kinds.ts";
import { faultsAt } from "./faults.ts";
import { isMaster, nodeAddress, nodeLease, nodeStatus, saysTheSame, simulatedNode } from "./objects.ts";
import { draw, drawDelay } from "./rules/chance.ts";
import { faultsSaid } from "./rules/read.ts";
import { nodeRuleOf } from "./rules/resolve.ts";
import type { Fault, NodeRule, Simulation } from "./rules/schema.ts";

export interface NodesOptions {
  client: Client;
  names: readonly string[];
  simulation: Simulation;
  version: string;
  clock: Clock;
  nodes: Informer<Node>;
  events: EventRecorder;
  log(line: string): void;
  /** What is wrong with the node has changed: its Pods may stand still, or go on. */
  changed(name: string): void;
}

interface Kept {
  name: string;
  index: number;
  address: string;
  rule: NodeRule | undefined;
  /** Monotonic milliseconds of when it was started. */
  started: number;
  /** From when it may be Ready. */
  readyAt: number;
  faults: ReadonlySet<Fault>;
  registered: boolean;
  told: number;
}

/** A Lease is good for 40 s. Large clusters renew half as often, as Kubernetes lets large clusters do. */
const RENEW_MILLIS = 10_000;
const RENEW_LARGE_MILLIS = 20_000;
const LARGE = 1000;
/** How often a node says how it is when nothing changes (nodeStatusReportFrequency). */
const REPORT_MILLIS = 300_000;
/** Heartbeats in one bundle, and the shortest time between two. */
const BUNDLE = 25;
const LEAST_TICK_MILLIS = 50;
const LONGEST_TICK_MILLIS = 1000;
const CONCURRENCY = 16;

export class SimulatedNodes {
  readonly #options: NodesOptions;
  readonly #kept = new Map<string, Kept>();
  readonly #order: Kept[] = [];
  readonly #queue: WorkQueue;
  readonly #renew: number;
  readonly #tick: number;
  readonly #workers: boolean;
  #turn = 0;
  #owed = 0;
  #last = 0;
  #timer: Timer | undefined;
  #removeHandler: (() => void) | undefined;

  constructor(options: NodesOptions) {
    this.#options = options;
    const { names, simulation, clock, log } = options;
    this.#workers = names.some((name) => !isMaster(name));
    const now = clock.monotonic();
    for (const [index, name] of names.entries()) {
      const rule = nodeRuleOf(simulation.nodes, name);
      const chance = (question: string) => (): number => draw(simulation.seed, "node", name, question);
      const started = now + (rule?.start ? drawDelay(rule.start, chance("start")) : 0);
      const readyAt = started + (rule?.ready ? drawDelay(rule.ready, chance("ready")) : 0);
      const kept: Kept = {
        name,
        index,
        address: nodeAddress(index),
        rule,
        started,
        readyAt,
        faults: new Set(),
        registered: false,
        told: 0,
      };
      this.#kept.set(name, kept);
      this.#order.push(kept);
    }
    this.#renew = names.length > LARGE ? RENEW_LARGE_MILLIS : RENEW_MILLIS;
    const fitting = (this.#renew * BUNDLE) / Math.max(1, names.length);
    this.#tick = Math.min(LONGEST_TICK_MILLIS, Math.max(LEAST_TICK_MILLIS, fitting));
    this.#queue = new WorkQueue({
      clock,
      concurrency: CONCURRENCY,
      work: (name) => this.#reconcile(name),
      failed: (name, error) => log(`${name}: ${String(error)}`),
    });
  }

  start(): void {
    this.#removeHandler = this.#options.nodes.addHandler({
      add: ({ metadata }) => this.#look(metadata.name),
      update: (node, old) => {
        if (
          JSON.stringify([node.status?.conditions, node.metadata.annotations]) !==
          JSON.stringify([old.status?.conditions, old.metadata.annotations])
        )
          this.#look(node.metadata.name);
      },
    });
    for (const name of this.#kept.keys()) this.#queue.add(name);
    this.#last = this.#options.clock.monotonic();
    this.#plan();
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    this.#removeHandler?.();
    await this.#queue.stop();
  }

  has(name: string): boolean {
    return this.#kept.has(name);
  }

  address(name: string): string {
    return this.#kept.get(name)?.address ?? "";
  }

  index(name: string): number {
    return this.#kept.get(name)?.index ?? 0;
  }

  /** Its kubelet is there and does its work. */
  works(name: string): boolean {
    const kept = this.#kept.get(name);
    return kept !== undefined && kept.registered && !kept.faults.has("Unreachable");
  }

  #look(name: string | undefined): void {
    if (name !== undefined && this.#kept.has(name)) this.#queue.add(name);
  }

  #plan(): void {
    this.#timer = this.#options.clock.after(this.#tick, () => {
      const now = this.#options.clock.monotonic();
      // So many are due as time has passed; after a long stop, each of them once.
      this.#owed = Math.min(this.#order.length, this.#owed + ((now - this.#last) * this.#order.length) / this.#renew);
      this.#last = now;
      for (; this.#owed >= 1; this.#owed -= 1) {
        const kept = this.#order[this.#turn++ % this.#order.length];
        if (kept) void this.#heartbeat(kept);
      }
      this.#plan();
    });
  }

  async #heartbeat(kept: Kept): Promise<void> {
    const { clock, log, nodes } = this.#options;
    // One that somebody has deleted is switched off.
    if (!kept.registered || silent(kept) || !nodes.get(kept.name)) return;
    try {
      await this.#renewLease(kept.name);
      if (clock.monotonic() - kept.told >= REPORT_MILLIS) this.#queue.add(kept.name);
    } catch (error) {
      log(`${kept.name}: its Lease was not renewed: ${String(error)}`);
    }
  }

  /** Registers it when its time has come, and says how it is when that is not known. */
  async #reconcile(name: string): Promise<{ again: number } | undefined> {
    const { client, clock, nodes, simulation, version, changed } = this.#options;
    const kept = this.#kept.get(name);
    if (!kept) return undefined;
    const now = clock.monotonic();
    if (now < kept.started) return { again: kept.started - now };
    const ref: ObjectRef = { ...kinds.nodes, name };
    const node = nodes.get(name) ?? (kept.registered ? undefined : await this.#register(kept, ref));
    if (!node) return undefined;
    const planned = faultsAt(kept.rule?.faults ?? [], now - kept.started, (question) =>
      draw(simulation.seed, "node", name, question),
    );
    const faults = new Set([...planned.faults, ...this.#said(node)]);
    if (now < kept.readyAt) faults.add("NotReady");
    const different = !kept.registered || [...faults].toSorted().join() !== [...kept.faults].toSorted().join();
    const wasSilent = silent(kept);
    kept.registered = true;
    kept.faults = faults;
    if (different) changed(name);
    const due = clock.monotonic() - kept.told >= REPORT_MILLIS;
    if (!silent(kept)) {
      if (due || !saysTheSame(node, faults) || !sameAddress(node, kept.address)) {
        kept.told = clock.monotonic();
        const input = { name, address: kept.address, version, faults, rule: kept.rule, known: node };
        const status = nodeStatus({ ...input, now: clock.now() });
        await client.patch({ ...ref, subresource: "status" }, "application/merge-patch+json", { status });
      }
      if (different || wasSilent) await this.#renewLease(name);
    }
    const next = Math.min(kept.started + planned.next, now < kept.readyAt ? kept.readyAt : Infinity);
    return next === Infinity ? undefined : { again: next - now };
  }

  #said(node: Node): readonly Fault[] {
    const { value, problem } = faultsSaid(node.metadata.annotations);
    if (problem) this.#options.events.record(node, "Warning", "InvalidSimulation", problem);
    return value;
  }

  async #register(kept: Kept, ref: ObjectRef): Promise<Node | undefined> {
    const { client } = this.#options;
    const made = simulatedNode(kept.name, this.#workers, kept.index, kept.rule);
    try {
      return await client.create<Node>(ref, made);
    } catch (error) {
      if (!isStatus(error, "AlreadyExists")) throw error;
      return client.get<Node>(ref);
    }
  }

  async #renewLease(name: string): Promise<void> {
    const { client, clock } = this.#options;
    const lease = nodeLease(name, clock.now());
    const ref: ObjectRef = { ...kinds.leases, namespace: "kube-node-lease", name };
    try {
      // Made where there is none: a Lease may be created by an update.
      await client.update(ref, lease);
    } catch (error) {
      if (!isStatus(error, "NotFound")) throw error;
      try {
        await client.create(ref, lease);
      } catch (other) {
        // Another of its heartbeats was as quick.
        if (!isStatus(other, "AlreadyExists")) throw other;
      }
    }
  }
}

function silent({ faults }: Kept): boolean {
  return faults.has("Unreachable") || faults.has("LeaseLost");
}

function sameAddress(node: Node, address: string): boolean {
  return node.status?.addresses?.some((one) => one.address === address) ?? false;
}
