/**
 * Runs a program of the node (ip, nft, mount …) with a deadline. Starting a process is the dearest thing an
 * emulated node does, so callers batch: one `ip -batch -` or `nft -f -` for many changes.
 */
import { spawn } from "node:child_process";

export class CommandError extends Error {
  readonly command: string;
  readonly exitCode: number | null;
  readonly stderr: string;

  constructor(command: string, exitCode: number | null, stderr: string) {
    super(
      `${command} failed${exitCode === null ? "" : ` with exit code ${exitCode}`}: ${stderr.trim() || "no output"}`,
    );
    this.name = "CommandError";
    this.command = command;
    this.exitCode = exitCode;
    this.stderr = stderr;
  }
}

export interface CommandOptions {
  /** Written to standard input, which is then closed. */
  input?: string;
  /** Milliseconds; the process is killed when they are over. Default 30 s. */
  deadline?: number;
  /** It may take long or hang (a server that is away, a large folder): nothing else must wait for it. */
  apart?: boolean;
}

export type RunCommand = (command: string, args: string[], options?: CommandOptions) => Promise<string>;

/** Standard output of a command that ended with 0; throws CommandError otherwise. */
export const runCommand: RunCommand = (command, args, options = {}) =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
    const line = [command, ...args].join(" ");
    let stdout = "";
    let stderr = "";
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, options.deadline ?? 30_000);
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.once("error", (error) => {
      clearTimeout(timer);
      reject(new CommandError(line, null, error.message));
    });
    child.once("close", (code) => {
      clearTimeout(timer);
      if (late) reject(new CommandError(line, null, `no end within ${options.deadline ?? 30_000} ms`));
      else if (code === 0) resolve(stdout);
      else reject(new CommandError(line, code, stderr));
    });
    // A program that ends without reading its input closes the pipe; its exit code tells the story.
    child.stdin.on("error", () => undefined);
    child.stdin.end(options.input ?? "");
  });

/** Resolves after `milliseconds`, or at once when `signal` aborts. */
export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal?.addEventListener("abort", done, { once: true });
  });
}
