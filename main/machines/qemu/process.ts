/** A QEMU process: started so that it outlives us or so that it does not, found again by its pid file, and its end. */
import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { processStartTime } from "../../host/process-start.ts";
import { MachineError } from "../failure.ts";
import { isAlive, readIfThere, untilGone } from "../process.ts";
import type { MachineProcess } from "../process.ts";
import { QEMU } from "./tools.ts";

export interface SpawnOptions {
  args: string[];
  /** Where its own messages go. */
  log: string;
  /** "outlives": its own session, for nodes. "dies": with us (where the system can do that), for helpers. */
  parent: "outlives" | "dies";
}

const SETPRIV = "/usr/bin/setpriv";

export async function spawnQemu({ args, log, parent }: SpawnOptions): Promise<MachineProcess> {
  const bound = parent === "dies" && existsSync(SETPRIV);
  const [command, all] = bound ? [SETPRIV, ["--pdeathsig", "KILL", QEMU, ...args]] : [QEMU, args];
  const output = openSync(log, "a", 0o600);
  const child = spawn(command, all, { detached: parent === "outlives", stdio: ["ignore", output, output] });
  closeSync(output);
  const { pid } = child;
  if (pid === undefined) {
    const error = await new Promise<NodeJS.ErrnoException>((resolve) => child.once("error", resolve));
    if (error.code === "ENOENT")
      throw new MachineError(
        {
          code: "QEMU_MISSING",
          message: `${command} is not installed`,
          advice: "Install it: apt-get install qemu-system-x86 qemu-utils",
        },
        error,
      );
    throw new MachineError(
      {
        code: "QEMU_FAILED",
        message: `${command} could not be started: ${error.message}`,
        advice: "Check the installation of QEMU.",
      },
      error,
    );
  }
  const running: MachineProcess = { pid, startTime: (await processStartTime(pid)) ?? "gone" };
  child.once("exit", (code) => (running.exitCode = code));
  // Its end is seen on its control socket; an error after the start has no other meaning.
  child.on("error", () => undefined);
  child.unref();
  return running;
}

/** The process that a pid file names, if it runs and is the machine of that name. */
export async function findQemu(pidFile: string, name: string): Promise<MachineProcess | undefined> {
  const content = await readIfThere(pidFile);
  const pid = Number(content?.trim());
  if (!Number.isInteger(pid) || pid <= 1) return undefined;
  const startTime = await processStartTime(pid);
  if (startTime === undefined || !(await commandLine(pid)).includes(name)) return undefined;
  return { pid, startTime };
}

/** Kills it and waits until it is gone. */
export async function killQemu(running: MachineProcess): Promise<void> {
  if (await isAlive(running)) {
    try {
      process.kill(running.pid, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
  await untilGone(running, 30_000);
}

/** Linux has it in /proc; elsewhere the pid file alone must do. */
async function commandLine(pid: number): Promise<string[]> {
  if (process.platform !== "linux") {
    const { execFile } = await import("node:child_process");
    const { promisify } = await import("node:util");
    const { stdout } = await promisify(execFile)("ps", ["-o", "args=", "-p", String(pid)], { timeout: 5000 });
    return stdout.split(/\s+/);
  }
  return (await readIfThere(`/proc/${pid}/cmdline`))?.split("\0") ?? [];
}
