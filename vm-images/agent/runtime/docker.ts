/** The container runtime on Docker's HTTP API, through dockerode on its Unix socket. */
import { Agent } from "node:http";
import { PassThrough } from "node:stream";
import type { Duplex, Readable } from "node:stream";
import { inspect } from "node:util";
import Docker from "dockerode";
import { Demultiplexer } from "./demultiplex.ts";
import { currentLimits, limitsOf, toCreateOptions } from "./docker-config.ts";
import { withStartFailure } from "./start-failure.ts";
import { isPooledSandbox, parseContainerName } from "./names.ts";
import { RuntimeError } from "./runtime.ts";
import type {
  ContainerConfig,
  ContainerResources,
  ExecOptions,
  ExecStreams,
  ImageDetail,
  LogOptions,
  RegistryCredentials,
  Runtime,
  RuntimeContainer,
  RuntimeEvent,
  RuntimeImage,
} from "./runtime.ts";

/** The connections stay open; `inspect` is answered shortly because the client formats its options for a debug log at each request. */
class DockerAgent extends Agent {
  [inspect.custom](): string {
    return "DockerAgent";
  }
}

export const DOCKER_SOCKET = "/var/run/docker.sock";
const CONTAINER_MISSING = 404;
const NOT_MODIFIED = 304;

export class DockerRuntime implements Runtime {
  readonly #docker: Docker;
  readonly #agent: Agent;
  readonly #beforePull: (image: string) => Promise<void>;

  constructor(options: { socketPath?: string; beforePull?: (image: string) => Promise<void> } = {}) {
    const { socketPath = DOCKER_SOCKET, beforePull } = options;
    this.#beforePull = beforePull ?? (() => Promise.resolve());
    this.#agent = new DockerAgent({ keepAlive: true, maxFreeSockets: 4 });
    this.#docker = new Docker({ socketPath, agent: this.#agent } as Docker.DockerOptions);
  }

  close(): void {
    this.#agent.destroy();
  }

