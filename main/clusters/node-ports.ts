/**
 * Makes NodePort Services reachable on this computer: for each TCP node port one loopback port, the same
 * number where it is free, forwarded into one running node (any node serves every node port).
 */
import type { ClusterSummary } from "../../common/contract/cluster.ts";
import type { Service } from "../../common/kube/types.ts";
import type { Machine } from "../machines/driver.ts";
import { fail } from "./failure.ts";

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

const PREFIX = "nodeport-";

export class NodePorts {
  private wanted: Wanted[] = [];
  private current: NodePort[] = [];
  private machine: Machine | undefined;
  private working: Promise<void> = Promise.resolve();
  private readonly problem: (error: unknown) => void;
  private readonly changed: () => void;

  constructor(changed: () => void, problem: (error: unknown) => void) {
    this.changed = changed;
    this.problem = problem;
  }

  list(): NodePort[] {
    return this.current;
  }

  /** What there should be, and the machine that carries it (undefined: none runs). One change after another. */
  set(services: Iterable<Service> | undefined, machine: Machine | undefined): Promise<void> {
    if (services) this.wanted = wantedPorts(services);
    this.working = this.working.then(() => this.settle(machine)).catch(this.problem);
    return this.working;
  }

  private async settle(machine: Machine | undefined): Promise<void> {
    if (machine !== this.machine) {
      if (this.machine?.state() === "running")
        for (const port of this.current) await this.machine.removeForward(PREFIX + port.nodePort);
      this.machine = machine;
      // A machine taken over from a former engine may have them already.
      this.current = [];
    }
    if (!machine) {
      if (this.current.length > 0) this.current = [];
      this.changed();
      return;
    }
    const next: NodePort[] = [];
    for (const wanted of this.wanted) next.push({ ...wanted, hostPort: await this.forward(machine, wanted.nodePort) });
    const kept = new Set(next.map((port) => PREFIX + port.nodePort));
    for (const forward of machine.forwards()) {
      if (forward.name.startsWith(PREFIX) && !kept.has(forward.name)) await machine.removeForward(forward.name);
    }
    if (JSON.stringify(next) === JSON.stringify(this.current)) return;
    this.current = next;
    this.changed();
  }

  /** The host port that leads to this node port, made when it is not there yet. */
  private async forward(machine: Machine, nodePort: number): Promise<number> {
    const name = PREFIX + nodePort;
    const present = machine.forwards().find((forward) => forward.name === name);
    if (present) return present.hostPort;
    let failure: unknown;
    for (const hostPort of [nodePort, 0]) {
      try {
        return (await machine.addForward({ name, hostPort, guestPort: nodePort })).hostPort;
      } catch (error) {
        failure = error;
      }
    }
    throw fail("PORT_TAKEN", `no port of this computer could be led to node port ${nodePort}: ${String(failure)}`, {
      cause: failure,
    });
  }
}
