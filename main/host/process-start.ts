/** When a process began, as text to compare: with the process id it names one process for ever. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

/** undefined when there is no such process (a zombie counts as none). Linux: proc(5), field 22 of stat. */
export async function processStartTime(pid: number): Promise<string | undefined> {
  if (process.platform === "linux") {
    try {
      const stat = await readFile(`/proc/${pid}/stat`, "utf8");
      // The command's name, in parentheses, may hold anything: the fields begin after its last ")".
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === "ENOENT" || code === "ESRCH") return undefined;
      throw error;
    }
  }
  try {
    const { stdout } = await promisify(execFile)("ps", ["-o", "lstart=", "-p", String(pid)], { timeout: 5000 });
    return stdout.trim() || undefined;
  } catch (error) {
    // ps answers 1 when the process is gone.
    if ((error as { code?: unknown }).code === 1) return undefined;
    throw error;
  }
}
