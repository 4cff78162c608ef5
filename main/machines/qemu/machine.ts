/** A QEMU machine that runs: its control socket, its agent's port, its forwards, its end. */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import type { AgentMessage, HostMessage } from "../../../common/node/identity.ts";
import { freePort } from "../../host/free-port.ts";
import type { Machine, MachineSpec, MachineState, PortForward } from "../driver.ts";
import { MachineError } from "../failure.ts";
import { AgentPort } from "./agent-port.ts";
import { HeldWatch } from "./held.ts";
import { lastLines, processMemory, untilGone } from "../process.ts";
import { killQemu } from "./process.ts";
import type { MachineProcess } from "../process.ts";
import type { Qmp } from "./qmp.ts";

type Exit = { expected: boolean; code: number | null; lastLines: string[] };

const FORWARDS = "forwards.json";
const PORT_TRIES = 5;
const LOST_MILLIS = 10_000;

export interface MachineFiles {
  /** Agent's socket. */
  agent: string;
  /** QEMU's own messages. */
  log: string;
  console: string;
}

export class QemuMachine implements Machine {
  readonly id: string;
  readonly spec: MachineSpec;
  readonly process: MachineProcess;
  readonly qmp: Qmp;
  /** Set before we end it: its end is then no accident. */
  ending: "stopping" | "suspending" | undefined;
  private current: MachineState = "running";
  private ports: PortForward[] = [];
  private readonly agent: AgentPort;
  private readonly files: MachineFiles;
  private readonly exitListeners = new Set<(exit: Exit) => void>();
  private readonly heldListeners = new Set<(why: string | undefined) => void>();
  private readonly heldWatch: HeldWatch;
  private heldWhy: string | undefined;
  private exit: Exit | undefined;
  private released = false;
  /** Resolves when the process is gone and everyone who listens has been told. */
  readonly finished: Promise<void>;

  constructor(spec: MachineSpec, running: MachineProcess, qmp: Qmp, files: MachineFiles, log: (line: string) => void) {
    this.id = spec.id;
    this.spec = spec;
    this.process = running;
    this.qmp = qmp;
    this.files = files;
    this.agent = new AgentPort(files.agent, (line) => log(`${spec.id}: ${line}`));
    this.heldWatch = new HeldWatch(
      qmp,
      spec.folder,
      (why) => {
        this.heldWhy = why;
        for (const listener of this.heldListeners) listener(why);
      },
      (line) => log(`${spec.id}: ${line}`),
    );
    this.finished = new Promise((resolve) => qmp.onClose(() => void this.ended(log).finally(resolve)));
  }

  get pid(): number {
    return this.process.pid;
  }

  state(): MachineState {
    return this.current === "running" && this.ending ? "stopping" : this.current;
  }

  forwards(): PortForward[] {
    return this.ports;
  }

  /** Of a machine that a former engine left: its forwards, and whether it stands still. */
  async restore(): Promise<void> {
    await this.heldWatch.look();
    const text = await readFile(path.join(this.spec.folder, FORWARDS), "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "[]";
      throw error;
    });
    this.ports = JSON.parse(text) as PortForward[];
  }

  /** QEMU cannot tell which port it picked, so for 0 we pick one, and another when it was taken meanwhile. */
  async addForward(forward: PortForward): Promise<PortForward> {
    let answer = "";
    for (let attempt = 0; attempt < (forward.hostPort === 0 ? PORT_TRIES : 1); attempt++) {
      const hostPort = forward.hostPort === 0 ? await freePort() : forward.hostPort;
      answer = await this.qmp.human(`hostfwd_add outside ${hostEnd({ ...forward, hostPort })}-:${forward.guestPort}`);
      if (answer.trim() !== "") continue;
      const made = { ...forward, hostPort };
      this.ports = [...this.ports, made];
      await this.keepForwards();
      return made;
    }
    throw new MachineError({
      code: "PORT_TAKEN",
      message: `port ${forward.hostAddress ?? "127.0.0.1"}:${forward.hostPort} could not be led into ${this.id}: ${answer.trim()}`,
      advice: "Choose another port.",
    });
  }

  async removeForward(name: string): Promise<void> {
    const forward = this.ports.find((candidate) => candidate.name === name);
    if (!forward) return;
    await this.qmp.human(`hostfwd_remove outside ${hostEnd(forward)}`);
    this.ports = this.ports.filter((candidate) => candidate !== forward);
    await this.keepForwards();
  }

  send(message: HostMessage): Promise<void> {
    return this.agent.send(message);
  }

  onMessage(listener: (message: AgentMessage) => void): () => void {
    return this.agent.onMessage(listener);
  }

  onExit(listener: (exit: Exit) => void): () => void {
    this.exitListeners.add(listener);
    const { exit } = this;
    if (exit) queueMicrotask(() => listener(exit));
    return () => this.exitListeners.delete(listener);
  }

  onHeld(listener: (why: string | undefined) => void): () => void {
    this.heldListeners.add(listener);
    const { heldWhy } = this;
    if (heldWhy !== undefined) queueMicrotask(() => listener(heldWhy));
    return () => this.heldListeners.delete(listener);
  }

  memory(): Promise<{ residentBytes: number; privateBytes: number }> {
    return processMemory(this.pid);
  }

  /** Lets go of a machine that runs on, as the end of our process would: another engine may adopt it. */
  release(): void {
    this.released = true;
    this.heldWatch.close();
    this.agent.close();
    this.qmp.close();
  }

  /** Resolves true when the process is gone within that time. */
  gone(millis: number): Promise<boolean> {
    return untilGone(this.process, millis);
  }

  private async ended(log: (line: string) => void): Promise<void> {
    if (this.released) return;
    this.heldWatch.close();
    this.agent.close();
    // The control socket closes a little before the process ends; a process that lives on without it is lost to us.
    if (!(await untilGone(this.process, LOST_MILLIS))) {
      log(`${this.id}: its control socket is closed but it lives: ending it`);
      await killQemu(this.process);
    }
    const expected = this.ending !== undefined;
    this.current = this.ending === "suspending" ? "suspended" : expected ? "stopped" : "failed";
    const lines = expected
      ? []
      : [...(await lastLines(this.files.log, 5)), ...(await lastLines(this.files.console, 10))];
    this.exit = { expected, code: this.process.exitCode ?? null, lastLines: lines };
    for (const listener of this.exitListeners) listener(this.exit);
  }

  private async keepForwards(): Promise<void> {
    await writeFile(path.join(this.spec.folder, FORWARDS), JSON.stringify(this.ports), { mode: 0o600 });
  }
}

/** As QEMU's monitor wants it. */
function hostEnd({ protocol = "tcp", hostAddress = "127.0.0.1", hostPort }: PortForward): string {
  return `${protocol}:${hostAddress}:${hostPort}`;
}
