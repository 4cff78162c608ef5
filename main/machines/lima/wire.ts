/**
 * What a machine's second NIC is plugged into under Lima. Lima connects it once, when the machine starts, and never again;
 * the engine comes and goes. So a small process of its own holds the NIC's end as long as the machine lives, and the
 * cluster's switch connects to it as it does to QEMU (network/switch.ts): whole frames both ways.
 */
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { entry, nodeRuntime } from "../../host/paths.ts";
import { lastLines } from "../qemu/process.ts";
import { MachineError } from "../failure.ts";
import { FrameDecoder } from "../network/frames.ts";

export interface WirePaths {
  /** Where the machine's NIC connects. */
  nic: string;
  /** Where the switch connects. */
  network: string;
}

/** Who does not read loses frames, as on a wire. */
const QUEUE_BYTES = 8 * 1024 * 1024;
const START_MILLIS = 60_000;
const POLL_MILLIS = 50;

/** Starts the process; resolves when both sockets are there. It ends with the machine; what is returned ends it before. */
export async function startWire(paths: WirePaths, log: string, signal?: AbortSignal): Promise<() => void> {
  for (const file of [paths.nic, paths.network]) await rm(file, { force: true });
  const { command, environment } = nodeRuntime();
  const output = openSync(log, "w", 0o600);
  const child = spawn(command, [entry("lima-wire"), paths.nic, paths.network], {
    detached: true,
    stdio: ["ignore", output, output],
    env: { ...process.env, ...environment },
  });
  closeSync(output);
  let ended: string | undefined;
  child.once("error", (error) => (ended = error.message));
  child.once("exit", (code) => (ended ??= `it ended with code ${code}`));
  child.unref();
  const until = Date.now() + START_MILLIS;
  while (!(await answers(paths.network))) {
    if (ended !== undefined || signal?.aborted || Date.now() > until) {
      child.kill("SIGKILL");
      signal?.throwIfAborted();
      throw new MachineError({
        code: "MACHINE_FAILED",
        message: `the wire to the cluster's network did not start: ${ended ?? `nothing within ${START_MILLIS / 1000} s`}`,
        lastLines: await lastLines(log),
        log,
        advice: "Read its last lines.",
      });
    }
    await sleep(POLL_MILLIS);
  }
  return () => void child.kill("SIGKILL");
}

/** Whether somebody listens there. */
export function answers(file: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(file);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** Resolves when the machine's NIC has been unplugged, or nothing was plugged in for so long. */
export async function runWire(paths: WirePaths, patienceMillis: number): Promise<void> {
  const switches = new Set<Socket>();
  let nic: Socket | undefined;
  const unplugged = Promise.withResolvers<void>();
  const patience = setTimeout(unplugged.resolve, patienceMillis);
  const nicServer = createServer((socket) => {
    // One machine, one NIC.
    if (nic) return void socket.destroy();
    nic = socket;
    clearTimeout(patience);
    pass(socket, () => switches);
    socket.once("close", unplugged.resolve);
  });
  const networkServer = createServer((socket) => {
    switches.add(socket);
    pass(socket, () => (nic ? [nic] : []));
    socket.once("close", () => switches.delete(socket));
  });
  // The switch's end last: who finds it finds the other too.
  await listen(nicServer, paths.nic);
  await listen(networkServer, paths.network);
  await unplugged.promise;
  clearTimeout(patience);
  for (const socket of [nic, ...switches]) socket?.destroy();
  await Promise.all([nicServer, networkServer].map((server) => new Promise((resolve) => server.close(resolve))));
}

/** Only whole frames: who connects later must not begin in the middle of one. */
function pass(from: Socket, to: () => Iterable<Socket>): void {
  const decoder = new FrameDecoder();
  from.on("data", (bytes: Buffer) => {
    try {
      for (const frame of decoder.push(bytes)) {
        for (const socket of to()) if (socket.writableLength < QUEUE_BYTES) socket.write(frame);
      }
    } catch {
      // No frames: nothing that follows on this connection would be one.
      from.destroy();
    }
  });
  from.on("error", () => from.destroy());
}

function listen(server: Server, file: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(file, resolve);
  });
}
