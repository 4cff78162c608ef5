/**
 * The way into a machine under Lima: one SSH connection (OpenSSH's ControlMaster, so that forwards outlive the engine, as
 * QEMU's do), over which the agent is heard and ports are led. It is made again whenever it breaks.
 */
import { execFile, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import type { AgentMessage, HostMessage } from "../../../common/node/identity.ts";
import { onLines } from "../../host/lines.ts";
import type { PortForward } from "../driver.ts";
import { MachineError } from "../failure.ts";
import { parsed } from "../qemu/agent-port.ts";
import { GUEST_ADDRESS } from "./instance.ts";

export interface LinkOptions {
  /** The file in which Lima describes the way, and the machine's name there. */
  config: string;
  host: string;
  /** Where the connection's control socket is to be. */
  control: string;
  log(line: string): void;
  /** The program; default: ssh of the PATH. */
  ssh?: string;
}

const CHANNEL = "/usr/lib/drydock/agent-channel";
const RETRY_MILLIS = 1000;
/** A handshake with an emulated machine on a busy computer. */
const CONNECT_MILLIS = 90_000;
const CONTROL_MILLIS = 20_000;

export class LimaLink {
  private readonly options: LinkOptions;
  private readonly listeners = new Set<(message: AgentMessage) => void>();
  private readonly led = new Map<string, PortForward>();
  private readonly life = new AbortController();
  private channel: ChildProcess | undefined;
  private keeping: Promise<void> = Promise.resolve();

  constructor(options: LinkOptions) {
    this.options = options;
  }

  /** Connects, or finds the connection of a former engine; from then on it is kept. Throws LIMA_FAILED. */
  async open(): Promise<void> {
    await this.connect();
    this.keeping = this.keep();
  }

  /** Resolves when written; rejects when the agent's channel is not open. */
  send(message: HostMessage): Promise<void> {
    const stdin = this.channel?.stdin;
    if (!stdin?.writable) return Promise.reject(new Error("the agent's channel is not open"));
    return new Promise((resolve, reject) => {
      stdin.write(`${JSON.stringify(message)}\n`, (error) => (error ? reject(error) : resolve()));
    });
  }

  onMessage(listener: (message: AgentMessage) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Throws PORT_TAKEN, or UNSUPPORTED for what is not TCP: SSH leads nothing else. */
  async forward(forward: PortForward): Promise<void> {
    if (forward.protocol === "udp")
      throw new MachineError({
        code: "UNSUPPORTED",
        message: `UDP port ${forward.hostPort} cannot be led into a machine of Lima's`,
        advice: "Use QEMU itself (--driver qemu) for UDP from this computer.",
      });
    const said = await this.control("forward", ["-L", ends(forward)]);
    if (said !== undefined)
      throw new MachineError({
        code: "PORT_TAKEN",
        message: `port ${forward.hostAddress ?? "127.0.0.1"}:${forward.hostPort} could not be led into ${this.options.host}: ${said}`,
        advice: "Choose another port.",
      });
    this.led.set(forward.name, forward);
  }

  async cancel(forward: PortForward): Promise<void> {
    this.led.delete(forward.name);
    const said = await this.control("cancel", ["-L", ends(forward)]);
    if (said !== undefined) this.options.log(`port ${forward.hostPort}: ${said}`);
  }

  /** Those that the connection of a former engine has, or should have. */
  async restore(forwards: PortForward[]): Promise<void> {
    for (const forward of forwards) this.led.set(forward.name, forward);
    await this.leadAgain();
  }

  /** `end`: the machine is gone, and the connection with it; else it is left to another engine. */
  async close(end: boolean): Promise<void> {
    this.life.abort();
    this.channel?.kill();
    await this.keeping;
    // Nobody may be there any more to be told.
    if (end) await this.control("exit", []);
  }

  private async keep(): Promise<void> {
    const { signal } = this.life;
    while (!signal.aborted) {
      try {
        await this.connect();
        await this.serve(signal);
      } catch (error) {
        if (!signal.aborted) this.options.log(`SSH: ${error instanceof Error ? error.message : String(error)}`);
      }
      await pause(RETRY_MILLIS, signal);
    }
  }

  private async connect(): Promise<void> {
    if ((await this.control("check", [])) === undefined) return;
    const own = ["-o", "ControlMaster=yes", "-o", "ControlPersist=yes", "-o", "ServerAliveInterval=20"];
    const args = [...this.base(), ...own, "-o", "ServerAliveCountMax=6", "-f", "-N", this.options.host];
    // It goes on in the background: nothing of ours may stay open in it.
    const child = spawn(this.options.ssh ?? "ssh", args, { stdio: "ignore", timeout: CONNECT_MILLIS });
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", resolve);
    });
    if (code !== 0)
      throw new MachineError({
        code: "LIMA_FAILED",
        message: `the SSH of ${this.options.host} does not let us in (code ${code})`,
        command: `ssh ${args.join(" ")}`,
        advice: "Look at the machine's console.",
      });
    await this.leadAgain();
  }

  private async leadAgain(): Promise<void> {
    for (const forward of this.led.values()) {
      const said = await this.control("forward", ["-L", ends(forward)]);
      if (said !== undefined) this.options.log(`port ${forward.hostPort} is not led any more: ${said}`);
    }
  }

  /** Resolves when the agent's channel has ended. */
  private serve(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const child = spawn(this.options.ssh ?? "ssh", [...this.base(), this.options.host, CHANNEL], {
      stdio: ["pipe", "pipe", "ignore"],
    });
    this.channel = child;
    child.stdin.on("error", () => child.kill());
    onLines(child.stdout, (line) => this.heard(line));
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", () => {
        this.channel = undefined;
        resolve();
      });
    });
  }

  private heard(line: string): void {
    const message = parsed(line);
    if (!message) {
      if (line.trim() !== "") this.options.log(`agent channel: not a message: ${line.slice(0, 200)}`);
      return;
    }
    for (const listener of this.listeners) listener(message);
  }

  /** undefined: done; else what it said against it. */
  private control(command: "check" | "forward" | "cancel" | "exit", args: string[]): Promise<string | undefined> {
    const all = [...this.base(), "-O", command, ...args, this.options.host];
    return new Promise((resolve) => {
      execFile(this.options.ssh ?? "ssh", all, { timeout: CONTROL_MILLIS }, (error, _stdout, stderr) =>
        resolve(error ? stderr.trim() || error.message : undefined),
      );
    });
  }

  private base(): string[] {
    return ["-F", this.options.config, "-o", `ControlPath=${this.options.control}`];
  }
}

function ends({ hostAddress = "127.0.0.1", hostPort, guestPort }: PortForward): string {
  return `${hostAddress}:${hostPort}:${GUEST_ADDRESS}:${guestPort}`;
}

function pause(millis: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, millis);
    if (signal.aborted) done();
    else signal.addEventListener("abort", done);
  });
}
