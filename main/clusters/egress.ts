/**
 * The way from the API server, which runs on the host, to the kubelets inside the nodes: HTTP CONNECT on
 * a Unix socket ("CONNECT 10.240.0.21:10250"), carried to the loopback port that leads into that node.
 * The same shape as Kubernetes' egress selector with HTTPConnect over UDS.
 */
import { createServer } from "node:http";
import type { Server } from "node:http";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { rm } from "node:fs/promises";

const CONNECT_MILLIS = 10_000;

/** Loopback port for an address and port inside the cluster; undefined when there is none. */
export type EgressRoute = (address: string, port: number) => number | undefined;

export class Egress {
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private readonly path: string;

  constructor(path: string, route: EgressRoute) {
    this.path = path;
    this.server = createServer((_request, response) => {
      response.writeHead(405, { "content-type": "text/plain" }).end("only CONNECT is served here\n");
    });
    this.server.on("connect", (request, socket: Socket, head: Buffer) =>
      this.carry(request.url ?? "", socket, head, route),
    );
  }

  async listen(): Promise<void> {
    // A killed engine leaves its socket's file; the lock says that nobody serves it.
    await rm(this.path, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.server.once("error", reject);
      this.server.listen(this.path, resolve);
    });
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
    await rm(this.path, { force: true });
  }

  private carry(target: string, client: Socket, head: Buffer, route: EgressRoute): void {
    this.own(client);
    const match = /^\[?([0-9a-fA-F.:]+?)\]?:(\d+)$/.exec(target);
    const port = match ? route(match[1] as string, Number(match[2])) : undefined;
    if (port === undefined) {
      client.end(
        `HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\nno running node at ${target}\n`,
      );
      return;
    }
    const upstream = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
    this.own(upstream);
    upstream.setTimeout(CONNECT_MILLIS, () => upstream.destroy(new Error("timed out")));
    upstream.once("connect", () => {
      upstream.setTimeout(0);
      client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      if (head.length > 0) upstream.write(head);
      client.pipe(upstream).pipe(client);
    });
    upstream.once("error", (error) => {
      if (upstream.connecting)
        client.end(`HTTP/1.1 504 Gateway Timeout\r\nconnection: close\r\n\r\n${error.message}\n`);
      else client.destroy();
    });
    upstream.once("close", () => client.destroySoon());
    client.once("close", () => upstream.destroy());
  }

  private own(socket: Socket): void {
    this.sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => this.sockets.delete(socket));
  }
}
