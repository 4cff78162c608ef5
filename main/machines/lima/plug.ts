/** Starts the process that a machine's second NIC is plugged into (wire.ts), and asks whether it is there. */
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { rm } from "node:fs/promises";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { entry, nodeRuntime } from "../../host/paths.ts";
import { MachineError } from "../failure.ts";
import { lastLines } from "../process.ts";
import type { WirePaths } from "./wire.ts";

const START_MILLIS = 60_000;
const POLL_MILLIS = 50;
/** One for every node: it needs little, and shall take no more. */
const FLAGS = ["--max-old-space-size=64", "--max-semi-space-size=1"];

/** Starts the process; resolves when both sockets are there. It ends with the machine; what is returned ends it before. */
export async function startWire(paths: WirePaths, log: string, signal?: AbortSignal): Promise<() => void> {
  for (const file of [paths.nic, paths.network]) await rm(file, { force: true });
  const { command, environment } = nodeRuntime();
  const output = openSync(log, "w", 0o600);
  const child = spawn(command, [...FLAGS, entry("lima-wire"), paths.nic, paths.network], {
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
