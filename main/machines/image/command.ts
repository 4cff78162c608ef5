/** Runs one program of the image's build: its output goes to the step's log, its failure becomes a MachineError. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Progress } from "../driver.ts";
import { MachineError } from "../failure.ts";

const KEPT = 30;

export interface BuildCommandOptions {
  progress: Progress;
  signal?: AbortSignal;
  deadlineMillis: number;
  advice: string;
}

export async function runBuildCommand(command: string, args: string[], options: BuildCommandOptions): Promise<void> {
  const line = [command, ...args.map((arg) => (/[\s$'"]/.test(arg) ? JSON.stringify(arg) : arg))].join(" ");
  options.progress.log(`$ ${line}`);
  const lastLines: string[] = [];
  // A group of its own: the package tools start many programs, and a cancelled build must leave none.
  const child = spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
    env: { ...process.env, LC_ALL: "C.UTF-8" },
  });
  const killGroup = (): void => {
    try {
      if (child.pid) process.kill(-child.pid, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
  };
  let reason = "";
  const timer = setTimeout(() => {
    reason = `no end within ${Math.round(options.deadlineMillis / 1000)} s`;
    killGroup();
  }, options.deadlineMillis);
  const cancel = (): void => {
    reason = "cancelled";
    killGroup();
  };
  if (options.signal?.aborted) cancel();
  options.signal?.addEventListener("abort", cancel, { once: true });
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (text) => {
      options.progress.log(text);
      lastLines.push(text);
      if (lastLines.length > KEPT) lastLines.shift();
    });
  }
  let code: number | null = null;
  try {
    [code] = (await once(child, "close")) as [number | null];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT")
      throw new MachineError(
        {
          code: "IMAGE_BUILD_FAILED",
          message: `${command} is not installed`,
          advice: "Install what builds the image: apt-get install mmdebstrap qemu-utils e2fsprogs",
        },
        error,
      );
    reason = error instanceof Error ? error.message : String(error);
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", cancel);
  }
  if (code === 0 && !reason) return;
  options.signal?.throwIfAborted();
  throw new MachineError({
    code: "IMAGE_BUILD_FAILED",
    message: `${command} failed: ${reason || `exit code ${code}`}`,
    command: line,
    lastLines,
    advice: options.advice,
  });
}
