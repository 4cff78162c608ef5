/** A machine of Lima's that runs: the process behind it, the way into it, its forwards, its end. */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import type { AgentMessage, HostMessage } from "../../../common/node/identity.ts";
import { freePort } from "../../host/free-port.ts";
import type { Machine, MachineSpec, MachineState, PortForward } from "../driver.ts";
import { isAlive, lastLines, processMemory, untilGone } from "../process.ts";
import type { MachineProcess } from "../process.ts";
import type { LimaLink } from "./link.ts";

type Exit = { expected: boolean; code: number | null; lastLines: string[] };

const FORWARDS = "forwards.json";
const PORT_TRIES = 5;
const LOOK_MILLIS = 1000;

export class LimaMachine implements Machine {
  readonly id: string;
  readonly spec: MachineSpec;
  readonly process: MachineProcess;
  /** Set before we end it: its end is then no accident. */
  ending = false;
  private current: MachineState = "running";
  private ports: PortForward[] = [];
  private exit: Exit | undefined;
  private readonly link: LimaLink;
  private readonly logs: string[];
  private readonly exitListeners = new Set<(exit: Exit) => void>();
  private readonly looking: NodeJS.Timeout;
  private readonly end = Promise.withResolvers<void>();
  /** Resolves when the process is gone and everyone who listens has been told. */
  readonly finished: Promise<void> = this.end.promise;

  /** `logs`: whose last lines tell of an unexpected end. */
  constructor(spec: MachineSpec, running: MachineProcess, link: LimaLink, logs: string[], log: (line: string) => void) {
    this.id = spec.id;
    this.spec = spec;
    this.process = running;
    this.link = link;
    this.logs = logs;
    this.looking = setInterval(() => {
      this.look().catch((error: unknown) => log(`${spec.id}: ${String(error)}`));
    }, LOOK_MILLIS);
    this.looking.unref();
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

  async addForward(forward: PortForward): Promise<PortForward> {
    for (let attempt = 1; ; attempt++) {
      const made = forward.hostPort === 0 ? { ...forward, hostPort: await freePort() } : forward;
      try {
        await this.link.forward(made);
      } catch (error) {
        // The free port was taken meanwhile.
        if (forward.hostPort === 0 && attempt < PORT_TRIES) continue;
        throw error;
      }
      this.ports = [...this.ports, made];
      await this.keepForwards();
      return made;
    }
  }

  async removeForward(name: string): Promise<void> {
    const forward = this.ports.find((candidate) => candidate.name === name);
    if (!forward) return;
    await this.link.cancel(forward);
    this.ports = this.ports.filter((candidate) => candidate !== forward);
    await this.keepForwards();
  }

  /** Of a machine that a former engine left. */
  async restore(): Promise<void> {
    const text = await readFile(path.join(this.spec.folder, FORWARDS), "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "[]";
      throw error;
    });
    this.ports = JSON.parse(text) as PortForward[];
    await this.link.restore(this.ports);
  }

  send(message: HostMessage): Promise<void> {
    return this.link.send(message);
  }

  onMessage(listener: (message: AgentMessage) => void): () => void {
    return this.link.onMessage(listener);
  }

  onExit(listener: (exit: Exit) => void): () => void {
    this.exitListeners.add(listener);
    const { exit } = this;
    if (exit) queueMicrotask(() => listener(exit));
    return () => this.exitListeners.delete(listener);
  }

  /** Lima does not tell. */
  onHeld(): () => void {
    return () => undefined;
  }

  memory(): Promise<{ residentBytes: number; privateBytes: number }> {
    return processMemory(this.pid);
  }

  /** Lets go of a machine that runs on, as the end of our process would: another engine may adopt it. */
  async release(): Promise<void> {
    clearInterval(this.looking);
    await this.link.close(false);
  }

  /** Resolves true when the process is gone within that time. */
  async gone(millis: number): Promise<boolean> {
    return untilGone(this.process, millis);
  }

  /** Told at once rather than at the next look: for whoever knows that it has ended. */
  async look(): Promise<void> {
    if (this.exit || (await isAlive(this.process)) || this.exit) return;
    clearInterval(this.looking);
    const expected = this.ending;
    this.current = expected ? "stopped" : "failed";
    const exit: Exit = (this.exit = { expected, code: null, lastLines: [] });
    await this.link.close(true);
    if (!expected) for (const log of this.logs) exit.lastLines.push(...(await lastLines(log, 8)));
    for (const listener of this.exitListeners) listener(exit);
    this.end.resolve();
  }

  private async keepForwards(): Promise<void> {
    await writeFile(path.join(this.spec.folder, FORWARDS), JSON.stringify(this.ports), { mode: 0o600 });
  }
}
