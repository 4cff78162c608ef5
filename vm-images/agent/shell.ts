/**
 * One small shell that runs the node's programs for the agent. Starting a program from a process as large as the agent costs
 * a tenth of a second on an emulated machine; from a small one a fraction of that.
 */
import { spawn } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { randomBytes } from "node:crypto";
import { CommandError, runCommand } from "./command.ts";
import type { CommandOptions, RunCommand } from "./command.ts";

const DEADLINE = 30_000;

interface Task {
  line: string;
  script: string;
  deadline: number;
  resolve(stdout: string): void;
  reject(error: Error): void;
}

export class Shell {
  #child: ChildProcessWithoutNullStreams | undefined;
  #mark = "";
  #stdout = "";
  #stderr = "";
  #current: Task | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #queue: Task[] = [];

  /** Commands one after another, in the order asked for. One that may take long (`apart`) is started the ordinary way. */
  readonly run: RunCommand = (command, args, options: CommandOptions = {}) => {
    const { deadline = DEADLINE, input } = options;
    if (options.apart || deadline > DEADLINE) return runCommand(command, args, options);
    const line = [command, ...args].join(" ");
    const quoted = [command, ...args].map(quote).join(" ");
    const mark = this.#mark || (this.#mark = `drydock-${randomBytes(8).toString("hex")}`);
    const body =
      input === undefined || input === ""
        ? `${quoted} </dev/null`
        : `${quoted} <<'${mark}'\n${input.endsWith("\n") ? input : `${input}\n`}${mark}`;
    const script = `${body}\nprintf '\\n%s %d\\n' ${mark} $?; printf '\\n%s\\n' ${mark} >&2\n`;
    return new Promise((resolve, reject) => {
      this.#queue.push({ line, script, deadline, resolve, reject });
      this.#next();
    });
  };

  close(): void {
    this.#kill();
  }

  #kill(): void {
    const child = this.#child;
    this.#child = undefined;
    try {
      if (child?.pid) process.kill(-child.pid, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
  }

  #next(): void {
    const task = this.#current ? undefined : this.#queue.shift();
    if (!task) return;
    this.#current = task;
    this.#stdout = "";
    this.#stderr = "";
    this.#timer = setTimeout(() => {
      // First the shell, then the task: the next one must find a shell that lives.
      this.#kill();
      this.#finish(new CommandError(task.line, null, `no end within ${task.deadline} ms`));
    }, task.deadline);
    this.#open().stdin.write(task.script);
  }

  #open(): ChildProcessWithoutNullStreams {
    if (this.#child) return this.#child;
    // A group of its own: a program that hangs ends with the shell.
    const child = spawn("/bin/sh", [], { stdio: ["pipe", "pipe", "pipe"], detached: true });
    this.#child = child;
    child.stdin.on("error", () => undefined);
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      if (this.#child !== child) return;
      this.#stdout += text;
      this.#check();
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      if (this.#child !== child) return;
      this.#stderr += text;
      this.#check();
    });
    const gone = (why: string): void => {
      if (this.#child !== child) return;
      this.#child = undefined;
      if (this.#current) this.#finish(new CommandError(this.#current.line, null, why));
    };
    child.once("error", (error) => gone(error.message));
    child.once("close", () => gone("the shell ended"));
    return child;
  }

  /** Both streams must have come to the mark. */
  #check(): void {
    const task = this.#current;
    const end = this.#stdout.lastIndexOf(`\n${this.#mark} `);
    const errorEnd = this.#stderr.lastIndexOf(`\n${this.#mark}\n`);
    if (!task || end < 0 || errorEnd < 0 || !this.#stdout.endsWith("\n")) return;
    const code = Number(this.#stdout.slice(end + this.#mark.length + 2).trim());
    const stdout = this.#stdout.slice(0, end);
    if (code === 0) this.#finish(undefined, stdout);
    else this.#finish(new CommandError(task.line, code, this.#stderr.slice(0, errorEnd)));
  }

  #finish(error: Error | undefined, stdout = ""): void {
    const task = this.#current;
    clearTimeout(this.#timer);
    this.#current = undefined;
    if (error) task?.reject(error);
    else task?.resolve(stdout);
    this.#next();
  }
}

/** The word as a POSIX shell reads it back. */
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
