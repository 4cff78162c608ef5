/**
 * What the cluster tests share: the `drydock` command with a data folder of its own (and the machine's
 * node images), kubectl, and waiting with a deadline.
 */
import { spawn } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { entry, pathsOf } from "../../main/host/paths.ts";

export interface Result {
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  input?: string;
  env?: Record<string, string>;
  millis?: number;
}

/** Runs a program to its end; its deadline is generous and ends it. */
export function run(command: string, args: string[], options: RunOptions = {}): Promise<Result> {
  const { input, env = {}, millis = 300_000 } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ["pipe", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (stdout += chunk));
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => (stderr += chunk));
    const timer = setTimeout(() => child.kill("SIGKILL"), millis);
    child.once("error", reject);
    child.once("close", (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? -1, stdout, stderr });
    });
    child.stdin.on("error", () => undefined);
    child.stdin.end(input ?? "");
  });
}

/** One data folder with its engine and clusters. */
export class Dock {
  readonly home: string;
  private readonly env: Record<string, string>;

  private constructor(home: string) {
    this.home = home;
    const images = process.env["DRYDOCK_IMAGES"] ?? path.join(homedir(), ".drydock", "images");
    // The user's own kubeconfig must not be touched, whatever a test merges.
    this.env = { DRYDOCK_HOME: home, DRYDOCK_IMAGES: images, KUBECONFIG: path.join(home, "user-kubeconfig") };
  }

  static async make(): Promise<Dock> {
    return new Dock(await mkdtemp(path.join(tmpdir(), "drydock-test-")));
  }

  drydock(args: string[], options: RunOptions = {}): Promise<Result> {
    return run(process.execPath, [entry("cli"), ...args], { ...options, env: { ...this.env, ...options.env } });
  }

  /** The same, which must go well; answers with standard output. */
  async ok(...args: string[]): Promise<string> {
    const result = await this.drydock(args, { millis: 900_000 });
    if (result.code !== 0)
      throw new Error(`drydock ${args.join(" ")} ended with ${result.code}\n${result.stdout}\n${result.stderr}`);
    return result.stdout;
  }

  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.ok(...args, "-o", "json")) as T;
  }

  get run(): string {
    return pathsOf(this.home).run;
  }

  /** Sockets that lie in the run folder. */
  sockets(): string[] {
    // A new engine tries accelerators for a few seconds, in a folder of its own.
    return existsSync(this.run) ? readdirSync(this.run).filter((name) => !name.startsWith("probe-")) : [];
  }

  enginePid(): number {
    return (JSON.parse(readFileSync(path.join(this.home, "engine.lock"), "utf8")) as { pid: number }).pid;
  }

  /** Processes that have this data folder in their command line: machines, control planes. */
  processes(): { pid: number; command: string }[] {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => {
        const command = commandLine(Number(name));
        return command.includes(this.home) ? [{ pid: Number(name), command }] : [];
      });
  }

  /** Everything away, whatever a failed test left. */
  async dispose(): Promise<void> {
    await this.drydock(["engine", "stop", "--keep-clusters"], { millis: 60_000 });
    for (const { pid } of this.processes()) process.kill(pid, "SIGKILL");
    await rm(this.home, { recursive: true, force: true });
    await rm(this.run, { recursive: true, force: true });
  }
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    // It ended while we looked.
    return "";
  }
}

/** Asks again until the answer is good; the last answer or error is told when the deadline comes. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T>,
  good: (answer: T) => boolean,
  millis = 180_000,
): Promise<T> {
  const until = Date.now() + millis;
  let last: unknown;
  for (;;) {
    try {
      const answer = await ask();
      if (good(answer)) return answer;
      last = answer;
    } catch (error) {
      last = error;
    }
    if (Date.now() > until)
      throw new Error(
        `${what}: not within ${millis / 1000} s; last: ${last instanceof Error ? last.message : JSON.stringify(last)}`,
      );
    await sleep(500);
  }
}
