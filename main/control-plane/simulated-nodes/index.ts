/**
 * Nodes that only pretend: for tests of controllers and for clusters of a thousand nodes. Each registers,
 * renews its Lease, and calls every Pod that is bound to it running; there are no containers.
 */
import type { Client, ObjectRef } from "../../../common/kube/client.ts";
import { systemClock } from "../../../common/kube/clock.ts";
import type { Clock, Timer } from "../../../common/kube/clock.ts";
import { Informer } from "../../../common/kube/informer.ts";
import { objectKey } from "../../../common/kube/object.ts";
import type { GroupVersionResource } from "../../../common/kube/object.ts";
import { isStatus } from "../../../common/kube/status.ts";
import type { Node, Pod } from "../../../common/kube/types.ts";
import { WorkQueue } from "../../../common/kube/workqueue.ts";
import {
  PodAddresses,
  decidePod,
  isMaster,
  nodeAddress,
  nodeLease,
  nodeStatus,
  podStatus,
  simulatedNames,
  simulatedNode,
} from "./objects.ts";

export interface SimulatedNodesOptions {
  client: Client;
  /** How many, or their names. */
  nodes: number | readonly string[];
  /** Shown as their kubelet's version. */
  version?: string;
  clock?: Clock;
  log?(line: string): void;
}

const NODES: GroupVersionResource = { group: "", version: "v1", resource: "nodes" };
const PODS: GroupVersionResource = { group: "", version: "v1", resource: "pods" };
const LEASES: GroupVersionResource = { group: "coordination.k8s.io", version: "v1", resource: "leases" };
const RENEW_MILLIS = 10_000;
const RETRY_MILLIS = 1000;
const CONCURRENCY = 16;

/** Resolves at once; the nodes register as the server lets them. */
export async function startSimulatedNodes(options: SimulatedNodesOptions): Promise<{ stop(): Promise<void> }> {
  const simulation = new Simulation(options);
  simulation.start();
  return { stop: () => simulation.stop() };
}

class Simulation {
  private readonly client: Client;
  private readonly clock: Clock;
  private readonly log: (line: string) => void;
  private readonly version: string;
  /** Name → its host address. */
  private readonly names: Map<string, string>;
  private readonly addresses = new Map<string, PodAddresses>();
  private readonly pods: Informer<Pod>;
  private readonly nodes: Informer<Node>;
  private readonly podQueue: WorkQueue;
  private readonly nodeQueue: WorkQueue;
  private timer: Timer | undefined;

  constructor({
    client,
    nodes,
    version = "v1.36.0",
    clock = systemClock,
    log = () => undefined,
  }: SimulatedNodesOptions) {
    this.client = client;
    this.clock = clock;
    this.log = log;
    this.version = version;
    this.names = new Map(simulatedNames(nodes).map((name, index) => [name, nodeAddress(index)]));
    const failed = (error: unknown): void => log(`simulated nodes: ${String(error)}`);
    this.pods = new Informer<Pod>(client, PODS, { clock, failed });
    this.nodes = new Informer<Node>(client, NODES, { clock, failed });
    const queue = {
      clock,
      concurrency: CONCURRENCY,
      failed: (key: string, error: unknown) => log(`${key}: ${String(error)}`),
    };
    this.podQueue = new WorkQueue({ ...queue, work: (key) => this.reconcilePod(key) });
    this.nodeQueue = new WorkQueue({ ...queue, work: (name) => this.reconcileNode(name) });
  }

  start(): void {
    const look = (pod: Pod): void => {
      if (this.names.has(pod.spec?.nodeName ?? "")) this.podQueue.add(objectKey(pod));
    };
    this.pods.addHandler({ add: look, update: look });
    this.pods.start();
    this.nodes.start();
    this.renew();
  }

  async stop(): Promise<void> {
    this.timer?.cancel();
    await Promise.all([this.podQueue.stop(), this.nodeQueue.stop()]);
    await Promise.all([this.pods.stop(), this.nodes.stop()]);
  }

  private renew(): void {
    for (const name of this.names.keys()) this.nodeQueue.add(name);
    this.timer = this.clock.after(RENEW_MILLIS, () => this.renew());
  }

  /** Registers it when it is not there, says that it is Ready when that is not known, and renews its Lease. */
  private async reconcileNode(name: string): Promise<{ again: number } | undefined> {
    const ref: ObjectRef = { ...NODES, name };
    let node = await this.find<Node>(ref);
    node ??= await this.create(
      ref,
      simulatedNode(
        name,
        [...this.names.keys()].some((other) => !isMaster(other)),
      ),
    );
    if (node === undefined) return { again: RETRY_MILLIS };
    if (node.status?.conditions?.find((condition) => condition.type === "Ready")?.status !== "True") {
      const status = nodeStatus(name, this.names.get(name) as string, this.version, this.clock.now());
      await this.client.patch({ ...ref, subresource: "status" }, "application/merge-patch+json", { status });
    }
    await this.renewLease(name);
    return undefined;
  }

  private async renewLease(name: string): Promise<void> {
    const lease = nodeLease(name, this.clock.now());
    const ref: ObjectRef = { ...LEASES, namespace: "kube-node-lease", name };
    try {
      await this.client.patch(ref, "application/merge-patch+json", { spec: lease.spec });
    } catch (error) {
      if (!isStatus(error, "NotFound")) throw error;
      await this.client.create(ref, lease);
    }
  }

  private async reconcilePod(key: string): Promise<void> {
    const pod = this.pods.get(key);
    if (!pod) return;
    const ref: ObjectRef = { ...PODS, namespace: pod.metadata.namespace ?? "", name: pod.metadata.name ?? "" };
    const decision = decidePod(pod);
    try {
      if (decision === "remove") {
        await this.client.delete(ref, { gracePeriodSeconds: 0, preconditions: { uid: pod.metadata.uid ?? "" } });
      } else if (decision === "run") {
        const node = pod.spec?.nodeName ?? "";
        const addresses = {
          pod: pod.status?.podIP ?? this.podAddresses(node).take(),
          host: this.names.get(node) as string,
        };
        const status = podStatus(pod, addresses, this.clock.now());
        await this.client.patch({ ...ref, subresource: "status" }, "application/merge-patch+json", {
          metadata: { uid: pod.metadata.uid },
          status,
        });
      }
    } catch (error) {
      // Gone meanwhile, or another of the same name in its place: its own event comes.
      if (!isStatus(error, "NotFound", "Conflict")) throw error;
    }
  }

  private podAddresses(node: string): PodAddresses {
    const known = this.addresses.get(node);
    if (known) return known;
    const podCIDR = this.nodes.get(node)?.spec?.podCIDR;
    const made = new PodAddresses(podCIDR);
    // Before the node has its range, addresses are made up, and not remembered.
    if (podCIDR) this.addresses.set(node, made);
    return made;
  }

  private async find<T extends Node>(ref: ObjectRef): Promise<T | undefined> {
    try {
      return await this.client.get<T>(ref);
    } catch (error) {
      if (isStatus(error, "NotFound")) return undefined;
      throw error;
    }
  }

  private async create(ref: ObjectRef, node: Node): Promise<Node | undefined> {
    try {
      return await this.client.create<Node>(ref, node);
    } catch (error) {
      if (!isStatus(error, "AlreadyExists")) throw error;
      this.log(`${ref.name} was created by somebody else`);
      return undefined;
    }
  }
}
