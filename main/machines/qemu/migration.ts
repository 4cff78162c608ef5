/** Frozen states: writing a stopped machine's state to a file, and reading one into a machine that waits for it. */
import { setTimeout as sleep } from "node:timers/promises";
import { MachineError } from "../failure.ts";
import { shellQuoted } from "./arguments.ts";
import type { Qmp } from "./qmp.ts";

interface MigrateInfo {
  status?: "none" | "setup" | "active" | "completed" | "failed" | "cancelled" | string;
  "error-desc"?: string;
}

const POLL_MILLIS = 15;
/** Bytes per second; the guest does not run meanwhile, so there is nothing to spare the disk for. */
const BANDWIDTH = 8 * 1024 ** 3;

/** Memory that is shared with a file is left out (the file has it) when `ignoreShared`. */
export async function saveState(
  qmp: Qmp,
  file: string,
  options: { ignoreShared: boolean; deadlineMillis: number },
): Promise<void> {
  await qmp.execute("stop");
  await prepare(qmp, options.ignoreShared);
  await qmp.execute("migrate", { uri: `exec:cat > ${shellQuoted(file)}` });
  await untilCompleted(qmp, "saving the machine's state", options.deadlineMillis);
}

/** The machine waits with `-incoming defer`; afterwards it is paused, as it was saved. */
export async function loadState(
  qmp: Qmp,
  file: string,
  options: { ignoreShared: boolean; deadlineMillis: number },
): Promise<void> {
  await prepare(qmp, options.ignoreShared);
  await qmp.execute("migrate-incoming", { uri: `exec:cat ${shellQuoted(file)}` });
  await untilCompleted(qmp, "loading the machine's state", options.deadlineMillis);
}

/** Waits for the end, good or bad, of whatever save goes on. */
export async function untilNoMigration(qmp: Qmp, deadlineMillis: number): Promise<void> {
  const until = Date.now() + deadlineMillis;
  for (;;) {
    const { status = "none" } = await qmp.execute<MigrateInfo>("query-migrate");
    if (["none", "completed", "failed", "cancelled"].includes(status)) return;
    if (Date.now() > until) throw new Error(`a save does not end (${status})`);
    await sleep(POLL_MILLIS);
  }
}

async function prepare(qmp: Qmp, ignoreShared: boolean): Promise<void> {
  await qmp.execute("migrate-set-parameters", { "max-bandwidth": BANDWIDTH });
  await qmp.execute("migrate-set-capabilities", {
    capabilities: [{ capability: "x-ignore-shared", state: ignoreShared }],
  });
}

async function untilCompleted(qmp: Qmp, what: string, deadlineMillis: number): Promise<void> {
  const until = Date.now() + deadlineMillis;
  for (;;) {
    const info = await qmp.execute<MigrateInfo>("query-migrate");
    if (info.status === "completed") return;
    if (info.status === "failed" || info.status === "cancelled" || Date.now() > until) {
      const why = info["error-desc"] ?? (info.status === "active" ? "it takes too long" : (info.status ?? "unknown"));
      throw new MachineError({
        code: "MACHINE_FAILED",
        message: `${what} failed: ${why}`,
        advice: "The machine is started from its disk instead where that is possible.",
      });
    }
    await sleep(POLL_MILLIS);
  }
}
