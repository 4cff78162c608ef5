/** A kubelet that only pretends: it answers and echoes, and misbehaves as the asked path tells it to. */
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { ensurePki } from "../../../main/control-plane/pki/index.ts";

export interface StandIn {
  port: number;
  /** Connections that the API server holds open to it. */
  connections(): Promise<number>;
  close(): void;
}

/** What the container's name in the path asks for. */
export const manners = ["echo", "refuse", "silent", "hangup", "garbage", "flood", "late"] as const;

const manner = (url: string | undefined): (typeof manners)[number] =>
  manners.find((name) => url?.includes(`/${name}`)) ?? "echo";

/** `folder`: where the control plane keeps its key pairs. */
export async function startStandIn(folder: string): Promise<StandIn> {
  const { ca, apiserver } = await ensurePki(folder);
  const server = createServer(
    {
      cert: apiserver.certificate,
      key: apiserver.key,
      ca: ca.certificate,
      requestCert: true,
      rejectUnauthorized: true,
    },
    (request, response) => {
      request.resume();
      switch (manner(request.url)) {
        case "refuse":
          response.writeHead(404, { "content-type": "text/plain" }).end("no such container");
          return;
        case "silent":
          return;
        case "hangup":
          response.writeHead(200, { "content-length": 1000 }).write("some");
          setImmediate(() => request.socket.destroy());
          return;
        case "garbage":
          request.socket.end("\u0000\u0001 no HTTP \r\n\r\n");
          return;
        case "flood":
          response.writeHead(200).end("x".repeat(300_000));
          return;
        default:
          response.writeHead(200, { "content-type": "text/plain" }).end(`log of ${request.url}\n`);
      }
    },
  );
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: (offered) => [...offered][0] ?? false });
  sockets.on("connection", (socket) => {
    socket.on("error", () => undefined);
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  server.on("upgrade", (request, socket: Duplex, head) => {
    socket.on("error", () => undefined);
    switch (manner(request.url)) {
      case "refuse":
        socket.end("HTTP/1.1 400 Bad Request\r\ncontent-length: 4\r\n\r\nnope");
        return;
      case "silent":
        socket.resume();
        return;
      case "hangup":
        socket.destroy();
        return;
      case "garbage":
        socket.end("no HTTP at all\r\n\r\n");
        return;
      case "flood":
        socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: SPDY/3.1\r\n\r\n");
        socket.end(Buffer.alloc(200_000, 0x80));
        return;
      default:
        if (request.headers.upgrade?.toLowerCase() === "websocket") {
          sockets.handleUpgrade(request, socket, head, (webSocket) => sockets.emit("connection", webSocket));
          return;
        }
        socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: SPDY/3.1\r\n\r\n");
        socket.pipe(socket);
    }
  });
  server.on("tlsClientError", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    connections: () =>
      new Promise((resolve, reject) =>
        server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
      ),
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
