/**
 * Docker's way to registries. It asks this proxy on the node's loopback for every connection; the connection is made through
 * the host's image cache while there is one, else straight to the registry. Registries that run on the developer's computer
 * are led to their port there, so that "localhost:5000/app" means the same as outside.
 */
import { writeFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import type { Server as HttpServer } from "node:http";
import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ImageProxy } from "../../../common/node/identity.ts";
import type { Log } from "../log.ts";
import { describeError } from "../log.ts";
import { join } from "../../../common/join.ts";
import { dial } from "../server/connect.ts";

const AUTHORITY = "/etc/ssl/certs/drydock-image-cache.pem";
/** How the developer's computer is seen from a node. */
const HOST = "10.0.2.2";
const HEAD_BYTES = 8192;
const HEAD_MILLIS = 10_000;

export class ImageProxyRelay {
  readonly #log: Log;
  readonly #server: HttpServer;
  readonly #host: string;
  readonly #registries = new Map<number, Server>();
  #proxy: ImageProxy | undefined;

  constructor(log: Log, host = HOST) {
    this.#log = log;
    this.#host = host;
    this.#server = createHttpServer((_request, response) => void response.writeHead(405).end());
    this.#server.on(
      "connect",
      (request, socket: Duplex, head: Buffer) => void this.#connect(request.url ?? "", socket, head),
    );
  }

  /** Resolves with the port. */
  listen(port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, "127.0.0.1", () => {
        const address = this.#server.address();
        resolve(typeof address === "object" && address ? address.port : port);
      });
    });
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
    for (const server of this.#registries.values()) server.close();
  }

  async use(proxy: ImageProxy, authorityFile = AUTHORITY): Promise<void> {
    // Before the first connection that needs it: Docker reads the authorities once.
    await writeFile(authorityFile, proxy.caCertificate);
    this.#proxy = proxy;
  }

  /**
   * Docker asks a registry at "localhost:PORT" by itself: while the port is free on the node it leads to the developer's
   * computer. Where nothing listens there it leads nowhere, so that Docker says by itself that it was refused.
   */
  async reach(image: string): Promise<void> {
    const port = Number(/^(?:localhost|127\.0\.0\.1):(\d+)\//.exec(image)?.[1] ?? 0);
    if (port < 1 || port > 65_535) return;
    try {
      (await dial({ host: this.#host, port })).destroy();
    } catch (error) {
      this.#log.info("images", `port ${port} of this computer: ${describeError(error)}`);
      this.#registries.get(port)?.close();
      this.#registries.delete(port);
      return;
    }
    if (this.#registries.has(port)) return;
    const server = createServer({ allowHalfOpen: true }, (socket) => void this.#lead(socket, port));
    try {
      await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
      this.#registries.set(port, server);
    } catch (error) {
      // Something on the node has that port: then that is meant.
      this.#log.info("images", `localhost:${port} is the node's own: ${describeError(error)}`);
    }
  }

  async #lead(socket: Socket, port: number): Promise<void> {
    socket.on("error", () => socket.destroy());
    try {
      join(socket, await dial({ host: this.#host, port }));
    } catch (error) {
      this.#log.info("images", `port ${port} of this computer: ${describeError(error)}`);
      socket.destroy();
    }
  }

  async #connect(authority: string, socket: Duplex, head: Buffer): Promise<void> {
    socket.on("error", () => socket.destroy());
    try {
      const target = await this.#reachRegistry(authority);
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      if (head.length > 0) target.write(head);
      join(socket, target);
    } catch (error) {
      socket.end(
        `HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n${describeError(error)}`,
      );
    }
  }

  async #reachRegistry(authority: string): Promise<Socket> {
    const proxy = this.#proxy;
    if (proxy) {
      try {
        return await throughProxy(proxy, authority);
      } catch (error) {
        this.#log.info("images", `no image cache (${describeError(error)}): asking ${authority} itself`);
      }
    }
    const [, host = "", port = "443"] = /^\[?([^\]]*?)\]?(?::(\d+))?$/.exec(authority) ?? [];
    return dial({ host, port: Number(port) });
  }
}

async function throughProxy(proxy: ImageProxy, authority: string): Promise<Socket> {
  const [host = "", port = "0"] = proxy.address.split(":");
  const socket = await dial({ host, port: Number(port) });
  const credentials = Buffer.from(`drydock:${proxy.password}`).toString("base64");
  socket.write(
    `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\nProxy-Authorization: Basic ${credentials}\r\n\r\n`,
  );
  const { head, rest } = await readHead(socket);
  if (!/^HTTP\/1\.[01] 200 /.test(head)) {
    socket.destroy();
    throw new Error(head.split("\r\n")[0]);
  }
  if (rest.length > 0) socket.unshift(rest);
  return socket;
}

function readHead(socket: Socket): Promise<{ head: string; rest: Buffer }> {
  return new Promise((resolve, reject) => {
    let got: Buffer = Buffer.alloc(0);
    const done = (error?: Error): void => {
      clearTimeout(timer);
      socket.off("data", onData).off("error", done).off("close", onClose);
      if (error) {
        socket.destroy();
        reject(error);
      }
    };
    const onClose = (): void => done(new Error("the connection was closed"));
    const onData = (chunk: Buffer): void => {
      got = Buffer.concat([got, chunk]);
      const end = got.indexOf("\r\n\r\n");
      if (end < 0) return got.length > HEAD_BYTES ? done(new Error("an endless answer")) : undefined;
      socket.pause();
      done();
      resolve({ head: got.subarray(0, end).toString("latin1"), rest: got.subarray(end + 4) });
    };
    const timer = setTimeout(() => done(new Error("no answer")), HEAD_MILLIS);
    socket.on("data", onData).once("error", done).once("close", onClose);
  });
}
