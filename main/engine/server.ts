/** Serves the contract over WebSocket on an HTTP server, whichever socket that listens on. */
import { once } from "node:events";
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { RPCHandler } from "@orpc/server/ws";
import type { AnyRouter } from "@orpc/server";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";

export const RPC_PATH = "/rpc";

export interface RpcServer {
  /** Carries on when `admit` says so; it answers with a refusal otherwise ("403 Forbidden"). */
  attach(server: Server, admit: (request: IncomingMessage) => string | undefined): void;
  /** What was sent before still arrives. Resolves when no connection is left. */
  close(): Promise<void>;
}

/** WebSocket's status code for an endpoint that ends. */
const GOING_AWAY = 1001;
/** How long a client may take to answer that the connection closes. */
const CLOSE_MILLIS = 500;
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

export function rpcServer(router: AnyRouter, log: (line: string) => void): RpcServer {
  const handler = new RPCHandler(router);
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE_BYTES });
  sockets.on("connection", (socket: WebSocket) => {
    socket.on("error", (error) => log(`contract connection: ${error.message}`));
    void handler.upgrade(paced(socket), { context: {} });
  });
  return {
    attach(server, admit) {
      server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
        const refusal =
          new URL(request.url ?? "/", "http://drydock").pathname === RPC_PATH ? admit(request) : "404 Not Found";
        if (refusal !== undefined) {
          socket.end(`HTTP/1.1 ${refusal}\r\nconnection: close\r\n\r\n`);
          return;
        }
        sockets.handleUpgrade(request, socket, head, (upgraded) => sockets.emit("connection", upgraded, request));
      });
    },
    async close() {
      sockets.close();
      for (const socket of sockets.clients) socket.close(GOING_AWAY);
      const deadline = setTimeout(() => {
        for (const socket of sockets.clients) socket.terminate();
      }, CLOSE_MILLIS);
      await Promise.all([...sockets.clients].map((socket) => once(socket, "close")));
      clearTimeout(deadline);
    },
  };
}

/** A socket whose `send` resolves when the bytes have left: a stream's next event then waits for a slow reader. */
function paced(socket: WebSocket): Pick<WebSocket, "addEventListener" | "send"> {
  const send = (data: Parameters<WebSocket["send"]>[0]): Promise<void> =>
    new Promise((resolve) => {
      // A closed connection ends its streams through the close event; there is nobody to tell here.
      socket.send(data, () => resolve());
    });
  return { addEventListener: socket.addEventListener.bind(socket), send: send as WebSocket["send"] };
}
