/**
 * Every failure Drydock can report, as data: its code, what to do about it, and the action that does
 * it. Whoever fails throws `fail(code, message, …)`; whatever else is thrown becomes INTERNAL.
 * docs/failures.md is written from this table (`node main/clusters/failure-docs.ts`).
 */
import type { Failure } from "../../common/contract/failure.ts";

interface Entry {
  /** What it means, for the page of failures. */
  meaning: string;
  advice: string;
  action?: Failure["action"];
}

const retry = { label: "Try again", kind: "retry" } as const;
const change = { label: "Change the settings", kind: "change-settings" } as const;
const rebuild = { label: "Rebuild the image", kind: "rebuild-image" } as const;
const openLog = { label: "Open the log", kind: "open-log" } as const;

export const CATALOGUE = {
  // What the user asked for.
  PLAN_INVALID: {
    meaning: "A cluster's settings are outside what is allowed.",
    advice: "Correct the named setting and try again.",
    action: change,
  },
  CLUSTER_EXISTS: {
    meaning: "A cluster of that name exists already.",
    advice: "Choose another name, or delete the old cluster first.",
    action: change,
  },
  CLUSTER_UNKNOWN: {
    meaning: "There is no cluster of that name.",
    advice: "`drydock list` shows the clusters there are.",
  },
  NODE_UNKNOWN: {
    meaning: "The cluster has no node of that name.",
    advice: "`drydock status` shows the cluster's nodes.",
  },
  NODE_REFUSED: {
    meaning: "A node cannot be added, removed or changed like that.",
    advice: "Read what stands against it.",
  },
  NODE_DRAIN_BLOCKED: {
    meaning: "Pods of a node could not be moved elsewhere in time, so the node was not removed.",
    advice:
      "Look at what holds them (a PodDisruptionBudget, a Pod without a controller), or remove the node with --force.",
  },
  NODE_HAS_DATA: {
    meaning: "Volumes on the node's own disk would be lost with it.",
    advice: "Delete the claims that are not needed any more, or remove the node with --force and lose their data.",
  },
  SERVICE_UNKNOWN: {
    meaning: "There is no such Service, or it has no such port.",
    advice: "`kubectl get services -A` shows the Services and their ports.",
  },
  OPERATION_UNKNOWN: {
    meaning: "There is no operation, terminal or tunnel with that id (it may have ended long ago).",
    advice: "Look at the list again.",
  },
  CLUSTER_BUSY: {
    meaning: "Something else is being done with the cluster.",
    advice: "Wait until it has ended, or cancel it, and try again.",
  },
  CLUSTER_STOPPED: {
    meaning: "The cluster is not running.",
    advice: "Start it with `drydock up`.",
    action: { label: "Start", kind: "start" },
  },
  CANCELLED: { meaning: "The user cancelled it.", advice: "Nothing half-made was left; start it again when you like." },
  // This computer.
  MEMORY_SHORT: {
    meaning: "The nodes need more memory than is free.",
    advice: "Choose fewer nodes or less memory for each, or close other programs.",
    action: change,
  },
  DISK_SHORT: {
    meaning: "There is too little free disk space in the data folder.",
    advice: "Free some space, or set DRYDOCK_HOME to a folder on a larger disk.",
  },
  PORT_TAKEN: {
    meaning: "Another program listens on the port that belongs to the cluster's API server.",
    advice: "Stop the other program (`ss -ltnp` shows it) and start the cluster again.",
    action: retry,
  },
  FOLDER_UNSAFE: {
    meaning: "A folder Drydock needs belongs to somebody else or cannot be written.",
    advice: "Check its owner and rights, or set DRYDOCK_HOME to another folder.",
  },
  // Virtual machines. The machine drivers report these.
  QEMU_MISSING: {
    meaning: "QEMU is not installed.",
    advice: "Install it: apt-get install qemu-system-x86 qemu-utils",
    action: retry,
  },
  QEMU_FAILED: {
    meaning: "QEMU ended with an error.",
    advice: "Read its last lines; the step's log has the whole command.",
    action: retry,
  },
  LIMA_MISSING: {
    meaning: "Lima is not installed.",
    advice: "Install Lima (https://lima-vm.io/docs/installation/), or choose the driver qemu.",
    action: retry,
  },
  LIMA_OLD: {
    meaning: "Lima is too old.",
    advice: "Install a newer Lima: https://lima-vm.io/docs/installation/",
    action: retry,
  },
  LIMA_REFUSED: {
    meaning: "Lima does not run as root.",
    advice: "Start Drydock as another user, or choose the driver qemu.",
  },
  LIMA_FAILED: {
    meaning: "Lima (limactl) ended with an error, or said what is not understood.",
    advice: "Read its last lines; the step's log has the command.",
    action: retry,
  },
  ACCELERATOR_UNUSABLE: {
    meaning: "The chosen accelerator does not run a guest here.",
    advice: "Choose `auto`: Drydock then takes the fastest one that works.",
    action: change,
  },
  IMAGE_MISSING: {
    meaning: "The node image has not been built.",
    advice: "Build it with `drydock image build`.",
    action: rebuild,
  },
  IMAGE_BROKEN: {
    meaning: "The node image is damaged or of another version.",
    advice: "Build it again with `drydock image build --rebuild`.",
    action: rebuild,
  },
  IMAGE_VERSION: {
    meaning: "The node image is of another version than this Drydock.",
    advice: "Build it again with `drydock image build --rebuild`.",
    action: rebuild,
  },
  IMAGE_BUILD_FAILED: {
    meaning: "Building the node image failed.",
    advice: "Read the last lines; a Debian mirror must be reachable.",
    action: retry,
  },
  MACHINE_FAILED: {
    meaning: "A virtual machine could not be made or started.",
    advice: "Read the last lines and try again.",
    action: retry,
  },
  MACHINE_GONE: {
    meaning: "A node's virtual machine has died.",
    advice: "Start the node again; its disk is intact.",
    action: { label: "Start", kind: "start" },
  },
  MACHINE_HELD: {
    meaning: "A node's virtual machine stands still because its disk could not be written on this computer.",
    advice: "Free some space on the disk; it then goes on by itself within seconds, and has lost nothing.",
  },
  AGENT_SILENT: {
    meaning: "A node's machine runs, but the agent inside does not answer.",
    advice: "Look at the machine's console; try again with more memory or another accelerator.",
    action: openLog,
  },
  // Joining and running.
  NODE_JOIN_FAILED: {
    meaning: "The agent in a node reported that it cannot join.",
    advice: "Read what it says; the node's log has more.",
    action: openLog,
  },
  NODE_NOT_READY: {
    meaning: "A node registered but did not become Ready in time.",
    advice: "Look at the node's conditions and its log.",
    action: openLog,
  },
  CONTROL_PLANE_FAILED: {
    meaning: "The cluster's control plane did not start, or keeps ending.",
    advice: "Read its last lines; its log has more.",
    action: openLog,
  },
  API_UNREACHABLE: {
    meaning: "The cluster's API server does not answer.",
    advice: "Look at the cluster's state; it is started again by itself when it dies.",
    action: retry,
  },
  API_REFUSED: { meaning: "The cluster's API server refused a request.", advice: "Read its answer.", action: retry },
  KUBELET_UNREACHABLE: {
    meaning: "The agent of a node does not answer the host.",
    advice: "Look whether the node runs; start it if it does not.",
    action: { label: "Start", kind: "start" },
  },
  STEP_DEADLINE: {
    meaning: "A step took longer than it may.",
    advice: "Look at its log. A slow machine may need a second try: images and templates are kept.",
    action: retry,
  },
  // Files.
  CLUSTER_FILE_DAMAGED: {
    meaning: "A cluster's file cannot be read. It was left as it is.",
    advice: "Restore cluster.json from a backup, or delete the cluster.",
  },
  CLUSTER_FILE_NEWER: {
    meaning: "A cluster was made by a newer version of Drydock. It was left as it is.",
    advice: "Use that version of Drydock.",
  },
  KUBECONFIG_MALFORMED: {
    meaning: "The kubeconfig to merge into is not valid. It was left as it is.",
    advice: "Correct the file, or set KUBECONFIG to the cluster's own file.",
  },
  FILE_UNREADABLE: { meaning: "A file that was named cannot be read.", advice: "Check its name and rights." },
  DOCKER_REFUSED: {
    meaning: "The Docker of a node refused something, or could not do it (a pull, a build).",
    advice: "Read what it says; the step's log has the whole story.",
  },
  CONTAINER_IMAGE_MISSING: {
    meaning: "No node has the image that is to be pushed.",
    advice: "`drydock image list` shows what there is; build or pull it first, or name the node that has it.",
  },
  IMAGE_LOAD_FAILED: {
    meaning: "A node could not load the image archive.",
    advice: "The file must be an archive made by `docker save`.",
  },
  // The engine itself.
  ENGINE_NOT_RUNNING: {
    meaning: "The engine does not run, or does not answer.",
    advice: "Start it with any other `drydock` command, e.g. `drydock list`.",
  },
  ENGINE_START_FAILED: { meaning: "The engine could not be started.", advice: "Read its last lines.", action: openLog },
  UI_NOT_BUILT: { meaning: "The windows have not been built.", advice: "Build them: npm run build" },
  UNSUPPORTED: {
    meaning: "This kind of cluster cannot do that.",
    advice: "Use a cluster of virtual machines (--driver qemu).",
  },
  INTERNAL: {
    meaning: "Something failed that Drydock did not expect.",
    advice: "Please report it with the engine's log (`drydock logs engine`).",
    action: openLog,
  },
} as const satisfies Record<string, Entry>;

