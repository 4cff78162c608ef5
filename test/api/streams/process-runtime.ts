/** A container runtime whose containers are processes of this computer: enough of one for a kubelet's server. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { PassThrough, Writable } from "node:stream";
import { spawn as spawnTerminal } from "node-pty";
import type { IPty } from "node-pty";
import type { ContainerName } from "../../../vm-images/agent/runtime/names.ts";
import { ExecStartError } from "../../../vm-images/agent/runtime/runtime.ts";
import type {
  ExecOptions,
  ExecStreams,
  LogOptions,
  Runtime,
  RuntimeContainer,
} from "../../../vm-images/agent/runtime/runtime.ts";

export interface ContainerOptions {
  name: ContainerName;
  /** Its own process, for attach. Without one there is nothing to attach to. */
  command?: string[];
  tty?: boolean;
  /** What its log holds. */
  log?: string;
}

interface Held {
  container: RuntimeContainer;
  options: ContainerOptions;
}

const REST: Omit<RuntimeContainer, "id" | "name" | "tty" | "pid" | "createdAt" | "startedAt"> = {
  sandboxId: "",
  state: "running",
  exitCode: 0,
  oomKilled: false,
  error: "",
  finishedAt: 0,
  image: "drydock.local/busybox:1",
  imageId: "sha256:0",
  labels: {},
  stopSignal: "SIGTERM",
  logPath: "",
  layerPath: "",
  resources: { oomScoreAdjust: 0 },
};

export class ProcessRuntime implements Pick<Runtime, "list" | "inspect" | "exec" | "attach" | "logs"> {
  readonly #containers = new Map<string, Held>();
  readonly #running = new Set<ChildProcess | IPty>();

  /** How many processes run just now: none must be left when their clients are gone. */
  get running(): number {
    return this.#running.size;
  }

  add(options: ContainerOptions): void {
    const id = `${options.name.container}-${options.name.uid}`;
    const now = Date.now();
    const container = {
      ...REST,
      id,
      name: options.name,
      tty: options.tty ?? false,
      pid: 0,
      createdAt: now,
      startedAt: now,
    };
    this.#containers.set(id, { container, options });
  }

  async list(): Promise<{ id: string; name: string; state: string }[]> {
    return [...this.#containers.values()].map(({ container: { id, state } }) => ({ id, name: id, state }));
  }

  async inspect(id: string): Promise<RuntimeContainer | undefined> {
    return this.#containers.get(id)?.container;
  }

  async exec(_id: string, { command, tty }: ExecOptions): Promise<ExecStreams> {
    return tty ? this.#terminal(command) : this.#pipes(command);
  }

  async attach(id: string, { tty }: { stdin: boolean; tty: boolean }): Promise<ExecStreams> {
    const command = this.#containers.get(id)?.options.command ?? ["true"];
    return tty ? this.#terminal(command) : this.#pipes(command);
  }

  async logs(
    id: string,
    _tty: boolean,
    options: LogOptions,
    signal: AbortSignal,
  ): Promise<AsyncIterable<{ stream: "stdout" | "stderr"; data: Buffer }>> {
    const lines = (this.#containers.get(id)?.options.log ?? "").split(/(?<=\n)/);
    const chosen = options.tail === undefined ? lines : lines.slice(lines.length - options.tail);
    return (async function* () {
      for (const line of chosen) {
        if (signal.aborted) return;
        yield { stream: "stdout" as const, data: Buffer.from(line) };
      }
    })();
  }

  stop(): void {
    for (const one of this.#running) one.kill("SIGKILL");
  }

  async #pipes([file = "", ...args]: string[]): Promise<ExecStreams> {
    const child = spawn(file, args, { stdio: ["pipe", "pipe", "pipe"] });
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", (error) => reject(new ExecStartError(error.message, 0)));
    });
    this.#running.add(child);
    child.stdin.on("error", () => undefined);
    const exitCode = new Promise<number>((resolve) =>
      child.once("close", (code, signal) => {
        this.#running.delete(child);
        resolve(code ?? (signal ? 137 : 0));
      }),
    );
    const { stdin, stdout, stderr } = child;
    return { stdin, stdout, stderr, exitCode, resize: async () => undefined, close: () => void child.kill("SIGKILL") };
  }

  async #terminal([file = "", ...args]: string[]): Promise<ExecStreams> {
    const terminal = spawnTerminal(file, args, { encoding: null as never, cols: 80, rows: 24 });
    this.#running.add(terminal);
    const stdout = new PassThrough();
    const stderr = new PassThrough();
    stderr.end();
    terminal.onData((data) => void stdout.write(data as unknown as Buffer));
    const exitCode = new Promise<number>((resolve) =>
      terminal.onExit((end) => {
        this.#running.delete(terminal);
        stdout.end();
        resolve(end.exitCode);
      }),
    );
    const stdin = new Writable({
      write(chunk: Buffer, _encoding, callback) {
        terminal.write(chunk.toString());
        callback();
      },
    });
    return {
      stdin,
      stdout,
      stderr,
      exitCode,
      resize: async (columns, rows) => terminal.resize(columns, rows),
      close: () => {
        if (this.#running.has(terminal)) terminal.kill("SIGKILL");
      },
    };
  }
}
