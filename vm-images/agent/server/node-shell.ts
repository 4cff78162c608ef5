/**
 * A login shell on the node itself, on a terminal of its own. `script` makes the terminal; its size is set from outside,
 * by the name that the shell leaves in a file when it begins.
 */
import { spawn } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { runCommand, sleep } from "../command.ts";
import type { ExecStreams } from "../runtime/runtime.ts";

const FOLDER = "/run/drydock";
/** How long the shell may take to say which terminal it has. */
const TERMINAL_TRIES = 50;

export function openNodeShell(size: { columns: number; rows: number }): ExecStreams {
  const file = `${FOLDER}/shell-${randomBytes(6).toString("hex")}`;
  const begin = `tty >${file}; stty rows ${size.rows} cols ${size.columns}; exec /bin/bash -l`;
  const child = spawn("script", ["-qefc", begin, "/dev/null"], {
    cwd: "/root",
    stdio: ["pipe", "pipe", "pipe"],
    env: {
      TERM: "xterm-256color",
      HOME: "/root",
      USER: "root",
      SHELL: "/bin/bash",
      LANG: "C.UTF-8",
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
    },
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

async function terminalOf(file: string): Promise<string | undefined> {
  for (let attempt = 0; attempt < TERMINAL_TRIES; attempt++) {
    const name = (await readFile(file, "utf8").catch(() => "")).trim();
    if (name.startsWith("/dev/")) return name;
    await sleep(100);
  }
  return undefined;
}
