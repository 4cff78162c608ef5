/**
 * cluster.json: what a cluster is, kept across engines. Versioned; written to a new file, synced, and
 * renamed over the old one, so that a power cut leaves either the old content or the new. A file that
 * is damaged or from a newer version is reported and left alone.
 */
import { randomBytes } from "node:crypto";
import { mkdir, open, readFile, rename, unlink } from "node:fs/promises";
import path from "node:path";
import * as z from "zod";
import { ClusterPlan, NodeShapeChange } from "../../common/contract/cluster.ts";
import { fail } from "./failure.ts";

export const FILE_VERSION = 1;

const NodeRecord = z.object({
  name: z.string(),
  role: z.enum(["master", "worker"]),
  /** On the cluster's own network. */
  address: z.string(),
  mac: z.string(),
  /** It has registered at least once. */
  joined: z.boolean(),
  /** The user stopped it by itself: `up` of the cluster starts it again, a restarted engine does not. */
  stopped: z.boolean().default(false),
  /** Where it is to differ from the plan, from its next start on. */
  wanted: NodeShapeChange.default({}),
  /** With what its machine was started last: what a running or suspended one has. */
  runs: z.object({ cpus: z.int(), memoryMiB: z.int(), diskGiB: z.int() }).optional(),
});

export const ClusterRecord = z.object({
  version: z.literal(FILE_VERSION),
  name: z.string(),
  plan: ClusterPlan,
  createdAt: z.string(),
  accelerator: z.enum(["kvm", "hvf", "tcg", "none"]),
  apiServerPort: z.int(),
  /** Half-made, wanted, unwanted, or on its way out: what a restarted engine must do with it. */
  phase: z.enum(["creating", "running", "stopped", "deleting"]),
  nodes: z.array(NodeRecord),
  /** The user's kubeconfigs that its context was put into. */
  mergedInto: z.array(z.string()).default([]),
  /** Its authority is in stores of this computer, to be taken out with the cluster. */
  trusted: z.boolean().default(false),
});
export type ClusterRecord = z.infer<typeof ClusterRecord>;
export type NodeRecord = ClusterRecord["nodes"][number];

const FILE = "cluster.json";

/** Throws CLUSTER_FILE_DAMAGED or CLUSTER_FILE_NEWER. */
export async function readClusterFile(folder: string): Promise<ClusterRecord> {
  const file = path.join(folder, FILE);
  let content: unknown;
  try {
    content = JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    const problem = (error as NodeJS.ErrnoException).code === "ENOENT" ? "is missing" : "is not readable JSON";
    throw fail("CLUSTER_FILE_DAMAGED", `${file} ${problem}`, {
      cause: error,
      lastLines: [String((error as Error).message)],
    });
  }
  const version = z.object({ version: z.int() }).safeParse(content);
  if (version.success && version.data.version > FILE_VERSION) {
    throw fail("CLUSTER_FILE_NEWER", `${file} has version ${version.data.version}; this Drydock knows ${FILE_VERSION}`);
  }
  const parsed = ClusterRecord.safeParse(content);
  if (!parsed.success) {
    const lastLines = parsed.error.issues.slice(0, 5).map((issue) => `${issue.path.join(".")}: ${issue.message}`);
    throw fail("CLUSTER_FILE_DAMAGED", `${file} does not describe a cluster`, { lastLines });
  }
  return parsed.data;
}

export async function writeClusterFile(folder: string, record: ClusterRecord): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFileAtomically(
    path.join(folder, FILE),
    `${JSON.stringify(ClusterRecord.parse(record), null, 2)}\n`,
    0o600,
  );
}

/** Old content or new, never half; on the disk when this resolves. */
export async function writeFileAtomically(file: string, content: string, mode: number): Promise<void> {
  const temporary = `${file}.${process.pid}.${randomBytes(4).toString("hex")}.tmp`;
  const handle = await open(temporary, "wx", mode);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } catch (error) {
    await handle.close();
    await unlink(temporary);
    throw error;
  }
  await handle.close();
  await rename(temporary, file);
  const folder = await open(path.dirname(file), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
