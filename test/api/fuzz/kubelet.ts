/** A kubelet that only pretends: it answers and echoes, and misbehaves as the asked path tells it to. */
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { ensurePki } from "../../../main/control-plane/pki/index.ts";

export interface StandIn {
  port: number;
  /** What was last asked on each connection that the API server holds open to it. */
  held(): string[];
  close(): void;
}

/** What the container's name in the path asks for. */
export const manners = ["echo", "refuse", "silent", "hangup", "garbage", "flood", "late"] as const;

const manner = (url: string | undefined): (typeof manners)[number] =>
  manners.find((name) => url?.includes(`/${name}`)) ?? "echo";

/** `folder`: where the control plane keeps its key pairs. */
export async function startStandIn(folder: string): Promise<StandIn> {
  const { ca, apiserver } = await ensurePki(folder);
  const held = new Map<Duplex, string>();
  const note = (request: IncomingMessage): void => {
    const { upgrade = "no upgrade", "sec-websocket-protocol": protocol = "" } = request.headers;
    held.set(request.socket, `${request.method} ${request.url} (${upgrade} ${protocol})`);
  };
  const server = createServer(
    {
      cert: apiserver.certificate,
      key: apiserver.key,
      ca: ca.certificate,
      requestCert: true,
      rejectUnauthorized: true,
    },
    (request, response) => {
      note(request);
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
    note(request);
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
  server.on("connection", (socket: Duplex) => {
    held.set(socket, "nothing yet");
    socket.once("close", () => held.delete(socket));
  });
  // The one above is the bare connection below TLS.
  server.on("secureConnection", (socket: Duplex) => {
    held.set(socket, "nothing yet, over TLS");
    socket.once("close", () => held.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    held: () => [...held.values()],
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
