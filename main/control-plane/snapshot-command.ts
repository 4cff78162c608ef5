/** `drydock control-plane snapshot save|restore|status`: copies of a control plane's store, in etcdctl's words. */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { FileError } from "./store/database.ts";
import { restoreSnapshot, saveSnapshot, snapshotStatus } from "./store/snapshot.ts";
import type { SnapshotStatus } from "./store/snapshot.ts";

export const SNAPSHOT_USAGE = `Usage: drydock control-plane snapshot save FILE --data DIR       copies the store, also while it is in use
       drydock control-plane snapshot restore FILE --data DIR    makes a store of a copy, where there is none
       drydock control-plane snapshot status FILE                says what is in a copy
`;

/** Answers with the exit code. */
export function runSnapshot(
  argv: readonly string[],
  write: (text: string) => void,
  complain: (text: string) => void,
): number {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      options: { data: { type: "string" }, help: { type: "boolean", short: "h" } },
      allowPositionals: true,
    });
    const [verb = "", file, ...more] = positionals;
    if (values.help) {
      write(SNAPSHOT_USAGE);
      return 0;
    }
    const act = verbs[verb];
    if (!act || file === undefined || more.length > 0) throw new Error("snapshot: save, restore or status, and a file");
    if (verb !== "status" && values.data === undefined)
      throw new Error("--data is missing: the control plane's folder");
    const { revision, totalKey, totalSize } = act(resolve(file), resolve(values.data ?? "."));
    write(`${JSON.stringify({ file: resolve(file), revision, totalKey, totalSize })}\n`);
    return 0;
  } catch (error) {
    const { message } = error as Error;
    complain(error instanceof FileError ? `${message}\n` : `${message}\n\n${SNAPSHOT_USAGE}`);
    return error instanceof FileError ? 1 : 2;
  }
}

const verbs: Record<string, (file: string, data: string) => SnapshotStatus> = {
  save: (file, data) => saveSnapshot(data, file),
  restore: (file, data) => restoreSnapshot(file, data),
  status: (file) => snapshotStatus(file),
};
