/**
 * exec and attach for clients that speak something else than the kubelet's WebSocket: SPDY/3.1, or channels of old. Each
 * is brought to the same few streams, and those are joined with the process.
 */
import type { IncomingMessage } from "node:http";
import type { Duplex, Readable, Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { Channels } from "./channels.ts";
import { departure, onDeparture } from "./departure.ts";
import { ERROR, RESIZE, STDERR, STDIN, STDOUT } from "./kubelet-process.ts";
import type { KubeletProcess } from "./kubelet-process.ts";
import type { ChannelProtocol } from "./protocols.ts";
import { SpdySession } from "./spdy/session.ts";
import type { SpdyStream } from "./spdy/session.ts";
import { acceptWebSocket } from "./web-socket.ts";

/** Which streams the client asked for in its query. */
export interface Wanted {
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  tty: boolean;
}

interface ClientStreams {
  stdin?: Readable | undefined;
  stdout?: Writable | undefined;
  stderr?: Writable | undefined;
  resize?: Readable | undefined;
  /** How it ended: the Status as JSON, before v4 the message alone. */
  tell(status: Buffer): void;
  close(): Promise<void> | void;
  gone: Promise<void>;
}

/** How long a client may take to open its streams, as at a kubelet. */
const STREAMS_MILLIS = 30_000;

export function isWanted(query: URLSearchParams, name: string): boolean {
  return ["true", "1", ""].includes(query.get(name) ?? "false");
}

/** Until the process has ended and the client has been told, or the client is gone. */
async function connect(client: ClientStreams, process: KubeletProcess): Promise<void> {
  const { stdin, stdout, stderr, resize } = client;
  let left = false;
  void client.gone.then(() => {
    left = true;
    process.close();
  });
  stdin?.on("error", () => undefined).pipe(process.stdin);
  resize?.on("error", () => undefined).on("data", (size: Buffer) => process.resize(size));
  const pump = async (from: Readable, to: Writable | undefined): Promise<void> => {
    if (!to) return void from.resume();
    from.pipe(to);
    // A client that is gone is noticed by `gone`.
    await finished(to, { readable: false }).catch(() => undefined);
  };
  await Promise.all([pump(process.stdout, stdout), pump(process.stderr, stderr)]);
  const status = await process.status;
  if (left) return;
  client.tell(status ?? Buffer.from(JSON.stringify(LOST)));
  await client.close();
}

const LOST = {
  metadata: {},
  status: "Failure",
  reason: "InternalError",
  message: "the connection to the kubelet was lost",
  code: 500,
};

/** Before v4 success is silence, and failure a sentence. */
function asMessage(status: Buffer): Buffer {
  const { status: outcome, message = "" } = JSON.parse(status.toString()) as { status?: string; message?: string };
  return Buffer.from(outcome === "Success" ? "" : message);
}

export function serveChannels(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  protocol: ChannelProtocol,
  wanted: Wanted,
  process: KubeletProcess,
): void {
  const said = request.headers["sec-websocket-protocol"] === undefined ? "" : protocol;
  onDeparture(departure(socket), () => process.close());
  acceptWebSocket(request, socket, head, said, (webSocket) => {
    const channels = new Channels(webSocket, protocol);
    const whole = protocol.startsWith("v4.") || protocol.startsWith("v5.");
    const gone = new Promise<void>((resolve) => webSocket.once("close", () => resolve()));
    // Tells the client that it is connected, as Kubernetes does.
    channels.send(wanted.stdout ? STDOUT : wanted.stderr ? STDERR : ERROR, Buffer.alloc(0));
    void connect(
      {
        stdin: wanted.stdin ? channels.input(STDIN) : undefined,
        stdout: wanted.stdout ? channels.output(STDOUT) : undefined,
        stderr: wanted.stderr && !wanted.tty ? channels.output(STDERR) : undefined,
        resize: wanted.tty ? channels.input(RESIZE) : undefined,
        tell: (status) => {
          const text = whole ? status : asMessage(status);
          if (text.length > 0) channels.send(ERROR, text);
        },
        close: () => webSocket.close(1000),
        gone,
      },
      process,
    );
  });
}

/** `protocol` is what was agreed on by X-Stream-Protocol-Version; the 101 has been sent. */
export function serveSpdyCommand(socket: Duplex, protocol: string, wanted: Wanted, process: KubeletProcess): void {
  const names = ["error", "stdin", "stdout", "stderr", "resize"].filter(
    (name) =>
      name === "error" ||
      (name === "resize"
        ? wanted.tty && /^v[34]\./.test(protocol)
        : name === "stderr"
          ? wanted.stderr && !wanted.tty
          : wanted[name as "stdin" | "stdout"]),
  );
  const streams = new Map<string, SpdyStream>();
  const session = new SpdySession(socket, (stream) => {
    const name = stream.headers["streamtype"] ?? "";
    if (!names.includes(name) || streams.has(name)) return void stream.destroy();
    streams.set(name, stream);
    if (name !== "stdin" && name !== "resize") stream.resume();
    if (streams.size === names.length) begin();
  });
  const timer = setTimeout(() => void session.close(), STREAMS_MILLIS);
  void session.closed.then(() => {
    clearTimeout(timer);
    process.close();
  });
  const begin = (): void => {
    clearTimeout(timer);
    const error = streams.get("error");
    void connect(
      {
        stdin: streams.get("stdin"),
        stdout: streams.get("stdout"),
        stderr: streams.get("stderr"),
        resize: streams.get("resize"),
        tell: (status) => {
          const text = protocol.startsWith("v4.") ? status : asMessage(status);
          if (text.length > 0) error?.write(text);
        },
        close: () => session.close(),
        gone: session.closed,
      },
      process,
    );
  };
}
