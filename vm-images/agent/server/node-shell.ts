/**
 * A login shell or a command on the node itself. With a terminal: `script` makes it; its size is set from outside, by the
 * name that the shell leaves in a file when it begins. Without one: a command with plain pipes.
 */
import { spawn } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { constants } from "node:os";
import { runCommand, sleep } from "../command.ts";
import type { ExecStreams } from "../runtime/runtime.ts";
import { quote } from "../shell.ts";

const FOLDER = "/run/drydock";
/** How long the shell may take to say which terminal it has. */
const TERMINAL_TRIES = 50;
const ENVIRONMENT = {
  HOME: "/root",
  USER: "root",
  SHELL: "/bin/bash",
  LANG: "C.UTF-8",
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
};

/** On a terminal; `command` in place of a login shell. */
export function openNodeShell(size: { columns: number; rows: number }, command: string[] = []): ExecStreams {
  const file = `${FOLDER}/shell-${randomBytes(6).toString("hex")}`;
  const words = command.length > 0 ? command : ["/bin/bash", "-l"];
  const begin = `tty >${file}; stty rows ${size.rows} cols ${size.columns}; exec ${words.map(quote).join(" ")}`;
  const child = spawn("script", ["-qefc", begin, "/dev/null"], {
    cwd: "/root",
    stdio: ["pipe", "pipe", "pipe"],
    env: { TERM: "xterm-256color", ...ENVIRONMENT },
  });
  // A shell that has ended does not read any more; its exit code tells.
  child.stdin.on("error", () => undefined);
  const exitCode = new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      void rm(file, { force: true });
      resolve(code ?? (signal ? 137 : 0));
    });
  });
  // Whoever only reads the output need not look at the exit code.
  exitCode.catch(() => undefined);
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    exitCode,
    resize: async (columns, rows) => {
      const terminal = await terminalOf(file);
      if (terminal) await runCommand("stty", ["-F", terminal, "rows", String(rows), "cols", String(columns)]);
    },
    close: () => {
      // With its holder gone the terminal hangs up on everything that runs on it.
      child.kill("SIGKILL");
    },
  };
}

/**
 * Without a terminal. Exit codes as a shell has them: 127 where there is no such program, 126 where it cannot be run, 128 and
 * the signal's number where a signal ended it. Closing kills the command and what it has started in its process group.
 */
export function runOnNode(command: string[], folder = "/root"): ExecStreams {
  // Through a shell: it says of a program that is not there what people know.
  const child = spawn("/bin/sh", ["-c", 'exec "$@"', "sh", ...command], {
    cwd: folder,
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
    env: ENVIRONMENT,
  });
  child.stdin.on("error", () => undefined);
  let ended = false;
  const exitCode = new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", () => (ended = true));
    child.once("close", (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? "SIGKILL"]));
  });
  exitCode.catch(() => undefined);
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    exitCode,
    resize: () => Promise.resolve(),
    close: () => {
      try {
        if (!ended && child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      } catch {
        // It has ended by itself.
      }
    },
  };
}

async function terminalOf(file: string): Promise<string | undefined> {
  for (let attempt = 0; attempt < TERMINAL_TRIES; attempt++) {
    const name = (await readFile(file, "utf8").catch(() => "")).trim();
    if (name.startsWith("/dev/")) return name;
    await sleep(100);
  }
  return undefined;
}
