/**
 * Terminals: a shell in a container (through the API server), on a node (through its agent) or on this computer; and
 * commands on a node that have none. Output is an iteration that the reader paces: while it lags, the source is paused.
 */
import { randomUUID } from "node:crypto";
import { homedir } from "node:os";
import { StringDecoder } from "node:string_decoder";
import { WebSocket } from "ws";
import type { Cluster } from "../clusters/cluster.ts";
import { fail } from "../clusters/failure.ts";
import { kubeletTLS } from "../clusters/kubelet-api.ts";
import { Channel, STDIN_END, SUBPROTOCOLS, exitOf, resizeMessage, stdinMessage } from "./channel.ts";
import { Output } from "./terminal-output.ts";
import type { Sink, TerminalEvent } from "./terminal-output.ts";

export type TerminalTarget =
  | { kind: "container"; namespace: string; pod: string; container: string; command: string[] }
  | { kind: "node"; node: string; command?: string[] | undefined; terminal: boolean }
  | { kind: "host" };

interface Size {
  columns: number;
  rows: number;
}

/** What a terminal is connected to. `pause` and `resume` hold its output back. */
interface Source {
  /** Resolves when there is room for more. */
  write(data: Buffer): Promise<void>;
  /** The end of its input, where that is not a terminal's. */
  end(): void;
  resize(size: Size): void;
  pause(): void;
  resume(): void;
  close(): void;
}

const OPEN_MILLIS = 20_000;

export class Terminals {
  private readonly open = new Map<string, Source>();

  /** Ending the iteration, or the signal, closes the terminal. */
  async *run(
    cluster: Cluster,
    target: TerminalTarget,
    size: Size,
    signal?: AbortSignal,
  ): AsyncGenerator<TerminalEvent, void, void> {
    const output = new Output();
    const source = await connect(cluster, target, size, output);
    output.source = source;
    const terminal = randomUUID();
    this.open.set(terminal, source);
    // An iteration that waits for output cannot be ended from outside otherwise.
    const onAbort = (): void => output.exit(1, "closed");
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted) onAbort();
    try {
      yield { type: "opened", terminal };
      yield* output.read();
    } finally {
      signal?.removeEventListener("abort", onAbort);
      this.open.delete(terminal);
      source.close();
    }
  }

  write(terminal: string, data: Buffer): Promise<void> {
    return this.named(terminal).write(data);
  }

  end(terminal: string): void {
    this.named(terminal).end();
  }

  resize(terminal: string, size: Size): void {
    this.named(terminal).resize(size);
  }

  /** Closing one that has ended already is no failure. */
  close(terminal: string): void {
    this.open.get(terminal)?.close();
  }

  closeAll(): void {
    for (const source of this.open.values()) source.close();
  }

  private named(terminal: string): Source {
    const source = this.open.get(terminal);
    if (!source) throw fail("OPERATION_UNKNOWN", "that terminal has ended");
    return source;
  }
}

function connect(cluster: Cluster, target: TerminalTarget, size: Size, sink: Sink): Promise<Source> {
  switch (target.kind) {
    case "container":
      return execSource(cluster, target, size, sink);
    case "node":
      return nodeSource(cluster, target, size, sink);
    case "host":
      return hostSource(cluster, size, sink);
  }
}

function execSource(
  cluster: Cluster,
  target: Extract<TerminalTarget, { kind: "container" }>,
  size: Size,
  sink: Sink,
): Promise<Source> {
  const { credentials } = cluster.running();
  const query = new URLSearchParams({ container: target.container, stdin: "true", stdout: "true", tty: "true" });
  for (const word of target.command) query.append("command", word);
  const path = `/api/v1/namespaces/${encodeURIComponent(target.namespace)}/pods/${encodeURIComponent(target.pod)}/exec?${query}`;
  const url = new URL(path, credentials.server.replace(/^http/, "ws"));
  const { ca, cert, key } = credentials;
  return channelSource(new WebSocket(url, SUBPROTOCOLS, { ca, cert, key, handshakeTimeout: OPEN_MILLIS }), size, sink);
}

