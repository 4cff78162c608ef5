/**
 * Nodes that only pretend: for tests of controllers and for clusters of a thousand nodes. Each registers, renews its
 * Lease, and lets its Pods start, run and end by rules that are data; there are no containers.
 */
import type { Client } from "../../../common/kube/client.ts";
import { systemClock } from "../../../common/kube/clock.ts";
import type { Clock } from "../../../common/kube/clock.ts";
import { EventRecorder } from "../../../common/kube/events.ts";
import { InformerFactory } from "../../../common/kube/informer.ts";
import type { Node, Pod } from "../../../common/kube/types.ts";
import { kinds } from "../controllers/kernel/kinds.ts";
import type { NodeUsage } from "../metrics-api/source.ts";
import { SimulatedNodes } from "./nodes.ts";
import { simulatedNames } from "./objects.ts";
import { SimulatedPods } from "./pods.ts";
import { NO_SIMULATION } from "./rules/read.ts";
import type { Simulation } from "./rules/schema.ts";
import { SimulatedUsage } from "./usage.ts";

/** With more nodes, what their kubelets tell of Pods would be most of all writes, and nobody reads it. */
const MOST_THAT_SPEAK = 50;

export { readSimulation } from "./rules/read.ts";

export interface SimulatedNodesOptions {
  client: Client;
  /** How many, or their names. */
  nodes: number | readonly string[];
  /** Default: none; Pods of Jobs finish, others run. */
  simulation?: Simulation;
  /** Shared with the controllers, where they run together. */
  informers?: InformerFactory;
  /** Shown as their kubelet's version. */
  version?: string;
  clock?: Clock;
  log?(line: string): void;
}

export interface RunningSimulation {
  /** undefined: the node is no simulated one. */
  usage(node: Node): NodeUsage | undefined;
  stop(): Promise<void>;
}

/** Resolves at once; the nodes register as the server lets them. */
export async function startSimulatedNodes(options: SimulatedNodesOptions): Promise<RunningSimulation> {
  const { client, simulation = NO_SIMULATION, version = "v1.36.0", clock = systemClock } = options;
  const log = options.log ?? (() => undefined);
  const failed = (error: unknown): void => log(`simulated nodes: ${String(error)}`);
  const informers = options.informers ?? new InformerFactory(client, { clock, failed: (_gvr, error) => failed(error) });
  const events = new EventRecorder(client, { source: { component: "simulated-nodes" }, clock, failed });
  const names = simulatedNames(options.nodes);
  const nodes = informers.for<Node>(kinds.nodes);
  const pods = informers.for<Pod>(kinds.pods);
  const machines = new SimulatedNodes({
    client,
    names,
    simulation,
    version,
    clock,
    nodes,
    events,
    log,
    changed: (name) => kubelets.lookAtNode(name),
  });
  const { events: speak = names.length <= MOST_THAT_SPEAK } = simulation;
  const kubelets: SimulatedPods = new SimulatedPods({
    client,
    simulation,
    clock,
    pods,
    nodes,
    machines,
    events,
    kubeletEvents: speak ? new EventRecorder(client, { source: { component: "kubelet" }, clock, failed }) : undefined,
    log,
  });
  const usage = new SimulatedUsage(
    pods,
    (pod) => kubelets.behaviour(pod),
    () => clock.now(),
  );
  if (!options.informers) informers.start();
  kubelets.start();
  // What is there already is not registered again.
  let stopped = false;
  void nodes.synced.then(() => (stopped ? undefined : machines.start()));
  return {
    usage: (node) => (machines.has(node.metadata.name ?? "") ? usage.usage(node) : undefined),
    stop: async () => {
      stopped = true;
      await Promise.all([kubelets.stop(), machines.stop()]);
      if (!options.informers) await informers.stop();
    },
  };
}
