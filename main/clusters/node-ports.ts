/**
 * Makes Services reachable on this computer: for each TCP node port one loopback port, the same number where it is free,
 * and for each LoadBalancer an address of its own, forwarded into one running node (any node serves every node port).
 */
import type { ClusterSummary } from "../../common/contract/cluster.ts";
import type { Service } from "../../common/kube/types.ts";
import type { Machine, PortForward } from "../machines/driver.ts";
import { fail } from "./failure.ts";
import { wantedBalancers } from "./load-balancers.ts";
import type { LoadBalancer, WantedBalancer } from "./load-balancers.ts";

export type NodePort = ClusterSummary["nodePorts"][number];
type Wanted = Omit<NodePort, "hostPort">;

/** The node ports of these Services. UDP is left out: QEMU user networking would carry it, the browser would not. */
export function wantedPorts(services: Iterable<Service>): Wanted[] {
  const wanted: Wanted[] = [];
  for (const service of services) {
    for (const port of service.spec?.ports ?? []) {
      const protocol = port.protocol ?? "TCP";
      if (!port.nodePort || protocol !== "TCP") continue;
      wanted.push({
        namespace: service.metadata.namespace ?? "default",
        service: service.metadata.name ?? "",
        nodePort: port.nodePort,
        protocol,
      });
    }
  }
  return wanted.toSorted((a, b) => a.nodePort - b.nodePort);
}

const NODE_PORT = "nodeport-";
const BALANCER = "balancer-";
const OURS = [NODE_PORT, BALANCER];

export class NodePorts {
  private services: readonly Service[] = [];
  private current: NodePort[] = [];
  private balanced: LoadBalancer[] = [];
  private machine: Machine | undefined;
  private working: Promise<void> = Promise.resolve();
  private readonly cluster: string;
  private readonly problem: (error: unknown) => void;
  private readonly changed: () => void;

  constructor(cluster: string, changed: () => void, problem: (error: unknown) => void) {
    this.cluster = cluster;
    this.changed = changed;
    this.problem = problem;
  }

  list(): NodePort[] {
    return this.current;
  }

  balancers(): LoadBalancer[] {
    return this.balanced;
  }

  /** What there should be, and the machine that carries it (undefined: none runs). One change after another. */
  set(services: Iterable<Service> | undefined, machine: Machine | undefined): Promise<void> {
    if (services) this.services = [...services];
    this.working = this.working.then(() => this.settle(machine)).catch(this.problem);
    return this.working;
  }

  private async settle(machine: Machine | undefined): Promise<void> {
    if (machine !== this.machine) {
      const old = this.machine;
      if (old?.state() === "running") {
        for (const { name } of old.forwards().filter(isOurs)) await old.removeForward(name);
      }
      this.machine = machine;
      // A machine taken over from a former engine may have them already.
      this.current = [];
      this.balanced = [];
    }
    if (!machine) {
      this.current = [];
      this.balanced = [];
      this.changed();
      return;
    }
    const kept = new Set<string>();
    const next: NodePort[] = [];
    for (const wanted of wantedPorts(this.services)) {
      const name = NODE_PORT + wanted.nodePort;
      kept.add(name);
      const forward = { name, guestPort: wanted.nodePort };
      next.push({ ...wanted, hostPort: await firstOf(machine, forward, [wanted.nodePort, 0]) });
    }
    const balanced: LoadBalancer[] = [];
    for (const wanted of wantedBalancers(this.cluster, this.services)) {
      balanced.push(await this.balance(machine, wanted, next, kept));
    }
    for (const forward of machine.forwards())
      if (isOurs(forward) && !kept.has(forward.name)) await machine.removeForward(forward.name);
    if (JSON.stringify([next, balanced]) === JSON.stringify([this.current, this.balanced])) return;
    this.current = next;
    this.balanced = balanced;
    this.changed();
  }

  /** At its own address; where this computer has no such addresses, at localhost and the node ports that are there. */
  private async balance(
    machine: Machine,
    wanted: WantedBalancer,
    nodePorts: NodePort[],
    kept: Set<string>,
  ): Promise<LoadBalancer> {
    const { namespace, service, address } = wanted;
    const ports: LoadBalancer["ports"] = [];
    try {
      for (const { port, nodePort, protocol, tries } of wanted.ports) {
        const name = `${BALANCER}${address}-${port}-${protocol}`;
        const forward = {
          name,
          hostAddress: address,
          guestPort: nodePort,
          protocol: protocol === "UDP" ? ("udp" as const) : ("tcp" as const),
        };
        kept.add(name);
        ports.push({ port, nodePort, protocol, hostPort: await firstOf(machine, forward, tries) });
      }
      return { namespace, service, address, ports };
    } catch (error) {
      this.problem(error);
      const led = wanted.ports.flatMap(({ port, nodePort, protocol }) => {
        const hostPort = nodePorts.find((one) => one.nodePort === nodePort && protocol === "TCP")?.hostPort;
        return hostPort === undefined ? [] : [{ port, nodePort, protocol, hostPort }];
      });
      return { namespace, service, address: "localhost", ports: led };
    }
  }
}

function isOurs({ name }: PortForward): boolean {
  return OURS.some((prefix) => name.startsWith(prefix));
}

/** The host port that leads there: as it is already, or the first of these that can be had (0: any). Throws PORT_TAKEN. */
async function firstOf(machine: Machine, forward: Omit<PortForward, "hostPort">, tries: number[]): Promise<number> {
  const present = machine.forwards().find(({ name }) => name === forward.name);
  if (present) return present.hostPort;
  let failure: unknown;
  for (const hostPort of tries) {
    try {
      return (await machine.addForward({ ...forward, hostPort })).hostPort;
    } catch (error) {
      failure = error;
    }
  }
  const where = forward.hostAddress ?? "127.0.0.1";
  throw fail("PORT_TAKEN", `no port of ${where} could be led to node port ${forward.guestPort}: ${String(failure)}`, {
    cause: failure,
  });
}
