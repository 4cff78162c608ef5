/**
 * A cluster's control plane as a child process: started, watched, started again with growing pauses
 * when it dies, and never left behind (it exits when its standard input, our pipe, ends).
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createServer } from "node:net";
import { onLines } from "../host/lines.ts";
import { RotatingLog } from "../host/log.ts";
import { entry, nodeRuntime } from "../host/paths.ts";
import { controlPlaneFlags } from "../host/control-plane-flags.mjs";
import type { Failure } from "../../common/contract/failure.ts";
import { fail, toFailure } from "./failure.ts";
import { Topic, pause } from "./topic.ts";

export type ControlPlaneState = "stopped" | "starting" | "running" | "failed";

export interface ControlPlaneOptions {
  data: string;
  port: number;
  kubeconfig: string;
  log: string;
  /** Socket on which we carry the API server's connections to kubelets. */
  kubeletEgress?: string;
  /** Names of nodes that only pretend. */
  simulatedNodes?: () => string[];
  /** File that says how they behave. */
  simulation?: string;
}

const LOAD_BALANCER_CONTROLLER = "service-lb-controller";
const READY_MILLIS = 60_000;
const STOP_MILLIS = 10_000;
const PORT_MILLIS = 5_000;
const PAUSES = [200, 500, 1000, 2000, 5000, 10_000];

export class ControlPlaneProcess {
  readonly topic = new Topic();
  private readonly options: ControlPlaneOptions;
  /** Why it does not run although it should. */
  failure: Failure | undefined;
  private child: ChildProcess | undefined;
  private current: ControlPlaneState = "stopped";
  private wanted = false;
  private restarts = 0;
  private watching: AbortController | undefined;

  constructor(options: ControlPlaneOptions) {
    this.options = options;
  }

  state(): ControlPlaneState {
    return this.current;
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  /** Resolves when it serves. Throws PORT_TAKEN or CONTROL_PLANE_FAILED, and is stopped then. */
  async start(log: (line: string) => void, signal?: AbortSignal): Promise<void> {
    if (this.wanted && this.current === "running") return;
    this.wanted = true;
    this.watching = new AbortController();
    try {
      await this.launch(log, signal);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Resolves when the process is gone. */
  async stop(): Promise<void> {
    this.wanted = false;
    this.watching?.abort();
    const child = this.child;
    if (child && child.exitCode === null && child.signalCode === null) {
      const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MILLIS);
      await gone;
      clearTimeout(timer);
    }
    this.child = undefined;
    this.failure = undefined;
    this.change("stopped");
  }

  private async launch(log: (line: string) => void, signal?: AbortSignal): Promise<void> {
    this.change("starting");
    const { port } = this.options;
    // A predecessor whose engine was killed may need a moment to notice and let the port go.
    const until = Date.now() + PORT_MILLIS;
    while (!(await portFree(port))) {
      if (Date.now() > until)
        throw fail(
          "PORT_TAKEN",
          `port ${port} of 127.0.0.1, the cluster's API server port, is in use by another program`,
        );
      signal?.throwIfAborted();
      await pause(100, signal);
    }
    const { command, environment } = nodeRuntime();
    const args = [...controlPlaneFlags, entry("control-plane"), ...this.flags()];
    log(`${command} ${args.join(" ")}`);
    const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, ...environment } });
    this.child = child;
    await this.untilReady(child, `${command} ${args.join(" ")}`, log, signal);
    this.failure = undefined;
    this.change("running");
    child.once("exit", (code, by) => this.died(code, by));
    if (child.exitCode !== null || child.signalCode !== null) this.died(child.exitCode, child.signalCode);
  }

  private flags(): string[] {
    const { data, port, kubeconfig, kubeletEgress, simulatedNodes, simulation } = this.options;
    return [
      `--data=${data}`,
      `--port=${port}`,
      `--kubeconfig=${kubeconfig}`,
      "--advertise-address=10.0.2.2",
      "--exit-with-parent",
      // The engine leads LoadBalancer Services to this computer itself, since it knows the machines.
      ...(kubeletEgress
        ? [`--kubelet-egress=unix:${kubeletEgress}`, `--controllers=*,-${LOAD_BALANCER_CONTROLLER}`]
        : []),
      ...(simulatedNodes ? [`--simulated-nodes=${simulatedNodes().join(",")}`] : []),
      ...(simulation ? [`--simulation=${simulation}`] : []),
    ];
  }

  private untilReady(
    child: ChildProcess,
    command: string,
    log: (line: string) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    const file = new RotatingLog(this.options.log);
    const lastLines: string[] = [];
    return new Promise((resolve, reject) => {
      let settled = false;
      const settle = (error?: unknown): void => {
        if (settled) return;
        settled = true;
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        if (error === undefined) resolve();
        else reject(error as Error);
      };
      const failed = (message: string): Error =>
        fail("CONTROL_PLANE_FAILED", message, { command, lastLines: lastLines.slice(-10), log: this.options.log });
      const onAbort = (): void => settle(signal?.reason);
      const timer = setTimeout(
        () => settle(failed(`the control plane was not ready within ${READY_MILLIS / 1000} s`)),
        READY_MILLIS,
      );
      signal?.addEventListener("abort", onAbort);
      const take = (line: string): void => {
        file.line(line);
        if (settled) return;
        log(line);
        lastLines.push(line);
        if (lastLines.length > 50) lastLines.shift();
      };
      if (child.stdout) {
        onLines(child.stdout, (line) => {
          take(line);
          if (line.trim() === "ready") settle();
        });
      }
      if (child.stderr) onLines(child.stderr, take);
      // Our end of its standard input is only there to be closed with us.
      child.stdin?.on("error", () => settle(failed("the control plane closed its input")));
      child.once("error", (error) => settle(failed(`the control plane could not be started: ${error.message}`)));
      child.once("close", (code, by) => {
        settle(failed(`the control plane ended ${by ? `by ${by}` : `with code ${code}`} before it was ready`));
        file.close();
      });
    });
  }

  private died(code: number | null, by: NodeJS.Signals | null): void {
    if (!this.wanted) return;
    this.change("failed");
    void this.restart(`ended ${by ? `by ${by}` : `with code ${code}`}`);
  }

  /** Tries until it serves or nobody wants it any more. */
  private async restart(why: string): Promise<void> {
    const signal = this.watching?.signal;
    const file = new RotatingLog(this.options.log);
    file.warn(`control plane ${why}; starting it again`);
    while (this.wanted) {
      await pause(PAUSES[Math.min(this.restarts, PAUSES.length - 1)] as number, signal);
      if (!this.wanted) break;
      this.restarts++;
      try {
        await this.launch(() => undefined, signal);
        const calm = setTimeout(() => (this.restarts = 0), 60_000);
        calm.unref();
        break;
      } catch (error) {
        if (!this.wanted) break;
        file.error("control plane did not start", error);
        this.failure = toFailure(error);
        this.child?.kill("SIGKILL");
        this.change("failed");
      }
    }
    file.close();
  }

  private change(state: ControlPlaneState): void {
    if (this.current === state) return;
    this.current = state;
    this.topic.changed();
  }
}

/** True when nobody listens on this port of the loopback address. */
export function portFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