function nodeSource(
  cluster: Cluster,
  { node, command = [], terminal }: Extract<TerminalTarget, { kind: "node" }>,
  size: Size,
  sink: Sink,
): Promise<Source> {
  const kubelet = cluster.kubelet(cluster.node(node));
  const query = new URLSearchParams({ cols: `${size.columns}`, rows: `${size.rows}`, tty: `${terminal}` });
  for (const word of command) query.append("command", word);
  const options = {
    ...kubeletTLS(kubelet),
    handshakeTimeout: OPEN_MILLIS,
    headers: { host: `${kubelet.address}:10250` },
  };
  const socket = new WebSocket(`wss://127.0.0.1:${kubelet.hostPort}/drydock/shell?${query}`, SUBPROTOCOLS, options);
  return channelSource(socket, size, sink, terminal);
}

function channelSource(socket: WebSocket, size: Size, sink: Sink, terminal = true): Promise<Source> {
  const decoders = { [Channel.stdout]: new StringDecoder("utf8"), [Channel.stderr]: new StringDecoder("utf8") };
  socket.binaryType = "nodebuffer";
  socket.on("message", (message: Buffer) => {
    const channel = message[0];
    const rest = message.subarray(1);
    if (channel === Channel.stdout || channel === Channel.stderr) {
      if (terminal) sink.data(decoders[channel].write(rest));
      else sink.output(channel === Channel.stdout ? "stdout" : "stderr", rest);
    } else if (channel === Channel.error) {
      const { code, message: text } = exitOf(rest.toString("utf8"));
      sink.exit(code, text);
    }
  });
  return new Promise((resolve, reject) => {
    let opened = false;
    socket.once("open", () => {
      opened = true;
      if (terminal) socket.send(resizeMessage(size.columns, size.rows));
      resolve({
        // One that has ended takes nothing more, and its reader has been told.
        write: (data) => new Promise((taken) => socket.send(stdinMessage(data), () => taken())),
        end: () => socket.send(STDIN_END, () => undefined),
        resize: ({ columns, rows }) => socket.send(resizeMessage(columns, rows)),
        pause: () => socket.pause(),
        resume: () => socket.resume(),
        close: () => socket.close(),
      });
    });
    socket.once("unexpected-response", (_request, response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
      response.once("end", () =>
        reject(fail("API_REFUSED", exitOf(body).message ?? `refused with status ${response.statusCode}`)),
      );
      socket.terminate();
    });
    socket.once("error", (error) => {
      if (opened) sink.exit(1, error.message);
      else reject(fail("KUBELET_UNREACHABLE", `the terminal could not be opened: ${error.message}`, { cause: error }));
    });
    // The last word is the error channel's; a connection that ends without one was lost.
    socket.once("close", () => sink.exit(1, "the connection was lost"));
  });
}

async function hostSource(cluster: Cluster, size: Size, sink: Sink): Promise<Source> {
  const { spawn } = await import("node-pty");
  const shell = process.env["SHELL"] ?? "/bin/sh";
  const pty = spawn(shell, [], {
    name: "xterm-256color",
    cols: size.columns,
    rows: size.rows,
    cwd: homedir(),
    env: { ...process.env, KUBECONFIG: cluster.kubeconfig, TERM: "xterm-256color" },
  });
  pty.onData((data) => sink.data(data));
  let ended = false;
  pty.onExit(({ exitCode }) => {
    ended = true;
    sink.exit(exitCode);
  });
  return {
    write: (data) => {
      pty.write(data);
      return Promise.resolve();
    },
    end: () => pty.write("\u0004"),
    resize: ({ columns, rows }) => {
      if (!ended) pty.resize(columns, rows);
    },
    pause: () => pty.pause(),
    resume: () => pty.resume(),
    close: () => {
      if (!ended) pty.kill();
    },
  };
}
