/**
 * One node of a cluster as the host sees it: its machine, what its agent says, and who it is to be. It
 * answers an agent that waits for its identity, and tells waiters when a stage is reached.
 */
import { randomBytes } from "node:crypto";
import type { Failure } from "../../common/contract/failure.ts";
import type { NodeSummary } from "../../common/contract/cluster.ts";
import { KUBELET_PORT } from "../../common/node/identity.ts";
import type { AgentMessage, AgentStage, HostFolder, ImageProxy, NodeIdentity } from "../../common/node/identity.ts";
import type { Machine, MachineSpec } from "../machines/driver.ts";
import type { NodeRecord } from "./cluster-file.ts";
import { fail } from "./failure.ts";
import { LineQueue, Topic, pause } from "./topic.ts";

/** What a node needs of its cluster. */
export interface NodeHome {
  spec(record: NodeRecord, which: "running" | "wanted"): MachineSpec;
  /** The identity without clock and randomness, which are fresh each time. */
  identity(record: NodeRecord, withToken: boolean): Promise<Omit<NodeIdentity, "unixMillis" | "entropy">>;
  /** Folders of this computer that it mounts. */
  hostFolders(): Promise<HostFolder[]>;
  /** The way to registries for its Docker; undefined: it asks them itself. */
  imageProxy(): Promise<ImageProxy> | undefined;
  log(line: string): void;
  changed(): void;
}

const PING_MILLIS = 500;
/** An agent that still waits after this long did not get the last one. */
const RESEND_MILLIS = 15_000;
/** Stages of an agent that has its identity and works on it. */
/** Stages in which it hears of the image cache and of shared folders: before its first Pod, and after its agent was started again. */
const TELLS_WAYS: ReadonlySet<AgentStage> = new Set(["identity", "registering", "ready"]);
const BEFORE_IDENTITY: ReadonlySet<AgentStage> = new Set(["booting", "docker", "images", "awaiting-identity"]);

export class ClusterNode {
  readonly record: NodeRecord;
  readonly topic = new Topic();
  machine: Machine | undefined;
  stage: AgentStage | undefined;
  /** As Kubernetes says; undefined: not registered. */
  ready: boolean | undefined;
  failure: Failure | undefined;
  hostMemoryBytes: number | undefined;
  /** What we are doing with it, before the machine itself can say. */
  activity: "starting" | "stopping" | undefined;
  suspended = false;
  private readonly home: NodeHome;
  private readonly stops: (() => void)[] = [];
  private readonly agentLog = new Set<LineQueue>();
  private agentFailure: { code: string; message: string; detail?: string | undefined } | undefined;
  private identifying: Promise<void> | undefined;
  private sentWithoutToken = false;
  private sentToken: boolean | undefined;
  private identifiedAt = -Infinity;
  private pinger: AbortController | undefined;

  constructor(record: NodeRecord, home: NodeHome) {
    this.record = record;
    this.home = home;
  }

  get name(): string {
    return this.record.name;
  }

  /** Of its machine as it runs, or ran last. */
  get spec(): MachineSpec {
    return this.home.spec(this.record, "running");
  }

  /** What its machine is to be started with. */
  get nextSpec(): MachineSpec {
    return this.home.spec(this.record, "wanted");
  }

  running(): boolean {
    return this.machine?.state() === "running";
  }

  /** Loopback port that leads to its kubelet. */
  kubeletPort(): number | undefined {
    return this.running()
      ? this.machine?.forwards().find((forward) => forward.guestPort === KUBELET_PORT)?.hostPort
      : undefined;
  }

  /** Takes hold of a machine that runs: listens, and asks its agent until it answers. */
  attach(machine: Machine): void {
    this.release();
    this.machine = machine;
    this.failure = undefined;
    this.agentFailure = undefined;
    this.stage = undefined;
    this.suspended = false;
    this.sentWithoutToken = false;
    this.identifiedAt = -Infinity;
    this.stops.push(
      machine.onMessage((message) => this.heard(message)),
      machine.onExit((exit) => this.exited(exit)),
      machine.onHeld((why) => this.held(why)),
    );
    this.pinger = new AbortController();
    void this.ping(machine, this.pinger.signal);
    this.changed();
  }