export type FailureCode = keyof typeof CATALOGUE;

export interface FailureFacts {
  command?: string;
  lastLines?: string[];
  log?: string;
  /** In place of the catalogue's, where more is known. */
  advice?: string;
  cause?: unknown;
}

/** A failure on its way up to whoever asked. */
export class DrydockError extends Error {
  readonly failure: Failure;

  constructor(failure: Failure, cause?: unknown) {
    super(failure.message, cause === undefined ? undefined : { cause });
    this.name = "DrydockError";
    this.failure = failure;
  }
}

/** The error to throw for a failure of the catalogue. */
export function fail(code: FailureCode, message: string, facts: FailureFacts = {}): DrydockError {
  const entry: Entry = CATALOGUE[code];
  const { cause, ...rest } = facts;
  return new DrydockError(
    { code, message, advice: entry.advice, ...(entry.action ? { action: entry.action } : {}), ...rest },
    cause,
  );
}

/** Any thrown thing as a failure: ours as it is, a driver's by its code, an abort as CANCELLED, the rest as INTERNAL. */
export function toFailure(error: unknown): Failure {
  if (error instanceof DrydockError) return error.failure;
  if (isCoded(error)) {
    const entry: Entry | undefined = CATALOGUE[error.code as FailureCode];
    return {
      code: error.code,
      message: error.message,
      advice: error.advice ?? entry?.advice ?? CATALOGUE.MACHINE_FAILED.advice,
      ...(entry?.action ? { action: entry.action } : {}),
      ...(error.command ? { command: error.command } : {}),
      ...(error.lastLines ? { lastLines: error.lastLines } : {}),
      ...(error.log ? { log: error.log } : {}),
    };
  }
  if (isAbort(error)) return fail("CANCELLED", "cancelled").failure;
  const failure = fail("INTERNAL", error instanceof Error ? error.message : String(error)).failure;
  const stack = error instanceof Error && error.stack ? error.stack.split("\n").slice(1, 6) : [];
  return stack.length > 0 ? { ...failure, lastLines: stack.map((line) => line.trim()) } : failure;
}

/** True when somebody asked for the end, rather than something going wrong. */
export function isAbort(error: unknown): boolean {
  if (error instanceof DrydockError) return error.failure.code === "CANCELLED";
  return error instanceof Error && error.name === "AbortError";
}

interface Coded {
  code: string;
  message: string;
  advice?: string;
  command?: string;
  lastLines?: string[];
  log?: string;
}

/** The machine drivers' errors carry a code in upper snake case and advice; system errors (ENOENT) carry no advice. */
function isCoded(error: unknown): error is Coded {
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return false;
  return error.code in CATALOGUE || ("advice" in error && typeof error.advice === "string");
}
