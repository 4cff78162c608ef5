/** Where a watch's lines go: the body of an answer, or the messages of a WebSocket (as dashboards in a browser watch). */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { offeredWebSocket } from "../streaming/protocols.ts";
import { acceptWebSocket } from "../streaming/web-socket.ts";
import { turn } from "../slices.ts";
import type { Exchange } from "./exchange.ts";
import { CONTENT_TYPES } from "./negotiate.ts";

/** A reader that leaves more than this unread is cut off; it will list and watch again. */
const MOST_UNREAD_BYTES = 16 * 1024 * 1024;

export interface WatchOutput {
  /** Each event is a message of its own. */
  readonly oneByOne: boolean;
  /** The head, or the handshake; before it nothing is written. */
  open(): void;
  write(line: Buffer): void;
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
    open() {
      response.writeHead(200, {
        "content-type": CONTENT_TYPES.json,
        "cache-control": "no-cache, private",
        ...exchange.warningHeader(),
      });
      response.flushHeaders();
    },
    write(line) {
      response.write(line);
      if (response.writableLength > MOST_UNREAD_BYTES) response.destroy();
    },
    drained: () => (response.writableNeedDrain ? drainedOrClosed(response) : turn()),
    end: () => void response.end(),
    isClosed: () => response.destroyed,
    onceClosed: (then) => void response.once("close", then),
  };
}

/**
 * Text messages of a WebSocket that is still to be accepted. The first subprotocol that the client offers is agreed to,
 * whatever it is: it says nothing about the messages. What the client sends is ignored.
 */
export function socketOutput(request: IncomingMessage, socket: Duplex, head: Buffer): WatchOutput {
  let webSocket: WebSocket | undefined;
  return {
    oneByOne: true,
    open() {
      acceptWebSocket(request, socket, head, offeredWebSocket(request.headers)[0] ?? "", (accepted) => {
        webSocket = accepted;
        // A message that is malformed or too large ends the connection, which is all that there is to do about it.
        accepted.on("error", () => accepted.terminate());
      });
    },
    write(line) {
      webSocket?.send(line, { binary: false });
      if ((webSocket?.bufferedAmount ?? 0) > MOST_UNREAD_BYTES) webSocket?.terminate();
    },
    drained: () => (socket.writableNeedDrain ? drainedOrClosed(socket) : turn()),
    end: () => webSocket?.close(1000),
    isClosed: () => socket.destroyed,
    onceClosed: (then) => void socket.once("close", then),
  };
}