  /** Lets go of the machine without stopping it. */
  release(): void {
    this.pinger?.abort();
    for (const stop of this.stops.splice(0)) stop();
    this.machine = undefined;
  }

  /** After the host slept, or this node did. */
  async setClock(): Promise<void> {
    await this.machine?.send({ type: "clock", unixMillis: Date.now() });
  }

  /** Resolves when the agent has answered at all. */
  untilAnswers(signal: AbortSignal): Promise<void> {
    return this.until(() => this.stage !== undefined, signal);
  }

  untilStage(stages: ReadonlySet<AgentStage>, signal: AbortSignal, tell?: (stage: AgentStage) => void): Promise<void> {
    let told: AgentStage | undefined;
    return this.until(() => {
      if (this.stage !== undefined && this.stage !== told) tell?.((told = this.stage));
      return this.stage !== undefined && stages.has(this.stage);
    }, signal);
  }

  untilReady(signal: AbortSignal): Promise<void> {
    return this.until(() => this.ready === true, signal);
  }

  setReady(ready: boolean | undefined): void {
    if (ready === this.ready) return;
    this.ready = ready;
    this.changed();
  }

  /** The agent's last lines over the serial port: for a node whose kubelet API cannot be reached. */
  async *serialLog(lines: number, signal?: AbortSignal): AsyncGenerator<string, void, void> {
    const machine = this.machine;
    if (!machine) throw fail("KUBELET_UNREACHABLE", `${this.name} does not run`);
    const queue = new LineQueue();
    this.agentLog.add(queue);
    const end = (): void => queue.end();
    signal?.addEventListener("abort", end, { once: true });
    const timer = setTimeout(end, 5000);
    try {
      await machine.send({ type: "log", lines });
      yield* queue.read();
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      this.agentLog.delete(queue);
    }
  }

  summary(): NodeSummary {
    const { name, role, address } = this.record;
    const has = this.machine || this.suspended ? this.spec : this.nextSpec;
    const { cpus, memoryMiB, diskGiB } = has;
    const next = this.nextSpec;
    const change = {
      ...(next.cpus === cpus ? {} : { cpus: next.cpus }),
      ...(next.memoryMiB === memoryMiB ? {} : { memoryMiB: next.memoryMiB }),
      ...(next.diskGiB === diskGiB ? {} : { diskGiB: next.diskGiB }),
    };
    const state = this.machine?.state();
    const machine =
      this.activity ??
      (state && state !== "absent" ? state : this.failure ? "failed" : this.suspended ? "suspended" : "stopped");
    return {
      name,
      role,
      machine,
      address,
      cpus,
      memoryMiB,
      diskGiB,
      ...(Object.keys(change).length > 0 ? { next: change } : {}),
      ...(this.ready === undefined ? {} : { ready: this.ready }),
      ...(this.stage === undefined || !this.machine ? {} : { stage: this.stage }),
      ...(this.hostMemoryBytes === undefined ? {} : { hostMemoryBytes: this.hostMemoryBytes }),
      ...(this.machine?.pid === undefined ? {} : { pid: this.machine.pid }),
      ...(this.failure === undefined ? {} : { failure: this.failure }),
    };
  }