  async version(): ReturnType<Runtime["version"]> {
    const version = await call(() => this.#docker.version());
    return {
      version: version.Version,
      apiVersion: version.ApiVersion,
      kernelVersion: version.KernelVersion,
      os: version.Os,
      arch: version.Arch,
    };
  }

  async list(): ReturnType<Runtime["list"]> {
    const containers = await call(() => this.#docker.listContainers({ all: true }));
    return containers
      .map((container) => ({
        id: container.Id,
        name: (container.Names[0] ?? "").replace(/^\//, ""),
        state: container.State,
      }))
      .filter(({ name }) => isPooledSandbox(name) || parseContainerName(name) !== undefined);
  }

  async inspect(id: string): Promise<RuntimeContainer | undefined> {
    const info = await gone(call(() => this.#docker.getContainer(id).inspect()));
    return info && toContainer(info);
  }

  async create(name: string, config: ContainerConfig): Promise<string> {
    const container = await call(() => this.#docker.createContainer({ name, ...toCreateOptions(config) }));
    return container.id;
  }

  async start(id: string): Promise<void> {
    await call(() => this.#docker.getContainer(id).start(), NOT_MODIFIED);
  }

  async stop(id: string, gracePeriodSeconds: number): Promise<void> {
    await gone(call(() => this.#docker.getContainer(id).stop({ t: gracePeriodSeconds }), NOT_MODIFIED));
  }

  async kill(id: string, signal: string): Promise<void> {
    // 409: it does not run (any more), which is what a killer wants.
    await gone(call(() => this.#docker.getContainer(id).kill({ signal }), 409));
  }

  async remove(id: string): Promise<void> {
    // 409: its removal is under way already.
    await gone(call(() => this.#docker.getContainer(id).remove({ force: true, v: true }), 409));
  }

  async rename(id: string, name: string): Promise<void> {
    await call(() => this.#docker.getContainer(id).rename({ name }));
  }

  async update(id: string, resources: ContainerResources): Promise<void> {
    // Minus one lifts a limit; what is left out would stay as it is.
    const limits = { Memory: 0, MemorySwap: -1, CpuPeriod: 100_000, CpuQuota: -1, ...limitsOf(resources) };
    await call(() => this.#docker.getContainer(id).update(limits));
  }

  async exec(id: string, options: ExecOptions): Promise<ExecStreams> {
    const exec = await call(() =>
      this.#docker.getContainer(id).exec({
        Cmd: options.command,
        AttachStdin: options.stdin,
        AttachStdout: true,
        AttachStderr: !options.tty,
        Tty: options.tty,
        ...(options.env ? { Env: options.env } : {}),
      }),
    );
    const socket = await call(() => exec.start({ hijack: true, stdin: true, Tty: options.tty }));
    const exitCode = async (): Promise<number> => {
      // The stream may end a moment before Docker has noted the exit.
      for (let attempt = 0; attempt < 50; attempt++) {
        const state = await call(() => exec.inspect());
        if (!state.Running && state.ExitCode !== null) return state.ExitCode;
        await new Promise((resolve) => setTimeout(resolve, 20 * (attempt + 1)));
      }
      throw new RuntimeError("the process closed its output but goes on running", 0);
    };
    const resize = async (columns: number, rows: number): Promise<void> => {
      await call(() => exec.resize({ w: columns, h: rows }));
    };
    return withStartFailure(streams(socket as unknown as Duplex, options.tty, exitCode, resize));
  }

  async attach(id: string, options: { stdin: boolean; tty: boolean }): Promise<ExecStreams> {
    const container = this.#docker.getContainer(id);
    const socket = await call(() =>
      container.attach({ stream: true, hijack: true, stdin: options.stdin, stdout: true, stderr: true }),
    );
    const exitCode = async (): Promise<number> => (await gone(call(() => container.inspect())))?.State.ExitCode ?? 0;
    const resize = async (columns: number, rows: number): Promise<void> => {
      await call(() => container.resize({ w: columns, h: rows }));
    };
    return streams(socket as unknown as Duplex, options.tty, exitCode, resize);
  }

  async logs(id: string, tty: boolean, options: LogOptions, signal: AbortSignal): ReturnType<Runtime["logs"]> {
    const query = {
      stdout: options.stdout,
      stderr: options.stderr,
      timestamps: options.timestamps,
      ...(options.tail === undefined ? {} : { tail: options.tail }),
      ...(options.since === undefined ? {} : { since: options.since }),
    };
    const response = await call(() => this.#logStream(id, { ...query, follow: options.follow }, signal));
    const demultiplexer = new Demultiplexer();
    return (async function* () {
      try {
        for await (const chunk of response as AsyncIterable<Buffer>) {
          if (tty) yield { stream: "stdout" as const, data: chunk };
          else yield* demultiplexer.push(chunk);
        }
      } catch (error) {
        if (!signal.aborted) throw error;
      } finally {
        response.destroy();
      }
    })();
  }

  /** The client's own call gathers a log that is not followed in memory, all of it; many at once are more than a node has. */
  #logStream(id: string, query: object, signal: AbortSignal): Promise<Readable> {
    return new Promise((resolve, reject) => {
      this.#docker.modem.dial(
        {
          path: `/containers/${id}/logs?`,
          method: "GET",
          options: query,
          abortSignal: signal,
          isStream: true,
          statusCodes: { 200: true, 404: "no such container", 500: "server error" },
        } as unknown as Parameters<Docker["modem"]["dial"]>[0],
        (error: unknown, stream: unknown) => (error ? reject(error as Error) : resolve(stream as Readable)),
      );
    });
  }

  async events(signal: AbortSignal): Promise<AsyncIterable<RuntimeEvent>> {
    const response = (await call(() =>
      this.#docker.getEvents({
        filters: { type: ["container"], event: ["start", "die", "destroy", "oom"] },
        abortSignal: signal,
      } as Docker.GetEventsOptions),
    )) as Readable;
    return (async function* () {
      let rest = "";
      response.setEncoding("utf8");
      try {
        for await (const text of response as AsyncIterable<string>) {
          const lines = (rest + text).split("\n");
          rest = lines.pop() ?? "";
          for (const line of lines) {
            if (line.trim() === "") continue;
            const event = JSON.parse(line) as {
              Action: string;
              Actor: { ID: string; Attributes: Record<string, string> };
            };
            yield { action: event.Action, id: event.Actor.ID, name: event.Actor.Attributes["name"] ?? "" };
          }
        }
      } catch (error) {
        if (!signal.aborted) throw error;
      } finally {
        response.destroy();
      }
    })();
  }

  async images(): Promise<RuntimeImage[]> {
    const images = await call(() => this.#docker.listImages());
    return images.map((image) => ({
      id: image.Id,
      bytes: image.Size,
      names: (image.RepoTags ?? []).filter((name) => name !== "<none>:<none>"),
      digests: (image.RepoDigests ?? []).filter((name) => name !== "<none>@<none>"),
    }));
  }

  async image(reference: string): Promise<ImageDetail | undefined> {
    const image = await gone(call(() => this.#docker.getImage(reference).inspect()));
    if (!image) return undefined;
    const stopSignal = (image.Config as { StopSignal?: string } | undefined)?.StopSignal;
    return {
      id: image.Id,
      digests: image.RepoDigests ?? [],
      user: image.Config?.User ?? "",
      ...(stopSignal ? { stopSignal } : {}),
    };
  }

  async pull(reference: string, credentials: RegistryCredentials | undefined, deadline: number): Promise<void> {
    await this.#beforePull(reference);
    const signal = AbortSignal.timeout(deadline);
    const progress = await call(() =>
      this.#docker.pull(reference, {
        ...(credentials ? { authconfig: credentials } : {}),
        abortSignal: signal,
      } as object),
    );
    await this.#follow(progress);
  }

  async load(archive: Readable): Promise<string[]> {
    const progress = await call(() => this.#docker.loadImage(archive as unknown as string, { quiet: true }));
    const lines = await this.#follow(progress);
    return lines.flatMap((line) => /Loaded image(?: ID)?: (.+)/.exec(line)?.[1]?.trim() ?? []);
  }

  async removeImage(id: string): Promise<void> {
    await gone(call(() => this.#docker.getImage(id).remove({ force: false })));
  }

  /** Reads a progress stream to its end; throws the error it carries. Returns its text lines. */
  #follow(stream: NodeJS.ReadableStream): Promise<string[]> {
    return new Promise((resolve, reject) => {
      this.#docker.modem.followProgress(
        stream,
        (error: Error | null, output: { stream?: string; status?: string; error?: string }[]) => {
          const failed = output?.find((line) => line.error)?.error;
          if (error) reject(new RuntimeError(error.message, 0));
          else if (failed) reject(new RuntimeError(failed, 500));
          else resolve((output ?? []).flatMap((line) => line.stream ?? line.status ?? []));
        },
      );
    });
  }
}

/** Runs a request; the client's errors become RuntimeErrors. An answer with the code `fine` counts as success. */
async function call<T>(request: () => Promise<T>, fine?: number): Promise<T> {
  try {
    return await request();
  } catch (error) {
    const { statusCode = 0, json } = error as { statusCode?: number; json?: { message?: string } | null };
    if (fine !== undefined && statusCode === fine) return undefined as T;
    const words = json?.message ?? (error instanceof Error ? error.message : String(error));
    // The client puts its own words before Docker's.
    throw new RuntimeError(words.replace(/^\(HTTP code \d+\) [^-]*- /, "").trim(), statusCode);
  }
}

/** undefined when the thing asked about is not there. */
async function gone<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof RuntimeError && error.code === CONTAINER_MISSING) return undefined;
    throw error;
  }
}

function streams(
  socket: Duplex,
  tty: boolean,
  code: () => Promise<number>,
  resize: ExecStreams["resize"],
): ExecStreams {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const demultiplexer = new Demultiplexer();
  let paused = 0;
  const write = (target: PassThrough, data: Buffer): void => {
    if (target.write(data)) return;
    // A slow reader of either stream holds the process up, as a pipe would.
    if (paused++ === 0) socket.pause();
    target.once("drain", () => {
      if (--paused === 0) socket.resume();
    });
  };
  socket.on("data", (chunk: Buffer) => {
    if (tty) return write(stdout, chunk);
    for (const piece of demultiplexer.push(chunk)) write(piece.stream === "stderr" ? stderr : stdout, piece.data);
  });
  const exitCode = new Promise<number>((resolve, reject) => {
    socket.once("close", () => {
      stdout.end();
      stderr.end();
      code().then(resolve, reject);
    });
  });
  // Whoever only reads the output need not look at the exit code.
  exitCode.catch(() => undefined);
  // An error is followed by "close", which ends the streams.
  socket.on("error", () => undefined);
  socket.once("end", () => socket.destroy());
  return { stdin: socket, stdout, stderr, resize, exitCode, close: () => void socket.destroy() };
}

function toContainer(info: Docker.ContainerInspectInfo): RuntimeContainer {
  const { State: state } = info;
  return {
    id: info.Id,
    name: parseContainerName(info.Name),
    state: state.Running ? "running" : state.Status === "created" ? "created" : "exited",
    sandboxId: /^container:(.+)$/.exec(info.HostConfig.NetworkMode ?? "")?.[1] ?? "",
    pid: state.Running ? state.Pid : 0,
    exitCode: state.ExitCode,
    oomKilled: state.OOMKilled,
    error: state.Error,
    createdAt: time(info.Created),
    startedAt: time(state.StartedAt),
    finishedAt: time(state.FinishedAt),
    image: info.Config.Image,
    imageId: info.Image,
    labels: info.Config.Labels ?? {},
    tty: info.Config.Tty,
    stopSignal: (info.Config as { StopSignal?: string }).StopSignal || "SIGTERM",
    logPath: (info as unknown as { LogPath?: string }).LogPath ?? "",
    layerPath: (info.GraphDriver as { Data?: { UpperDir?: string } } | undefined)?.Data?.UpperDir ?? "",
    resources: currentLimits(info.HostConfig as object),
  };
}

/** Docker writes year 1 for "never". */
function time(text: string): number {
  const milliseconds = Date.parse(text);
  return milliseconds > 0 ? milliseconds : 0;
}
