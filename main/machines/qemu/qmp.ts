/**
 * QEMU's control socket: JSON lines, commands answered by id, events in between (QEMU Machine Protocol).
 * One client at a time: whoever connects next, after we are gone, takes over.
 */
import { connect } from "node:net";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { onLines } from "../../host/lines.ts";

export class QmpError extends Error {
  readonly command: string;
  constructor(command: string, message: string) {
    super(`${command}: ${message}`);
    this.name = "QmpError";
    this.command = command;
  }
}

export interface QmpEvent {
  event: string;
  data?: Record<string, unknown>;
}

interface Pending {
  command: string;
  resolve(value: unknown): void;
  reject(error: Error): void;
  timer: NodeJS.Timeout;
}

const COMMAND_MILLIS = 30_000;
const RETRY_MILLIS = 20;

export class Qmp {
  private readonly socket: Socket;
  private readonly pending = new Map<number, Pending>();
  private readonly eventListeners = new Set<(event: QmpEvent) => void>();
  private readonly closeListeners = new Set<() => void>();
  private nextId = 1;
  private greeted: () => void = () => undefined;
  closed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    onLines(socket, (line) => this.heard(line));
    socket.on("error", () => socket.destroy());
    socket.once("close", () => this.ended());
  }

  /** Connects when QEMU has made its socket; gives up at the deadline, or when `alive` says it is in vain. */
  static async connect(
    path: string,
    options: { deadlineMillis: number; alive?: () => boolean; signal?: AbortSignal | undefined },
  ): Promise<Qmp> {
    const until = Date.now() + options.deadlineMillis;
    for (;;) {
      options.signal?.throwIfAborted();
      const socket = await opened(path);
      if (socket) return Qmp.greet(socket, Math.max(1000, until - Date.now()));
      if (options.alive?.() === false) throw new QmpError("connect", "QEMU has ended");
      if (Date.now() > until) throw new QmpError("connect", `nobody listens on ${path}`);
      await sleep(RETRY_MILLIS);
    }
  }

  async execute<T = unknown>(command: string, args?: Record<string, unknown>, millis = COMMAND_MILLIS): Promise<T> {
    if (this.closed) throw new QmpError(command, "the connection is closed");
    const id = this.nextId++;
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.pending.delete(id);
        reject(new QmpError(command, `no answer within ${millis / 1000} s`));
      }, millis);
      this.pending.set(id, { command, resolve: (value) => resolve(value as T), reject, timer });
      this.socket.write(`${JSON.stringify({ execute: command, id, ...(args ? { arguments: args } : {}) })}\n`);
    });
  }

  /** A command of the human monitor: the answer is text, empty when it went well. */
  human(line: string): Promise<string> {
    return this.execute<string>("human-monitor-command", { "command-line": line });
  }

  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.eventListeners.add(listener);
    return () => this.eventListeners.delete(listener);
  }

  onClose(listener: () => void): () => void {
    this.closeListeners.add(listener);
    if (this.closed) queueMicrotask(listener);
    return () => this.closeListeners.delete(listener);
  }

  close(): void {
    this.socket.destroy();
  }

  private static async greet(socket: Socket, millis: number): Promise<Qmp> {
    const qmp = new Qmp(socket);
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new QmpError("connect", "QEMU does not greet")), millis);
      qmp.greeted = () => {
        clearTimeout(timer);
        resolve();
      };
      qmp.onClose(() => {
        clearTimeout(timer);
        reject(new QmpError("connect", "the connection was closed"));
      });
    });
    await qmp.execute("qmp_capabilities");
    return qmp;
  }

  private heard(line: string): void {
    const message = JSON.parse(line) as {
      QMP?: unknown;
      event?: string;
      data?: Record<string, unknown>;
      id?: number;
      return?: unknown;
      error?: { desc?: string };
    };
    if (message.QMP !== undefined) this.greeted();
    else if (message.event !== undefined) {
      for (const listener of this.eventListeners)
        listener({ event: message.event, ...(message.data ? { data: message.data } : {}) });
    } else if (message.id !== undefined) this.answered(message.id, message.return, message.error?.desc);
  }

  private answered(id: number, value: unknown, problem: string | undefined): void {
    const waiting = this.pending.get(id);
    if (!waiting) return;
    this.pending.delete(id);
    clearTimeout(waiting.timer);
    if (problem === undefined) waiting.resolve(value);
    else waiting.reject(new QmpError(waiting.command, problem));
  }

  private ended(): void {
    this.closed = true;
    for (const waiting of this.pending.values()) {
      clearTimeout(waiting.timer);
      waiting.reject(new QmpError(waiting.command, "the connection was closed"));
    }
    this.pending.clear();
    for (const listener of this.closeListeners) listener();
  }
}

function opened(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => resolve(socket));
    socket.once("error", () => resolve(undefined));
  });
}
