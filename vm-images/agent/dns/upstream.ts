/** Questions that are not the cluster's go on to other servers, each with a deadline. */
import { createSocket } from "node:dgram";
import type { Socket } from "node:dgram";
import { randomInt } from "node:crypto";
import type { ServerAddress } from "./corefile.ts";

const TRY_MILLIS = 2000;
const TRIES = 2;

interface Pending {
  /** Only its answer counts. */
  server: ServerAddress;
  resolve(answer: Buffer): void;
  timer: NodeJS.Timeout;
}

/** Forwards whole messages over UDP and gives back whole answers. */
export class Upstream {
  /** Of the node. */
  readonly #servers: ServerAddress[];
  readonly #pending = new Map<number, Pending>();
  #socket: Socket | undefined;

  constructor(servers: string[]) {
    this.#servers = servers.map((address) => ({ address, port: 53 }));
  }

  close(): void {
    this.#socket?.close();
    this.#socket = undefined;
    for (const { timer } of this.#pending.values()) clearTimeout(timer);
    this.#pending.clear();
  }

  get servers(): readonly ServerAddress[] {
    return this.#servers;
  }

  /** The answer to `query` with the query's own id; undefined when no server answered in time. */
  async ask(query: Buffer, servers: readonly ServerAddress[] = this.#servers): Promise<Buffer | undefined> {
    for (let attempt = 0; attempt < TRIES; attempt++) {
      for (const server of servers) {
        const answer = await this.#once(server, query);
        if (!answer) continue;
        answer.writeUInt16BE(query.readUInt16BE(0), 0);
        return answer;
      }
    }
    return undefined;
  }

  #once(server: ServerAddress, query: Buffer): Promise<Buffer | undefined> {
    return new Promise((resolve) => {
      let id = randomInt(65_536);
      while (this.#pending.has(id)) id = (id + 1) % 65_536;
      const message = Buffer.from(query);
      message.writeUInt16BE(id, 0);
      const end = (answer?: Buffer): void => {
        clearTimeout(timer);
        this.#pending.delete(id);
        resolve(answer);
      };
      const timer = setTimeout(() => end(), TRY_MILLIS);
      this.#pending.set(id, { server, resolve: end, timer });
      this.#open().send(message, server.port, server.address, (error) => error && end());
    });
  }

  #open(): Socket {
    if (this.#socket) return this.#socket;
    const socket = createSocket("udp4");
    socket.on("message", (message, { address, port }) => {
      if (message.length < 12) return;
      const pending = this.#pending.get(message.readUInt16BE(0));
      if (pending?.server.address === address && pending.server.port === port) pending.resolve(message);
    });
    socket.on("error", () => {
      socket.close();
      this.#socket = undefined;
    });
    this.#socket = socket;
    return socket;
  }
}
