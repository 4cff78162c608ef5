/**
 * Port-forward for every client: SPDY/3.1, the same inside a WebSocket, and channels of old. Each connection of theirs
 * becomes one of its own into the Pod, which ends when both sides have ended.
 */
import { once } from "node:events";
import type { Duplex, Readable, Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { createWebSocketStream } from "ws";
import type { WebSocket } from "ws";
import { Channels } from "./channels.ts";
import { linger } from "../../../../common/join.ts";
import type { ChannelProtocol } from "./protocols.ts";
import { SpdySession } from "./spdy/session.ts";
import type { SpdyStream } from "./spdy/session.ts";

/** A connection to a port of the Pod. Rejects with an Error whose message says why there is none. */
export type DialPort = (port: number) => Promise<Duplex>;

/** How long a client may take to open the second of a connection's two streams. */
const PAIR_MILLIS = 30_000;
const HIGHEST_PORT = 65_535;

/** The number in the text; undefined where it is no port. */
export function readPort(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= HIGHEST_PORT ? port : undefined;
}

/** Carries bytes both ways until both have ended; returns what went wrong, if anything did. */
async function carry(from: Readable, to: Writable, port: number, dial: DialPort): Promise<string | undefined> {
  let connection: Duplex | undefined;
  let whole = false;
  const gone = new Promise<void>((resolve) => to.once("close", resolve));
  try {
    connection = await dial(port);
    connection.on("error", () => undefined);
    const { errored } = from;
    if (errored ?? to.destroyed) throw errored ?? new Error("the client is gone");
    from.on("error", () => connection?.destroy()).once("close", () => from.readableEnded || connection?.destroy());
    from.pipe(connection);
    connection.pipe(to);
    const broken = once(connection, "close").then(() => {
      if (connection?.errored) throw connection.errored;
    });
    await Promise.race([Promise.all([finished(to, { readable: false }), broken]), gone]);
    whole = !from.errored;
    return undefined;
  } catch (error) {
    return `error forwarding port ${port} to pod: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    // What the client had sent before it left still arrives.
    if (connection && whole) linger(connection);
    else connection?.destroy();
  }
}

/** A stream for errors and one for data belong together by their request's id. */
export function servePortForwardSpdy(transport: Duplex, dial: DialPort): void {
  const waiting = new Map<string, { stream: SpdyStream; timer: NodeJS.Timeout }>();
  const session = new SpdySession(transport, (stream) => {
    const { streamtype: type = "", requestid: request, port = "" } = stream.headers;
    if ((type !== "error" && type !== "data") || readPort(port) === undefined) return void stream.destroy();
    // Clients of old number no requests: they open the two streams one after the other.
    const key = request ?? `of stream ${type === "error" ? stream.id : stream.id - 2}`;
    const other = waiting.get(key);
    if (!other) {
      const timer = setTimeout(() => {
        waiting.delete(key);
        stream.destroy();
      }, PAIR_MILLIS);
      waiting.set(key, { stream, timer });
      return;
    }
    if (other.stream.headers["streamtype"] === type) return void stream.destroy();
    clearTimeout(other.timer);
    waiting.delete(key);
    const [data, error] = type === "data" ? [stream, other.stream] : [other.stream, stream];
    error.resume();
    void forward(data, error, Number(port), dial);
  });
  void session.closed.then(() => {
    for (const { timer } of waiting.values()) clearTimeout(timer);
  });
}

async function forward(data: SpdyStream, error: SpdyStream, port: number, dial: DialPort): Promise<void> {
  const problem = await carry(data, data, port, dial);
  if (problem !== undefined) {
    error.end(problem);
    await finished(error, { readable: false }).catch(() => undefined);
    data.destroy();
  } else error.end();
}

/** The session's bytes as the messages of a WebSocket. */
export function servePortForwardTunnel(socket: WebSocket, dial: DialPort): void {
  servePortForwardSpdy(createWebSocketStream(socket), dial);
}

/** For the i-th port, channel 2i carries data and 2i+1 errors; each begins with the port's number. */
export function servePortForwardChannels(
  socket: WebSocket,
  protocol: ChannelProtocol,
  ports: readonly number[],
  dial: DialPort,
): void {
  const channels = new Channels(socket, protocol);
  const forwards = ports.map(async (port, at) => {
    const number = Buffer.alloc(2);
    number.writeUInt16LE(port);
    channels.send(at * 2, number);
    channels.send(at * 2 + 1, number);
    const problem = await carry(channels.input(at * 2), channels.output(at * 2), port, dial);
    if (problem !== undefined) channels.send(at * 2 + 1, Buffer.from(problem));
  });
  // One port's end is not the others'; the end of all is the session's.
  void Promise.all(forwards).then(() => socket.close(1000));
}
