/** What the control plane's benches share: programs that are started and measured, and load on an API server. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { Agent, request } from "node:https";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { controlPlaneFlags } from "../../main/host/control-plane-flags.mjs";

export const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
export const CONCURRENCY = 32;

/** A folder that goes with the process, as do the programs started here. */
export const folder = mkdtempSync(path.join(tmpdir(), "drydock-bench-"));
const children: ChildProcess[] = [];
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

export interface Program {
  child: ChildProcess;
  line: string;
  millis: number;
}

/** Starts a program and resolves with its first line and the milliseconds until it came. */
export async function firstLine(args: string[], deadlineMillis = 60_000): Promise<Program> {
  const began = performance.now();
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  const [data] = (await once(child.stdout as NodeJS.ReadableStream, "data", {
    signal: AbortSignal.timeout(deadlineMillis),
  })) as [Buffer];
  return { child, line: String(data).trim().split("\n")[0] as string, millis: performance.now() - began };
}

export async function stop(child: ChildProcess): Promise<void> {
  child.kill("SIGTERM");
  await Promise.race([once(child, "exit"), sleep(15_000).then(() => child.kill("SIGKILL"))]);
}

export function residentMiB(child: ChildProcess): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
}

/** Its share of memory that it has in common with others (a library, say) counted as a part. */
export function proportionalMiB(child: ChildProcess): number {
  return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${child.pid}/smaps_rollup`, "utf8"))?.[1] ?? 0) / 1024;
}

/** The time that all threads of a process have had a processor, in milliseconds. */
export function cpuMillis(child: ChildProcess): number {
  const tasks = `/proc/${child.pid}/task`;
  return readdirSync(tasks).reduce((sum, task) => {
    try {
      return sum + Number(readFileSync(`${tasks}/${task}/schedstat`, "utf8").split(" ")[0]) / 1e6;
    } catch {
      // The thread has ended.
      return sum;
    }
  }, 0);
}

export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;

/** DRYDOCK_BENCH_PROGRAM names another file than the built app's, the sources' for one. */
export const program = process.env["DRYDOCK_BENCH_PROGRAM"] ?? path.join(root, "out/main/control-plane.js");

/** `delays`: the file to which the process says how long its loop was held up (`loopDelays`). */
export function startControlPlane(data: string, delays?: string): Promise<Program> {
  const preload = delays ? ["--import", path.join(root, "test/bench/loop-delay.mjs")] : [];
  if (delays) process.env["DRYDOCK_LOOP_DELAYS"] = delays;
  return firstLine([
    ...controlPlaneFlags,
    ...preload,
    program,
    "--data",
    data,
    "--port",
    "0",
    "--kubeconfig",
    path.join(data, "kubeconfig"),
  ]);
}

export interface Delays {
  /** Milliseconds by which the event loop was late, by the clock: the worst and the 99th percentile. */
  max: number;
  p99: number;
  /** Milliseconds the thread worked between two of its timers: the worst, and how often above 50. */
  worked: number;
  long: number;
  /** The longest stop of garbage collection. */
  collection: number;
}

/** How long the loop was held up since the last call. */
export async function loopDelays(child: ChildProcess, file: string): Promise<Delays> {
  rmSync(file, { force: true });
  child.kill("SIGUSR2");
  for (const deadline = Date.now() + 10_000; !existsSync(file);) {
    if (Date.now() > deadline) throw new Error("the control plane does not say how long its loop was held up");
    await sleep(20);
  }
  return JSON.parse(readFileSync(file, "utf8")) as Delays;
}

export interface Reply {
  status: number;
  bytes: number;
  text(): string;
  close(): void;
}

export interface SendOptions {
  /** What is answered goes here while it comes: for watches. */
  onData?: (data: Buffer) => void;
  headers?: Record<string, string>;
}

export class Load {
  readonly #agent: Agent;
  readonly #port: number;

  constructor(port: number, pki: string) {
    this.#port = port;
    this.#agent = new Agent({
      keepAlive: true,
      maxSockets: CONCURRENCY,
      ca: readFileSync(`${pki}/ca.crt`),
      cert: readFileSync(`${pki}/admin.crt`),
      key: readFileSync(`${pki}/admin.key`),
    });
  }

  /** To the control plane that keeps its data in this folder. */
  static of(data: string): Load {
    const kubeconfig = readFileSync(path.join(data, "kubeconfig"), "utf8");
    const port = Number(/server: https:\/\/127\.0\.0\.1:(\d+)/.exec(kubeconfig)?.[1]);
    return new Load(port, path.join(data, "pki"));
  }

  send(method: string, target: string, body?: unknown, options: SendOptions = {}): Promise<Reply> {
    const { onData, headers = {} } = options;
    return new Promise((resolve, reject) => {
      const data = body === undefined ? undefined : Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
      const sent = request(
        {
          host: "127.0.0.1",
          port: this.#port,
          path: target,
          method,
          agent: onData ? new Agent({ ...this.#agent.options, keepAlive: false }) : this.#agent,
          headers: {
            ...(data ? { "content-type": "application/json", "content-length": data.length } : {}),
            ...headers,
          },
        },
        (response) => {
          const status = response.statusCode ?? 0;
          if (onData) {
            response.on("data", onData);
            return resolve({ status, bytes: 0, text: () => "", close: () => sent.destroy() });
          }
          const parts: Buffer[] = [];
          let bytes = 0;
          response.on("data", (part: Buffer) => {
            bytes += part.length;
            // Long lists are counted, not kept: this process is not what is measured.
            if (bytes < 1024 * 1024) parts.push(part);
          });
          response.on("end", () =>
            resolve({ status, bytes, text: () => Buffer.concat(parts).toString(), close: () => undefined }),
          );
        },
      );
      sent.on("error", (error) => (onData ? undefined : reject(error)));
      sent.end(data);
    });
  }

  /** Requests a second of `count` calls, `CONCURRENCY` at a time. Throws when one is refused. */
  async rate(count: number, call: (index: number) => Promise<Reply>): Promise<number> {
    let next = 0;
    const began = performance.now();
    const lane = async (): Promise<void> => {
      while (next < count) {
        const index = next++;
        const reply = await call(index);
        if (reply.status >= 300)
          throw new Error(`request ${index} was answered with ${reply.status}: ${reply.text().slice(0, 400)}`);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, lane));
    return count / ((performance.now() - began) / 1000);
  }

  /** The median of some calls, one after another, in milliseconds. */
  async median(count: number, call: (index: number) => Promise<Reply>): Promise<number> {
    const times: number[] = [];
    for (let at = 0; at < count; at += 1) {
      const began = performance.now();
      await call(at);
      times.push(performance.now() - began);
    }
    return median(times);
  }

  close(): void {
    this.#agent.destroy();
  }
}

export function report(name: string, value: number, unit: string, note = ""): void {
  console.log(`${name.padEnd(38)} ${value.toFixed(value < 10 ? 2 : 0).padStart(9)} ${unit.padEnd(9)} ${note}`);
}

export function reportDelays(name: string, { max, p99, worked, long, collection }: Delays): void {
  const byClock = `by the clock ${max.toFixed(0)}, p99 ${p99.toFixed(0)}`;
  const note = `target 50, ${long} times above; ${byClock}; longest garbage collection ${collection.toFixed(0)}`;
  report(`loop worked: ${name}`, worked, "ms", note);
}
