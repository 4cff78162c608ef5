/** Where a watch's lines go: the body of an answer, or the messages of a WebSocket (as dashboards in a browser watch). */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { offeredWebSocket } from "../streaming/protocols.ts";
import { acceptWebSocket } from "../streaming/web-socket.ts";
import { turn } from "../slices.ts";
import type { Exchange } from "./exchange.ts";
import { WATCH_CONTENT_TYPES, withoutLength } from "./watch-encoding.ts";

/** A reader that leaves more than this unread is cut off; it will list and watch again. */
const MOST_UNREAD_BYTES = 16 * 1024 * 1024;

export interface WatchOutput {
  /** Each event is a message of its own. */
  readonly oneByOne: boolean;
  /** The head, or the handshake; before it nothing is written. */
  open(contentType: string): void;
  write(message: Buffer): void;
  /** When what was written has been taken, or nobody is there any more. */
  drained(): Promise<void>;
  end(): void;
  isClosed(): boolean;
  onceClosed(then: () => void): void;
}

function drainedOrClosed(stream: Duplex | ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off("drain", done);
      stream.off("close", done);
      resolve();
    };
    stream.once("drain", done);
    stream.once("close", done);
  });
}

/** An answer's body in chunks. */
export function answerOutput(exchange: Exchange): WatchOutput {
  const { response } = exchange;
  return {
    oneByOne: false,
    open(contentType) {
      response.writeHead(200, {
        "content-type": contentType,
        "cache-control": "no-cache, private",
        ...exchange.warningHeader(),
      });
      response.flushHeaders();
    },
    write(message) {
      response.write(message);
      if (response.writableLength > MOST_UNREAD_BYTES) response.destroy();
    },
    drained: () => (response.writableNeedDrain ? drainedOrClosed(response) : turn()),
    end: () => void response.end(),
    isClosed: () => response.destroyed,
    onceClosed: (then) => void response.once("close", then),
  };
}

/**
 * Messages of a WebSocket that is still to be accepted. The first subprotocol that the client offers is agreed to,
 * whatever it is: it says nothing about the messages. What the client sends is ignored.
 */
export function socketOutput(request: IncomingMessage, socket: Duplex, head: Buffer): WatchOutput {
  let webSocket: WebSocket | undefined;
  let binary = false;
  return {
    oneByOne: true,
    open(contentType) {
      binary = contentType === WATCH_CONTENT_TYPES.protobuf;
      acceptWebSocket(request, socket, head, offeredWebSocket(request.headers)[0] ?? "", (accepted) => {
        webSocket = accepted;
        // A message that is malformed or too large ends the connection, which is all that there is to do about it.
        accepted.on("error", () => accepted.terminate());
      });
    },
    write(message) {
      webSocket?.send(binary ? withoutLength(message) : message, { binary });
      if ((webSocket?.bufferedAmount ?? 0) > MOST_UNREAD_BYTES) webSocket?.terminate();
    },
    drained: () => (socket.writableNeedDrain ? drainedOrClosed(socket) : turn()),
    end: () => webSocket?.close(1000),
    isClosed: () => socket.destroyed,
    onceClosed: (then) => void socket.once("close", then),
  };
}
