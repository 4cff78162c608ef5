/** Taking a client's WebSocket upgrade, with a subprotocol that was chosen before. */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";

const MOST_BYTES = 16 * 1024 * 1024;

const server = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: MOST_BYTES });
const chosen = new WeakMap<IncomingMessage, string>();
server.on("headers", (headers, request) => {
  const protocol = chosen.get(request);
  if (protocol !== undefined) headers.push(`Sec-WebSocket-Protocol: ${protocol}`);
});

/** An upgrade that is malformed is answered with its error, and `use` not called. `protocol` is empty where none was offered. */
export function acceptWebSocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  protocol: string,
  use: (webSocket: WebSocket) => void,
): void {
  // Some names that Kubernetes uses are none by RFC 6455: they are matched by us, not by the library.
  delete request.headers["sec-websocket-protocol"];
  if (protocol !== "") chosen.set(request, protocol);
  server.handleUpgrade(request, socket, head, use);
}
