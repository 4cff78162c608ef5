/**
 * Machines that are not there: for fast tests and for clusters of a thousand nodes. Their Nodes are kept
 * alive by the control plane (`--simulated-nodes`); here is only the life of a machine, and an agent that
 * says it is ready.
 */
import { mkdir, rm } from "node:fs/promises";
import type { AgentMessage, HostMessage } from "../../../common/node/identity.ts";
import type {
  DriverFeatures,
  DriverProbe,
  Machine,
  MachineDriver,
  MachineSpec,
  MachineState,
  PortForward,
} from "../driver.ts";

class SimulatedMachine implements Machine {
  readonly id: string;
  readonly pid = undefined;
  private current: MachineState = "running";
  private ports: PortForward[];
  private readonly messageListeners = new Set<(message: AgentMessage) => void>();
  private readonly exitListeners = new Set<Parameters<Machine["onExit"]>[0]>();

  constructor(spec: MachineSpec) {
    this.id = spec.id;
    this.ports = spec.forwards;
  }

  state(): MachineState {
    return this.current;
  }

  forwards(): PortForward[] {
    return this.ports;
  }

  addForward(forward: PortForward): Promise<PortForward> {
    this.ports = [...this.ports, forward];
    return Promise.resolve(forward);
  }

  removeForward(name: string): Promise<void> {
    this.ports = this.ports.filter((port) => port.name !== name);
    return Promise.resolve();
  }

  send(message: HostMessage): Promise<void> {
    if (this.current !== "running") return Promise.reject(new Error(`${this.id} does not run`));
    if (message.type === "ping")
      this.say({ type: "hello", agentVersion: "simulated", imageVersion: "none", stage: "ready" });
    if (message.type === "log") this.say({ type: "log", lines: ["a simulated node has no log"] });
    return Promise.resolve();
  }

  onMessage(listener: (message: AgentMessage) => void): () => void {
    this.messageListeners.add(listener);
    return () => this.messageListeners.delete(listener);
  }

  /** It writes no disk. */
  onHeld(): () => void {
    return () => undefined;
  }

  onExit(listener: Parameters<Machine["onExit"]>[0]): () => void {
    this.exitListeners.add(listener);
    return () => this.exitListeners.delete(listener);
  }

  memory(): Promise<{ residentBytes: number; privateBytes: number }> {
    return Promise.resolve({ residentBytes: 0, privateBytes: 0 });
  }

  /** Ends it, as asked or, for a test, as a crash would. */
  end(expected: boolean): void {
    if (this.current !== "running") return;
    this.current = expected ? "stopped" : "failed";
    for (const listener of this.exitListeners) listener({ expected, code: expected ? 0 : 1, lastLines: [] });
  }

  private say(message: AgentMessage): void {
    queueMicrotask(() => {
      for (const listener of this.messageListeners) listener(message);
    });
  }
}

export class SimulatedDriver implements MachineDriver {
  readonly name = "simulated";
  private readonly machines = new Map<string, SimulatedMachine>();

  features(): DriverFeatures {
    return { containers: false, templates: false, suspend: false, snapshot: false, console: false, grow: true };
  }

  probe(): Promise<DriverProbe> {
    return Promise.resolve({ ok: true, version: "simulated", accelerators: [] });
  }

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  async create(spec: MachineSpec): Promise<void> {
    await mkdir(spec.folder, { recursive: true, mode: 0o700 });
  }

  start(spec: MachineSpec): Promise<Machine> {
    const machine = new SimulatedMachine(spec);
    this.machines.set(spec.id, machine);
    return Promise.resolve(machine);
  }

  adopt(spec: MachineSpec): Promise<Machine | undefined> {
    const machine = this.machines.get(spec.id);
    return Promise.resolve(machine?.state() === "running" ? machine : undefined);
  }

  stop(machine: Machine): Promise<void> {
    this.machines.get(machine.id)?.end(true);
    return Promise.resolve();
  }

  grow(): Promise<void> {
    return Promise.resolve();
  }

  /** What a power cut does to it. */
  crash(id: string): void {
    this.machines.get(id)?.end(false);
  }

  suspend(): Promise<void> {
    return Promise.reject(new Error("a simulated machine cannot be suspended"));
  }

  resumable(): Promise<boolean> {
    return Promise.resolve(false);
  }

  async delete(spec: MachineSpec): Promise<void> {
    this.machines.delete(spec.id);
    await rm(spec.folder, { recursive: true, force: true });
  }

  async *console(): AsyncGenerator<string, void, void> {
    yield "a simulated machine has no console";
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
