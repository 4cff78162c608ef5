/**
 * The agent's channel where the machine has no port for it: a Unix socket, to which the host comes over SSH
 * (node/usr/lib/drydock/agent-channel). The same lines as on the port, to every host that is connected.
 */
import { rm } from "node:fs/promises";
import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { createInterface } from "node:readline";
import type { AgentMessage, HostMessage } from "../../../common/node/identity.ts";
import type { Log } from "../log.ts";

/** A host that does not read must not make us keep everything it misses. */
const QUEUE_BYTES = 1 << 20;

export class HostSocket {
  readonly #path: string;
  readonly #log: Log;
  readonly #hosts = new Set<Socket>();

  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
  }

  /** Listens until the signal aborts. */
  async run(onMessage: (message: HostMessage) => void, signal: AbortSignal): Promise<void> {
    // Of an agent that was killed.
    await rm(this.#path, { force: true });
    const server = createServer((socket) => this.#serve(socket, onMessage));
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(this.#path, resolve));
    server.on("error", (error) => this.#log.error("port", this.#path, error));
    signal.addEventListener("abort", () => this.#close(server), { once: true });
    if (signal.aborted) this.#close(server);
  }

  send(message: AgentMessage): void {
    const line = `${JSON.stringify(message)}\n`;
    for (const host of this.#hosts) if (host.writableLength < QUEUE_BYTES) host.write(line);
  }

  #close(server: Server): void {
    server.close();
    for (const host of this.#hosts) host.destroy();
  }

  #serve(socket: Socket, onMessage: (message: HostMessage) => void): void {
    this.#hosts.add(socket);
    // A host that is gone: "close" follows.
    socket.on("error", () => socket.destroy());
    socket.once("close", () => this.#hosts.delete(socket));
    createInterface({ input: socket }).on("line", (line) => {
      if (line.trim() === "") return;
      try {
        onMessage(JSON.parse(line) as HostMessage);
      } catch (error) {
        this.#log.error("port", "a line from the host", error);
      }
    });
  }
}
