/**
 * A machine driver makes nodes as machines. qemu first; lima has Lima make them; simulated has no
 * machine at all. The cluster manager above asks `features()` and never the driver's name.
 */
import type { AgentMessage, HostMessage } from "../../common/node/identity.ts";

export type Accelerator = "kvm" | "hvf" | "tcg";

export interface DriverFeatures {
  /** Real guests that run containers. */
  containers: boolean;
  /** Clones a prepared template instead of booting. */
  templates: boolean;
  suspend: boolean;
  snapshot: boolean;
  console: boolean;
  /** A running machine's disk can grow. */
  grow: boolean;
  /** Of the cluster's network, bytes, where it is not 9000. */
  mtu?: number;
}

export interface MachineSpec {
  /** Unique per engine: `${cluster}-${node}`. */
  id: string;
  /** Folder of this machine's files (disk overlay, sockets' links, console log). Made by create, removed by delete. */
  folder: string;
  cpus: number;
  memoryMiB: number;
  diskGiB: number;
  /** "52:54:00:…" on the cluster's network. */
  mac: string;
  accelerator: Accelerator;
  /** The cluster's network that NIC 2 joins; see network/switch. */
  networkId: string;
  /** This computer's hostAddress:hostPort → guest:guestPort over NIC 1. hostPort 0: the driver picks one and says which. */
  forwards: PortForward[];
}

export interface PortForward {
  name: string;
  /** Default 127.0.0.1. */
  hostAddress?: string;
  /** Default "tcp". */
  protocol?: "tcp" | "udp";
  hostPort: number;
  guestPort: number;
}

export type MachineState = "absent" | "stopped" | "starting" | "running" | "suspended" | "stopping" | "failed";

/** A machine that runs (or did): what the cluster manager holds on to. */
export interface Machine {
  readonly id: string;
  readonly pid: number | undefined;
  state(): MachineState;
  /** Actual forwards, with the ports chosen. */
  forwards(): PortForward[];
  addForward(forward: PortForward): Promise<PortForward>;
  removeForward(name: string): Promise<void>;
  /** Talks to the agent. Resolves when written; rejects when the port is not connected. */
  send(message: HostMessage): Promise<void>;
  /** Each agent message; returns the way to stop listening. */
  onMessage(listener: (message: AgentMessage) => void): () => void;
  /** Called once when the machine is gone (`expected`: we asked for it). */
  onExit(listener: (exit: { expected: boolean; code: number | null; lastLines: string[] }) => void): () => void;
  /** Called with the reason when the host holds the machine back (its disk is full), with undefined when it goes on. */
  onHeld(listener: (why: string | undefined) => void): () => void;
  /** Resident and private bytes of the machine's process. */
  memory(): Promise<{ residentBytes: number; privateBytes: number }>;
}

export interface DriverProbe {
  ok: boolean;
  /** e.g. "QEMU emulator version 7.2.22" */
  version?: string;
  accelerators: { name: Accelerator; works: boolean; reason: string }[];
  /** A failure (see clusters/failure.ts codes) when not ok. */
  problem?: { code: string; message: string; advice: string };
}

export interface StopOptions {
  gracePeriodSeconds: number;
  /** As a power cut would. */
  force?: boolean;
  /** The cluster goes on without the machine: its Pods are ended for good. */
  leaving?: boolean;
}

/** Told to whoever watches a long driver call: free text lines of the step's log, and a fraction where known. */
export interface Progress {
  log(line: string): void;
  /** What it is doing right now, in a few words. */
  detail?(text: string): void;
  fraction?(done: number): void;
}

export interface MachineDriver {
  readonly name: "qemu" | "lima" | "simulated";
  features(): DriverFeatures;
  /** Cheap when it has been asked before (the answer is kept per QEMU and kernel version). */
  probe(signal?: AbortSignal): Promise<DriverProbe>;
  /** Makes sure the node image is there (builds it), and a template for this shape. Idempotent, resumable, locked. */
  prepare(
    shape: { cpus: number; memoryMiB: number; diskGiB: number; accelerator: Accelerator },
    progress: Progress,
    signal?: AbortSignal,
  ): Promise<void>;
  /** Makes the machine's folder and disk. Leaves nothing when it fails. */
  create(spec: MachineSpec, progress: Progress, signal?: AbortSignal): Promise<void>;
  /** Starts it: a clone of the template the first time, a resume when suspended, else a cold boot. */
  start(spec: MachineSpec, progress: Progress, signal?: AbortSignal): Promise<Machine>;
  /** Finds a machine that a former engine left running, and takes hold of it again. */
  adopt(spec: MachineSpec): Promise<Machine | undefined>;
  /** Graceful (the agent's shutdown, then ACPI), then by force at the deadline. */
  stop(machine: Machine, options: StopOptions): Promise<void>;
  /** Makes a running machine's disk larger; where `features().grow` says so. `start` does it for one that does not run. */
  grow(machine: Machine, diskGiB: number): Promise<void>;
  suspend(machine: Machine, progress: Progress): Promise<void>;
  /** Whether `start` would go on from a saved state. Of a machine that does not run. */
  resumable(spec: MachineSpec): Promise<boolean>;
  /** Removes every file. The machine must not run. */
  delete(spec: MachineSpec): Promise<void>;
  /** Follows the console log from its last `lines` lines. */
  console(spec: MachineSpec, options: { lines: number; follow: boolean; signal?: AbortSignal }): AsyncIterable<string>;
  /** Ends what it does on its own account (a probe), and resolves when that has ended. Machines run on. */
  close(): Promise<void>;
}

/** One layer-2 network per cluster. */
export interface NetworkSwitch {
  /** Connects the switch to a machine's NIC socket (the machine listens); reconnects while the machine lives. */
  attach(machineId: string, socketPath: string): void;
  detach(machineId: string): void;
  stats(): {
    machineId: string;
    framesIn: number;
    framesOut: number;
    bytesIn: number;
    bytesOut: number;
    dropped: number;
  }[];
  close(): Promise<void>;
}
