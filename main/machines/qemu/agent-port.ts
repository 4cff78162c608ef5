/**
 * The host's end of a guest's virtio-serial port: one JSON object per line both ways, over the socket on
 * which QEMU listens; connected again while the machine lives.
 */
import { connect } from "node:net";
import type { Socket } from "node:net";
import type { AgentMessage, HostMessage } from "../../../common/node/identity.ts";
import { onLines } from "../../host/lines.ts";

const RETRY_MILLIS = 100;
const MAX_LINE = 1024 * 1024;

export class AgentPort {
  private readonly path: string;
  private readonly log: (line: string) => void;
  private readonly listeners = new Set<(message: AgentMessage) => void>();
  private socket: Socket | undefined;
  private connected = false;
  private retry: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(path: string, log: (line: string) => void) {
    this.path = path;
    this.log = log;
    this.open();
  }

  /** Resolves when written to the socket; rejects when it is not connected. */
  send(message: HostMessage): Promise<void> {
    const { socket } = this;
    if (!socket || !this.connected) return Promise.reject(new Error("the agent's port is not connected"));
    return new Promise((resolve, reject) => {
      socket.write(`${JSON.stringify(message)}\n`, (error) => (error ? reject(error) : resolve()));
    });
  }

  onMessage(listener: (message: AgentMessage) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.retry);
    this.socket?.destroy();
  }

  private open(): void {
    const socket = connect(this.path);
    this.socket = socket;
    socket.once("connect", () => (this.connected = true));
    onLines(socket, (line) => this.heard(line));
    socket.on("error", () => socket.destroy());
    socket.once("close", () => {
      this.connected = false;
      if (!this.closed) this.retry = setTimeout(() => this.open(), RETRY_MILLIS);
    });
  }

  private heard(line: string): void {
    const message = parsed(line);
    if (!message) {
      if (line.trim() !== "") this.log(`agent port: not a message: ${line.slice(0, 200)}`);
      return;
    }
    for (const listener of this.listeners) listener(message);
  }
}

/** A guest may say anything, half a line too: what is no message is none. */
export function parsed(line: string): AgentMessage | undefined {
  if (line.length > MAX_LINE) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || !("type" in value)) return undefined;
  switch (value.type) {
    case "hello":
    case "stage":
      return "stage" in value && typeof value.stage === "string" ? (value as AgentMessage) : undefined;
    case "failure":
      return "message" in value && typeof value.message === "string" ? (value as AgentMessage) : undefined;
    case "log":
      return "lines" in value && Array.isArray(value.lines) ? (value as AgentMessage) : undefined;
    default:
      return undefined;
  }
}