  private async ping(machine: Machine, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && (this.stage === undefined || BEFORE_IDENTITY.has(this.stage))) {
      try {
        await machine.send({ type: "ping" });
      } catch (error) {
        // The port is not connected yet: the next ping will tell.
        if (machine.state() === "failed") this.home.log(`${this.name}: ${String(error)}`);
      }
      await pause(PING_MILLIS, signal);
    }
  }

  private heard(message: AgentMessage): void {
    if (message.type === "log") {
      for (const queue of this.agentLog) {
        for (const line of message.lines) queue.push(line);
        queue.end();
      }
      return;
    }
    if (message.type === "failure") {
      this.home.log(`${this.name}: agent: ${message.code}: ${message.message}`);
      if (this.sentWithoutToken && !this.ready) {
        // Its certificate may be lost with an unsynced disk: let it ask for a new one.
        this.sentWithoutToken = false;
        this.identify(true);
        return;
      }
      this.agentFailure = message;
      this.changed();
      return;
    }
    if (this.stage !== message.stage) {
      this.stage = message.stage;
      if (message.type === "stage") this.agentFailure = undefined;
      this.home.log(
        `${this.name}: agent: ${message.stage}${message.type === "stage" && message.message ? `: ${message.message}` : ""}`,
      );
      this.changed();
      if (TELLS_WAYS.has(message.stage)) void this.tellWays();
    }
    if (message.stage === "awaiting-identity") this.identify(!this.record.joined);
  }

  private async tellWays(): Promise<void> {
    try {
      // Also shares them again, for a node that ran on while there was no engine.
      const folders = await this.home.hostFolders();
      if (folders.length > 0) await this.machine?.send({ type: "host-folders", folders });
    } catch (error) {
      this.home.log(`${this.name}: host folders: ${error instanceof Error ? error.message : String(error)}`);
    }
    try {
      const proxy = await this.home.imageProxy();
      if (proxy) await this.machine?.send({ type: "image-proxy", proxy });
    } catch (error) {
      // Its Docker asks the registries itself then.
      this.home.log(`${this.name}: no image cache: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /** Sends the identity once for each time the agent asks; while that is under way, asking again changes nothing. */
  private identify(withToken: boolean): void {
    const machine = this.machine;
    const justSent = performance.now() - this.identifiedAt < RESEND_MILLIS;
    if (!machine || this.identifying || (justSent && withToken === this.sentToken)) return;
    const send = async (): Promise<void> => {
      const identity = await this.home.identity(this.record, withToken);
      this.sentWithoutToken = !withToken;
      this.sentToken = withToken;
      this.identifiedAt = performance.now();
      await machine.send({
        type: "identity",
        identity: { ...identity, unixMillis: Date.now(), entropy: randomBytes(64).toString("base64") },
      });
    };
    this.identifying = send()
      .catch((error: unknown) => {
        this.home.log(`${this.name}: identity not sent: ${error instanceof Error ? error.message : String(error)}`);
        // Tried again at the next hello: it is pinged until it has it.
      })
      .finally(() => (this.identifying = undefined));
  }

  /** The machine stands still and goes on by itself: told meanwhile, since its agent cannot. */
  private held(why: string | undefined): void {
    this.failure =
      why === undefined ? undefined : fail("MACHINE_HELD", `the virtual machine of ${this.name} waits: ${why}`).failure;
    this.changed();
  }

  private exited(exit: { expected: boolean; code: number | null; lastLines: string[] }): void {
    this.release();
    this.stage = undefined;
    this.hostMemoryBytes = undefined;
    if (!exit.expected) {
      this.home.log(`${this.name}: machine died (code ${exit.code})`);
      this.failure = fail(
        "MACHINE_GONE",
        `the virtual machine of ${this.name} has ended${exit.code === null ? "" : ` with code ${exit.code}`}`,
        { lastLines: exit.lastLines.slice(-10) },
      ).failure;
    }
    this.changed();
  }

  private until(condition: () => boolean, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        if (signal.aborted) finish(signal.reason as Error);
        else if (condition()) finish();
        else if (this.agentFailure) {
          const { code, message, detail } = this.agentFailure;
          finish(
            fail(
              "NODE_JOIN_FAILED",
              `${this.name}: ${code}: ${message}`,
              detail ? { lastLines: detail.split("\n").slice(-10) } : {},
            ),
          );
        } else if (this.failure)
          finish(fail("MACHINE_GONE", this.failure.message, { lastLines: this.failure.lastLines ?? [] }));
      };
      const stop = this.topic.onChange(check);
      const finish = (error?: Error): void => {
        stop();
        signal.removeEventListener("abort", check);
        if (error) reject(error);
        else resolve();
      };
      signal.addEventListener("abort", check);
      check();
    });
  }

  private changed(): void {
    this.topic.changed();
    this.home.changed();
  }
}
