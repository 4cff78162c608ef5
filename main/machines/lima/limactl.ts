/**
 * Lima's command, as its documentation has it (https://lima-vm.io/docs/reference/): run with a LIMA_HOME of our own, so
 * that instances of the user's and ours never meet. Whatever it answers is checked before it is believed.
 */
import { execFile } from "node:child_process";
import * as z from "zod";
import { MachineError } from "../failure.ts";

/** `plain`, `create` and JSON lists as they are used here; tried with 1.2. */
export const OLDEST = "1.0.0";
const TOOL_MILLIS = 120_000;
const LAST_LINES = 10;

/** What of `limactl list --json` is of use here. */
const Instance = z.object({
  name: z.string(),
  /** "Running", "Stopped", or whatever else has become of it ("Broken"). */
  status: z.string(),
  dir: z.string(),
  /** The name of the machine in the file below. */
  hostname: z.string(),
  sshConfigFile: z.string(),
  cpus: z.number().optional(),
  /** Bytes. */
  memory: z.number().optional(),
  disk: z.number().optional(),
  /** Of the process that is the machine; absent or 0 while there is none. */
  driverPID: z.number().optional(),
  hostAgentPID: z.number().optional(),
});
export type Instance = z.infer<typeof Instance>;

export interface LimactlOptions {
  /** LIMA_HOME. */
  home: string;
  /** The program; default: limactl of the PATH. */
  command?: string;
}

export interface CallOptions {
  millis?: number;
  environment?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

export class Limactl {
  readonly home: string;
  private readonly command: string;

  constructor({ home, command = "limactl" }: LimactlOptions) {
    this.home = home;
    this.command = command;
  }

  /** e.g. "1.2.2". Throws LIMA_MISSING, LIMA_OLD, or LIMA_FAILED where it answers something else. */
  async version(): Promise<string> {
    const said = (await this.call(["--version"])).trim();
    const version = /version v?(\d+\.\d+\.\d+)/.exec(said)?.[1];
    if (version === undefined) throw failed([this.command, "--version"], "it does not tell its version", [said]);
    if (isOlder(version, OLDEST))
      throw new MachineError({
        code: "LIMA_OLD",
        message: `limactl is version ${version}; Drydock needs ${OLDEST} or later`,
        advice: "Install a newer Lima: https://lima-vm.io/docs/installation/",
      });
    return version;
  }

  /** One JSON object a line. Throws LIMA_FAILED when it is anything else. */
  async list(): Promise<Instance[]> {
    const args = ["list", "--json"];
    const lines = (await this.call(args)).split("\n").filter((line) => line.trim() !== "");
    return lines.map((line) => {
      let value: unknown;
      try {
        value = JSON.parse(line);
      } catch {
        throw failed([this.command, ...args], "it does not answer with JSON", [line.slice(0, 200)]);
      }
      const parsed = Instance.safeParse(value);
      if (parsed.success) return parsed.data;
      const [issue] = parsed.error.issues;
      const what = `${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`;
      throw failed([this.command, ...args], `it does not describe an instance (${what})`, [line.slice(0, 200)]);
    });
  }

  /** undefined: there is none of that name. */
  async find(name: string): Promise<Instance | undefined> {
    return (await this.list()).find((instance) => instance.name === name);
  }

  /** What it writes to its output. Throws LIMA_MISSING, LIMA_REFUSED, LIMA_FAILED, or the signal's reason. */
  call(args: string[], { millis = TOOL_MILLIS, environment = {}, signal }: CallOptions = {}): Promise<string> {
    const command = [this.command, ...args];
    return new Promise((resolve, reject) => {
      execFile(
        this.command,
        args,
        {
          env: { ...process.env, ...environment, LIMA_HOME: this.home },
          timeout: millis,
          killSignal: "SIGKILL",
          maxBuffer: 64 * 1024 * 1024,
          ...(signal ? { signal } : {}),
        },
        (error, stdout, stderr) => {
          if (!error) return resolve(stdout);
          if (signal?.aborted) return reject(signal.reason as Error);
          if (error.code === "ENOENT") return reject(missing(this.command, error));
          const lines = messages(stderr);
          if (lines.some((line) => line.includes("must not run as the root user"))) return reject(refused(error));
          const what = error.killed ? `no end within ${millis / 1000} s` : (lines.at(-1) ?? error.message);
          reject(failed(command, what, lines, error));
        },
      );
    });
  }
}

/** Lima does not run as root, and says so only once it is to do something. */
export function refused(cause?: unknown): MachineError {
  return new MachineError(
    {
      code: "LIMA_REFUSED",
      message: "Lima does not run as root",
      advice: "Start Drydock as another user, or choose the driver qemu.",
    },
    cause,
  );
}

/** What it logs: time="…" level=fatal msg="…". The text of it, where it is so. */
export function messages(stderr: string): string[] {
  const lines = stderr.trimEnd().split("\n").slice(-LAST_LINES);
  return lines.filter((line) => line !== "").map(messageOf);
}

function messageOf(line: string): string {
  const quoted = /\bmsg=("(?:[^"\\]|\\.)*")/.exec(line)?.[1];
  if (quoted === undefined) return line;
  try {
    return String(JSON.parse(quoted));
  } catch {
    // Quoted in Go's manner, which knows a little more than JSON.
    return quoted.slice(1, -1);
  }
}

function missing(command: string, cause: unknown): MachineError {
  return new MachineError(
    {
      code: "LIMA_MISSING",
      message: `${command} is not installed`,
      advice: "Install Lima (https://lima-vm.io/docs/installation/), or choose the driver qemu.",
    },
    cause,
  );
}

function failed(command: string[], what: string, lastLines: string[], cause?: unknown): MachineError {
  return new MachineError(
    {
      code: "LIMA_FAILED",
      message: `limactl ${command[1] ?? ""}: ${what}`,
      command: command.join(" "),
      lastLines,
      advice: "Read its last lines.",
    },
    cause,
  );
}

function isOlder(version: string, than: string): boolean {
  const [a, b] = [version, than].map((text) => text.split(".").map(Number)) as [number[], number[]];
  const at = a.findIndex((part, index) => part !== b[index]);
  return at >= 0 && (a[at] as number) < (b[at] as number);
}
