/** Questions that are not the cluster's go on to other servers, each with a deadline, by the way they came: UDP or TCP. */
import { createSocket } from "node:dgram";
import type { Socket } from "node:dgram";
import { connect } from "node:net";
import { randomInt } from "node:crypto";
import { DnsCache } from "./cache.ts";
import type { ServerAddress } from "./corefile.ts";

const TRY_MILLIS = 2000;
const TRIES = 2;
const PORT = 53;

interface Pending {
  /** Only its answer counts. */
  server: ServerAddress;
  resolve(answer: Buffer): void;
  timer: NodeJS.Timeout;
}

/** Forwards whole messages and gives back whole answers. */
export class Upstream {
  /** Of the node. */
  readonly #servers: ServerAddress[];
  readonly #pending = new Map<number, Pending>();
  readonly #cache = new DnsCache();
  #socket: Socket | undefined;

  constructor(servers: string[], port = PORT) {
    this.#servers = servers.map((address) => ({ address, port }));
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
  async ask(
    query: Buffer,
    way: "udp" | "tcp" = "udp",
    servers: readonly ServerAddress[] = this.#servers,
  ): Promise<Buffer | undefined> {
    // Two zones' servers may answer the same question differently.
    const asked = servers.map(({ address, port }) => `${address}:${port}`).join();
    const known = this.#cache.get(query, asked);
    if (known) return known;
    for (let attempt = 0; attempt < TRIES; attempt++) {
      for (const server of servers) {
        const answer = await (way === "udp" ? this.#once(server, query) : this.#overTcp(server, query));
        if (!answer) continue;
        answer.writeUInt16BE(query.readUInt16BE(0), 0);
        this.#cache.put(query, answer, asked);
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

  /** What does not fit into a datagram is asked for by TCP: each message after its length in two bytes. */
  #overTcp({ address, port }: ServerAddress, query: Buffer): Promise<Buffer | undefined> {
    return new Promise((resolve) => {
      const socket = connect({ host: address, port, timeout: TRY_MILLIS });
      let received = Buffer.alloc(0);
      socket.once("connect", () => {
        const length = Buffer.alloc(2);
        length.writeUInt16BE(query.length);
        socket.write(Buffer.concat([length, query]));
      });
      socket.on("data", (chunk: Buffer) => {
        received = Buffer.concat([received, chunk]);
        if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
        resolve(received.subarray(2, 2 + received.readUInt16BE(0)));
        socket.destroy();
      });
      socket.once("timeout", () => socket.destroy());
      socket.on("error", () => socket.destroy());
      socket.once("close", () => resolve(undefined));
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
