/**
 * Reaching the engine: over its Unix socket, starting it first when nobody does yet. Used by the command
 * line and by the desktop's main process.
 */
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { createORPCClient } from "@orpc/client";
import { RPCLink } from "@orpc/client/websocket";
import type { ContractRouterClient } from "@orpc/contract";
import { WebSocket } from "ws";
import type { Contract } from "../../common/contract/index.ts";
import { fail } from "../clusters/failure.ts";
import { pause } from "../clusters/topic.ts";
import { entry, nodeRuntime, pathsOf, privateFolder } from "../host/paths.ts";
import type { Paths } from "../host/paths.ts";

export type EngineClient = ContractRouterClient<Contract>;

export interface EngineConnection {
  client: EngineClient;
  /** Resolves when the connection has ended, whoever ended it. */
  closed: Promise<void>;
  close(): void;
}

export interface ConnectOptions {
  home?: string;
  /** Start the engine when it does not run; without it, ENGINE_NOT_RUNNING is thrown. */
  start?: boolean;
}

const START_MILLIS = 30_000;
const OPEN_MILLIS = 10_000;

/** A client of the running engine. Throws ENGINE_NOT_RUNNING or ENGINE_START_FAILED. */
export async function connectEngine(options: ConnectOptions = {}): Promise<EngineConnection> {
  const socket = await openEngineSocket(options);
  const link = new RPCLink({ websocket: socket as unknown as globalThis.WebSocket });
  return {
    client: createORPCClient(link),
    closed: new Promise((resolve) => socket.once("close", () => resolve())),
    close: () => socket.close(),
  };
}

/**
 * Asks the engine to end, and resolves when it has let go of the connection. An engine with little to stop may be
 * gone before its answer was sent: that is an answer too.
 */
export async function stopEngine(connection: EngineConnection, stopClusters: boolean): Promise<void> {
  const { closed, client } = connection;
  let gone = false;
  void closed.then(() => (gone = true));
  try {
    await client.system.stopEngine({ stopClusters });
  } catch (error) {
    // The close is told of a moment after the calls that it ends.
    await Promise.race([closed, pause(100)]);
    if (!gone) throw error;
  }
  await closed;
}

/** The open WebSocket itself, for a relay. */
export async function openEngineSocket(options: ConnectOptions = {}): Promise<WebSocket> {
  const paths = pathsOf(options.home);
  if (!(await answers(paths.socket))) {
    if (!options.start) throw fail("ENGINE_NOT_RUNNING", `no engine serves ${paths.home}`);
    await startEngine(paths);
  }
  const socket = new WebSocket(`ws+unix:${paths.socket}:/rpc`, {
    perMessageDeflate: false,
    handshakeTimeout: OPEN_MILLIS,
  });
  socket.binaryType = "arraybuffer";
  await new Promise<void>((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("error", (error) =>
      reject(fail("ENGINE_NOT_RUNNING", `the engine does not answer: ${error.message}`, { cause: error })),
    );
  });
  socket.on("error", () => socket.terminate());
  return socket;
}

/** Starts it detached, in its own session, and waits until it serves. */
async function startEngine(paths: Paths): Promise<void> {
  await privateFolder(paths.home);
  const { command, environment } = nodeRuntime();
  const file = entry("engine");
  const output = openSync(paths.startLog, "w", 0o600);
  const child = spawn(command, [file], {
    detached: true,
    stdio: ["ignore", output, output],
    cwd: paths.home,
    env: { ...process.env, ...environment, DRYDOCK_HOME: paths.home },
  });
  closeSync(output);
  let ended: string | undefined;
  child.once("error", (error) => (ended = error.message));
  child.once("exit", (code, signal) => (ended = signal ? `ended by ${signal}` : `ended with code ${code}`));
  child.unref();
  const until = Date.now() + START_MILLIS;
  while (!(await answers(paths.socket))) {
    // Another engine may have won the race: then ours ends and the other one answers soon.
    if (ended !== undefined && Date.now() > until - START_MILLIS + 5000) break;
    if (Date.now() > until) {
      ended = `did not answer within ${START_MILLIS / 1000} s`;
      break;
    }
    if (ended !== undefined && !ended.includes("code 75")) break;
    await pause(50);
  }
  if (await answers(paths.socket)) return;
  const lastLines = (await readFile(paths.startLog, "utf8")).trimEnd().split("\n").slice(-10);
  throw fail("ENGINE_START_FAILED", `the engine ${ended ?? "did not start"}`, {
    command: `${command} ${file}`,
    lastLines,
    log: paths.log,
  });
}

/** Somebody listens on the socket. */
export function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
