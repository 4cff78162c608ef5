/**
 * What the kubelet needs of a container runtime, and nothing more. Docker implements it (docker.ts); tests
 * use a double. Errors are RuntimeErrors with the runtime's own words.
 */
import type { Readable } from "node:stream";
import type { ContainerName } from "./names.ts";

export class RuntimeError extends Error {
  /** HTTP code of the runtime's answer; 0 when it could not be reached. */
  readonly code: number;

  constructor(message: string, code: number) {
    super(message);
    this.name = "RuntimeError";
    this.code = code;
  }
}

export interface RuntimeContainer {
  id: string;
  /** undefined: a sandbox of the pool. */
  name: ContainerName | undefined;
  state: "created" | "running" | "exited";
  /** The sandbox whose network it uses; "" for a sandbox. */
  sandboxId: string;
  /** 0 unless running. */
  pid: number;
  exitCode: number;
  oomKilled: boolean;
  /** Why it could not be started, in the runtime's words. */
  error: string;
  /** Unix milliseconds; 0 when it has not come to that. */
  createdAt: number;
  startedAt: number;
  finishedAt: number;
  /** As it was asked for. */
  image: string;
  imageId: string;
  labels: Record<string, string>;
  tty: boolean;
  /** Which signal asks it to end. */
  stopSignal: string;
  /** The file that holds its output. */
  logPath: string;
  /** The folder that holds what it writes beside its volumes; "" when that is not known. */
  layerPath: string;
  /** As they are now. */
  resources: ContainerResources;
}

export interface Mount {
  source: string;
  target: string;
  readOnly: boolean;
  propagation?: "rprivate" | "rslave" | "rshared";
}

/** A device of the node, under another name in the container. */
export interface Device {
  source: string;
  target: string;
  readOnly: boolean;
}

/** All that a container is made from. */
export interface ContainerConfig {
  image: string;
  hostname?: string;
  entrypoint?: string[];
  command?: string[];
  workingDir?: string;
  env: string[];
  user?: string;
  groups?: string[];
  labels: Record<string, string>;
  tty: boolean;
  stdin: boolean;
  stdinOnce: boolean;
  mounts: Mount[];
  /** "none", "host" or "container:<id>" */
  network: string;
  ipc: string;
  pid?: string;
  privileged: boolean;
  readOnlyRootFilesystem: boolean;
  capabilitiesAdd: string[];
  capabilitiesDrop: string[];
  securityOptions: string[];
  sysctls?: Record<string, string>;
  stopSignal?: string;
  devices?: Device[];
  resources: ContainerResources;
  /** Pods ask for it with procMount: Unmasked. */
  unmaskedProc?: boolean;
  /** The cgroup that the container's own is made in. */
  cgroupParent?: string;
}

export interface ContainerResources {
  memoryBytes?: number;
  cpuShares?: number;
  /** Microseconds per 100 ms. */
  cpuQuota?: number;
  oomScoreAdjust: number;
  pidsLimit?: number;
}

export interface RuntimeImage {
  id: string;
  names: string[];
  digests: string[];
  bytes: number;
}

export interface ImageDetail {
  id: string;
  digests: string[];
  /** "user[:group]" as the image says. */
  user: string;
  /** Paths the image declares as volumes. */
  stopSignal?: string;
}

export interface ExecOptions {
  command: string[];
  tty: boolean;
  stdin: boolean;
  env?: string[];
}

/** The runtime could not begin a process; its words. */
export class ExecStartError extends RuntimeError {}

/** Standard streams of a process in a container. With a tty, stderr ends at once and all output is on stdout. */
export interface ExecStreams {
  stdin: NodeJS.WritableStream;
  stdout: Readable;
  stderr: Readable;
  resize(columns: number, rows: number): Promise<void>;
  /** Resolves when the process has ended and its output is complete. */
  exitCode: Promise<number>;
  /** Lets go of the streams (the process may go on). */
  close(): void;
}

export interface LogOptions {
  follow: boolean;
  stdout: boolean;
  stderr: boolean;
  timestamps: boolean;
  /** Lines from the end; undefined is all. */
  tail?: number;
  /** Unix seconds, may have a fraction. */
  since?: number;
}

export interface RuntimeEvent {
  action: string;
  id: string;
  name: string;
}

export interface RegistryCredentials {
  username: string;
  password: string;
  serveraddress?: string;
}

export interface Runtime {
  version(): Promise<{ version: string; apiVersion: string; kernelVersion: string; os: string; arch: string }>;
  /** Ids and states of all containers that are ours (cheap: one call). */
  list(): Promise<{ id: string; name: string; state: string }[]>;
  /** undefined when it is gone. */
  inspect(id: string): Promise<RuntimeContainer | undefined>;
  create(name: string, config: ContainerConfig): Promise<string>;
  start(id: string): Promise<void>;
  /** SIGTERM (or the image's stop signal), then SIGKILL after the grace period. Resolves when it has stopped. */
  stop(id: string, gracePeriodSeconds: number): Promise<void>;
  kill(id: string, signal: string): Promise<void>;
  /** Kills when it still runs. Gone already is fine. */
  remove(id: string): Promise<void>;
  rename(id: string, name: string): Promise<void>;
  /** Other limits for a container that runs. */
  update(id: string, resources: ContainerResources): Promise<void>;
  exec(id: string, options: ExecOptions): Promise<ExecStreams>;
  /** The container's own standard streams. */
  attach(id: string, options: { stdin: boolean; tty: boolean }): Promise<ExecStreams>;
  /** Demultiplexed: pieces in order, each of one stream. */
  logs(
    id: string,
    tty: boolean,
    options: LogOptions,
    signal: AbortSignal,
  ): Promise<AsyncIterable<{ stream: "stdout" | "stderr"; data: Buffer }>>;
  /** Until the signal aborts or the connection breaks (then it ends). */
  events(signal: AbortSignal): Promise<AsyncIterable<RuntimeEvent>>;
  images(): Promise<RuntimeImage[]>;
  /** undefined: not on this node. */
  image(reference: string): Promise<ImageDetail | undefined>;
  pull(reference: string, credentials: RegistryCredentials | undefined, deadline: number): Promise<void>;
  /** A docker-archive; returns the names that were loaded. */
  load(archive: Readable): Promise<string[]>;
  removeImage(id: string): Promise<void>;
}
