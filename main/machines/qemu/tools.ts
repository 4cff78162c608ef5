/** The programs of QEMU: which there are, their version, and disks made by qemu-img. */
import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { noteUse } from "../image/uses.ts";
import { MachineError } from "../failure.ts";

const run = promisify(execFile);
const TOOL_MILLIS = 60_000;

export const QEMU = process.arch === "arm64" ? "qemu-system-aarch64" : "qemu-system-x86_64";

/** "QEMU emulator version 7.2.22 (…)"; throws QEMU_MISSING. */
export async function qemuVersion(): Promise<string> {
  const [first] = await Promise.all([tool(QEMU, ["--version"]), tool("qemu-img", ["--version"])]);
  return (first.split("\n")[0] ?? "").trim();
}

/** A disk that holds only what differs from its backing file; noted there, so that the backing file stays. */
export async function createOverlay(
  file: string,
  backing: { file: string; format: "raw" | "qcow2" },
  sizeGiB: number,
): Promise<void> {
  await noteUse(path.dirname(backing.file), file);
  await tool("qemu-img", [
    "create",
    "-q",
    "-f",
    "qcow2",
    "-b",
    backing.file,
    "-F",
    backing.format,
    file,
    `${sizeGiB}G`,
  ]);
}

/** Of a machine that does not run; a disk that is as large already stays as it is. */
export async function growDisk(file: string, sizeGiB: number): Promise<void> {
  const info = JSON.parse(await tool("qemu-img", ["info", "--output=json", file])) as { "virtual-size": number };
  if (info["virtual-size"] >= sizeGiB * 1024 ** 3) return;
  await tool("qemu-img", ["resize", "-q", file, `${sizeGiB}G`]);
}

async function tool(command: string, args: string[]): Promise<string> {
  try {
    const { stdout } = await run(command, args, { timeout: TOOL_MILLIS });
    return stdout;
  } catch (error) {
    const problem = error as NodeJS.ErrnoException & { stderr?: string };
    if (problem.code === "ENOENT") {
      throw new MachineError(
        {
          code: "QEMU_MISSING",
          message: `${command} is not installed`,
          advice: "Install it: apt-get install qemu-system-x86 qemu-utils",
        },
        error,
      );
    }
    const lastLines = (problem.stderr ?? problem.message).trimEnd().split("\n").slice(-10);
    throw new MachineError(
      {
        code: "QEMU_FAILED",
        message: `${command} failed`,
        command: [command, ...args].join(" "),
        lastLines,
        advice: "Read its last lines.",
      },
      error,
    );
  }
}
