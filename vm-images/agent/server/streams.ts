/** Joins a process in a container with a client's WebSocket: exec, attach, and the node's own shell. */
import type { WebSocket } from "ws";
import { sleep } from "../command.ts";
import { describeError } from "../log.ts";
import type { Log } from "../log.ts";
import { ExecStartError } from "../runtime/runtime.ts";
import type { ExecStreams } from "../runtime/runtime.ts";
import { Channels, exitStatus, failureStatus, RESIZE, STDERR, STDIN, STDOUT } from "./channels.ts";

const RESIZE_TRIES = 30;
const RESIZE_PAUSE = 300;

export interface StreamOptions {
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  tty: boolean;
}

/** `begin` starts the process; what the client types meanwhile is kept for it. */
export async function serveProcess(
  socket: WebSocket,
  options: StreamOptions,
  begin: () => Promise<ExecStreams>,
  log: Log,
): Promise<void> {
  const channels = new Channels(socket);
  let process: ExecStreams | undefined;
  let closed = false;
  const early: Buffer[] = [];
  let size: { columns: number; rows: number } | undefined;
  let resizing = false;
  /** The newest size only; a process that has only just been asked for has no terminal yet, so this is tried for a while. */
  const resize = async (): Promise<void> => {
    if (resizing || !process) return;
    resizing = true;
    for (let attempt = 0; attempt < RESIZE_TRIES && size && !closed; attempt++) {
      const wanted = size;
      try {
        await process.resize(wanted.columns, wanted.rows);
        if (size === wanted) size = undefined;
      } catch {
        await sleep(RESIZE_PAUSE);
      }
    }
    resizing = false;
  };
  let inputEnded = false;
  /** What it left unread is dropped: a client that is held up would not hear how it ended. */
  let ended = false;
  const end = async (status: object): Promise<void> => {
    ended = true;
    socket.resume();
    await channels.end(status);
  };
  const write = (data: Buffer): void => {
    if (ended) return;
    if (!process) return void early.push(data);
    // A process that does not read its input holds the client up.
    if (!process.stdin.write(data)) {
      socket.pause();
      process.stdin.once("drain", () => socket.resume());
    }
  };
  channels.onMessage(
    (channel, data) => {
      if (channel === STDIN && options.stdin && data.length > 0) write(data);
      else if (channel === RESIZE) {
        const { Width, Height } = parseSize(data);
        if (Width > 0 && Height > 0) {
          size = { columns: Width, rows: Height };
          void resize();
        }
      }
    },
    (channel) => {
      if (channel !== STDIN) return;
      inputEnded = true;
      process?.stdin.end();
    },
  );
  socket.once("close", () => {
    closed = true;
    process?.close();
  });
  socket.on("error", (error) => log.error("stream", "websocket", error));

  try {
    process = await begin();
    if (closed) return process.close();
    for (const data of early) write(data);
    if (inputEnded) process.stdin.end();
    void resize();
    const { stdout, stderr, exitCode } = process;
    if (!options.stdout) stdout.resume();
    if (!options.stderr || options.tty) stderr.resume();
    await Promise.all([
      options.stdout ? channels.pump(STDOUT, stdout as AsyncIterable<Buffer>) : undefined,
      options.stderr && !options.tty ? channels.pump(STDERR, stderr as AsyncIterable<Buffer>) : undefined,
    ]);
    if (closed) return;
    await end(exitStatus(await exitCode));
  } catch (error) {
    process?.close();
    const words =
      error instanceof ExecStartError
        ? `Internal error occurred: error executing command in container: failed to exec in container: ${error.message}`
        : describeError(error);
    if (!closed) await end(failureStatus(words));
  }
}

function parseSize(data: Buffer): { Width: number; Height: number } {
  try {
    const { Width = 0, Height = 0 } = JSON.parse(data.toString("utf8")) as { Width?: number; Height?: number };
    return { Width, Height };
  } catch {
    return { Width: 0, Height: 0 };
  }
}
