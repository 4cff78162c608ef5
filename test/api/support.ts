/** What the API tests share: a control plane of their own as a real process, and real kubectl against it. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { HttpClient } from "../../common/kube/http-client.ts";
import type { Transport, TransportRequest } from "../../common/kube/http-client.ts";
import { nodeTransport, readKubeconfig } from "../../main/control-plane/client/node-transport.ts";
import { entry, nodeRuntime } from "../../main/host/paths.ts";
import { kubectlPath } from "../tools/kubectl.ts";
import type { KubectlVersion } from "../tools/kubectl.ts";

export interface Result {
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  input?: string | Buffer;
  env?: Record<string, string>;
  millis?: number;
  /** Of kubectl, where it is run. Default 1.36. */
  version?: KubectlVersion;
  cwd?: string;
  /** In a process group of its own, which its deadline ends as a whole. */
  detached?: boolean;
}

const READY_MILLIS = 60_000;

/** Runs a program to its end; its deadline is generous and ends it. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Result> {
  const { input = "", env = {}, millis = 60_000, cwd, detached = false } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: { ...process.env, ...env },
      stdio: ["pipe", "pipe", "pipe"],
      detached,
      ...(cwd === undefined ? {} : { cwd }),
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (stdout += chunk));
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => (stderr += chunk));
    // With all that it has started: what is left would hold its output open.
    const timer = setTimeout(() => {
      if (child.pid !== undefined && detached) process.kill(-child.pid, "SIGKILL");
      else child.kill("SIGKILL");
    }, millis);
    child.once("error", reject);
    child.once("close", (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? -1, stdout, stderr });
    });
    // A program that ends without reading its input is no failure of the test.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
  });
}

export interface ServerOptions {
  /** For `drydock control-plane`. */
  flags?: readonly string[];
  /** For Node itself. */
  nodeFlags?: readonly string[];
  env?: Record<string, string>;
}

export class TestServer {
  readonly folder: string;
  readonly kubeconfig: string;
  /** All it has said on both outputs. */
  output = "";
  readonly #kubectl: string;
  readonly #options: ServerOptions;
  #child: ChildProcess | undefined;
  #close: (() => void) | undefined;
  #transport: Transport | undefined;

  private constructor(folder: string, kubectl: string, options: ServerOptions) {
    this.folder = folder;
    this.kubeconfig = path.join(folder, "kubeconfig");
    this.#kubectl = kubectl;
    this.#options = options;
  }

  /** A server with an empty store. `flags` go to `drydock control-plane`. */
  static start(...flags: string[]): Promise<TestServer> {
    return TestServer.startWith({ flags });
  }

  static async startWith(options: ServerOptions): Promise<TestServer> {
    const folder = await mkdtemp(path.join(tmpdir(), "drydock-api-"));
    const server = new TestServer(folder, await kubectlPath(), options);
    await server.launch();
    return server;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Starts the process on the folder as it is; resolves when it says that it is ready. */
  async launch(): Promise<void> {
    const { command, environment } = nodeRuntime();
    const { flags = [], nodeFlags = [], env = {} } = this.#options;
    const args = [
      ...nodeFlags,
      entry("control-plane"),
      `--data=${this.folder}/data`,
      "--port=0",
      `--kubeconfig=${this.kubeconfig}`,
    ];
    const child = spawn(command, [...args, "--exit-with-parent", ...flags], {
      env: { ...process.env, ...environment, ...env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#child = child;
    await new Promise<void>((resolve, reject) => {
      let said = "";
      const timer = setTimeout(() => reject(new Error(`not ready within ${READY_MILLIS} ms: ${said}`)), READY_MILLIS);
      const take = (chunk: Buffer): void => {
        said += chunk.toString();
        this.output += chunk.toString();
        if (!/^ready$/m.test(said)) return;
        clearTimeout(timer);
        resolve();
      };
      child.stdout?.on("data", take);
      child.stderr?.on("data", take);
      child.once("exit", (code) => {
        clearTimeout(timer);
        reject(new Error(`the control plane ended with code ${code}: ${said}`));
      });
    });
  }

  /** Ends the process; "SIGKILL" as a crash would. */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    this.#close?.();
    this.#close = undefined;
    this.#transport = undefined;
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await gone;
  }

  async stop(): Promise<void> {
    await this.end();
    await rm(this.folder, { recursive: true, force: true });
  }

  async kubectl(args: readonly string[], options: RunOptions = {}): Promise<Result> {
    const binary = options.version ? await kubectlPath(options.version) : this.#kubectl;
    return run(binary, args, { ...options, env: { ...this.environment(), ...options.env } });
  }

  /** What kubectl is to find in its environment. */
  environment(): Record<string, string> {
    return { KUBECONFIG: this.kubeconfig, HOME: this.folder };
  }

  /** Output of a command that must succeed; words are split at blanks. */
  async ok(command: string, options: RunOptions = {}): Promise<string> {
    const result = await this.kubectl(command.split(" "), options);
    if (result.code !== 0) throw new Error(`kubectl ${command}: code ${result.code}\n${result.stdout}${result.stderr}`);
    return result.stdout + result.stderr;
  }

  /** Output of a command that must fail. */
  async fails(command: string, options: RunOptions = {}): Promise<string> {
    const result = await this.kubectl(command.split(" "), options);
    if (result.code === 0) throw new Error(`kubectl ${command} should have failed, and said:\n${result.stdout}`);
    return result.stdout + result.stderr;
  }

  /** The administrator's HTTPS, for requests kubectl cannot be made to send. */
  async transport(): Promise<Transport> {
    const { transport, close } = nodeTransport(readKubeconfig(await readFile(this.kubeconfig, "utf8")));
    this.#close = close;
    return transport;
  }

  /** One request with the administrator's certificate and its whole answer. */
  async raw(
    method: TransportRequest["method"],
    path: string,
    options: Pick<TransportRequest, "headers" | "body"> = {},
  ): Promise<{ status: number; headers: Record<string, string>; text: string }> {
    this.#transport ??= await this.transport();
    const { status, headers, body } = await this.#transport({ method, path, ...options });
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) chunks.push(chunk);
    return { status, headers, text: Buffer.concat(chunks).toString() };
  }

  /** What a client needs that brings a token in place of the administrator's certificate. */
  async bearer(account = "default"): Promise<{ url: string; ca: string; token: string }> {
    const { server: url, ca = "" } = readKubeconfig(await readFile(this.kubeconfig, "utf8"));
    return { url, ca, token: (await this.ok(`create token ${account}`)).trim() };
  }

  async client(): Promise<HttpClient> {
    return new HttpClient(await this.transport());
  }
}

/** Asks again until the answer is right. Fails with the last answer. */
export async function until<T>(ask: () => Promise<T>, right: (answer: T) => boolean, millis = 30_000): Promise<T> {
  const deadline = Date.now() + millis;
  for (;;) {
    const answer = await ask();
    if (right(answer)) return answer;
    if (Date.now() > deadline) throw new Error(`still not right after ${millis} ms: ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
