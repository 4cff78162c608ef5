/**
 * Writes Pod statuses to the API server: only when they changed, the newest only, and again and again until
 * it is there.
 */
import type { Client } from "../../../common/kube/client.ts";
import type { Pod, PodStatus } from "../../../common/kube/types.ts";
import { isStatus } from "../../../common/kube/status.ts";
import { sleep } from "../command.ts";
import type { Log } from "../log.ts";
import { isStatic } from "./static-pods.ts";

const RETRY_FIRST = 500;
const RETRY_MAX = 10_000;
const DEADLINE = 15_000;

interface Entry {
  pod: Pod;
  /** What the server has, as we last wrote it. */
  written: string;
  writtenStatus: PodStatus | undefined;
  /** The Pod's resourceVersion with it. */
  writtenAt: string;
  wanted: PodStatus;
  writing: Promise<void> | undefined;
  /** The server has no such Pod any more. */
  dropped: boolean;
}

export class StatusWriter {
  readonly #client: Client;
  readonly #log: Log;
  readonly #entries = new Map<string, Entry>();
  readonly #signal: AbortSignal;

  constructor(client: Client, log: Log, signal: AbortSignal) {
    this.#client = client;
    this.#log = log;
    this.#signal = signal;
  }

  /** The newest status of a Pod, written or on its way; undefined when we have none. */
  last(uid: string): PodStatus | undefined {
    return this.#entries.get(uid)?.wanted;
  }

  set(pod: Pod, status: PodStatus): void {
    const uid = pod.metadata.uid ?? "";
    const entry = this.#entries.get(uid) ?? {
      pod,
      written: JSON.stringify(pod.status ?? {}),
      writtenStatus: pod.status,
      writtenAt: pod.metadata.resourceVersion ?? "",
      wanted: status,
      writing: undefined,
      dropped: false,
    };
    if (isNewer(pod.metadata.resourceVersion, entry.writtenAt) && differs(pod.status, entry.writtenStatus)) {
      // Somebody else has written since: the node controller, while this node seemed to be away.
      entry.written = "";
      entry.writtenStatus = pod.status;
      entry.writtenAt = pod.metadata.resourceVersion ?? "";
    }
    entry.pod = pod;
    entry.wanted = status;
    this.#entries.set(uid, entry);
    this.#kick(uid, entry);
  }

  #kick(uid: string, entry: Entry): void {
    if (entry.writing || entry.dropped || this.#signal.aborted || JSON.stringify(entry.wanted) === entry.written)
      return;
    entry.writing = this.#write(uid, entry).finally(() => {
      entry.writing = undefined;
      // One may have come in the moment in between.
      if (this.#entries.get(uid) === entry) this.#kick(uid, entry);
    });
  }

  /** Resolves when the newest status has been written (or can never be). */
  async settled(uid: string): Promise<void> {
    await this.#entries.get(uid)?.writing;
  }

  /** Writes the newest status once more: the server has the Pod anew. */
  again(uid: string): void {
    const entry = this.#entries.get(uid);
    if (!entry) return;
    entry.dropped = false;
    entry.written = "";
    entry.writtenStatus = undefined;
    this.#kick(uid, entry);
  }

  forget(uid: string): void {
    this.#entries.delete(uid);
  }

  async #write(uid: string, entry: Entry): Promise<void> {
    let delay = RETRY_FIRST;
    while (!this.#signal.aborted && this.#entries.get(uid) === entry) {
      const status = entry.wanted;
      const text = JSON.stringify(status);
      if (text === entry.written) return;
      const { namespace = "", name = "" } = entry.pod.metadata;
      try {
        const written = await this.#client.patch<Pod>(
          { group: "", version: "v1", resource: "pods", namespace, name, subresource: "status" },
          "application/strategic-merge-patch+json",
          // The mirror of a static Pod has a uid of its own.
          { ...(isStatic(entry.pod) ? {} : { metadata: { uid } }), status: statusPatch(entry.writtenStatus, status) },
          { signal: AbortSignal.any([this.#signal, AbortSignal.timeout(DEADLINE)]) },
        );
        entry.written = text;
        entry.writtenStatus = status;
        entry.writtenAt = written.metadata.resourceVersion ?? "";
        delay = RETRY_FIRST;
      } catch (error) {
        // The Pod is gone, or another of the same name is there.
        if (isStatus(error, "NotFound", "Conflict", "Gone")) {
          this.#log.info("status", `${namespace}/${name}: dropped (${error.reason})`);
          entry.dropped = true;
          return;
        }
        this.#log.error("status", `${namespace}/${name}`, error);
        await sleep(delay, this.#signal);
        delay = Math.min(delay * 2, RETRY_MAX);
      }
    }
  }
}

/** Of two resourceVersions; what is no number is no newer. */
function isNewer(version: string | undefined, than: string): boolean {
  return /^\d+$/.test(version ?? "") && /^\d+$/.test(than) && BigInt(version ?? "") > BigInt(than);
}

/** Whether a condition that we wrote is another one now. */
function differs(status: PodStatus | undefined, written: PodStatus | undefined): boolean {
  return (written?.conditions ?? []).some(
    (ours) => status?.conditions?.find(({ type }) => type === ours.type)?.status !== ours.status,
  );
}

/** Conditions that are there only while they are so. */
const OURS_FOR_A_WHILE = new Set(["PodResizePending", "PodResizeInProgress"]);
const LEAVES = ["reason", "message", "podIP", "podIPs"] as const;

/** The new status as a strategic merge patch: lists that merge are replaced, and what vanished is taken away. */
export function statusPatch(old: PodStatus | undefined, status: PodStatus): Record<string, unknown> {
  const patch: Record<string, unknown> = { ...status };
  for (const field of LEAVES) if (old?.[field] !== undefined && status[field] === undefined) patch[field] = null;
  for (const list of ["podIPs", "hostIPs"] as const) {
    const before = old?.[list];
    if (before && status[list] && JSON.stringify(before) !== JSON.stringify(status[list]))
      patch[list] = [{ $patch: "replace" }, ...(status[list] as object[])];
  }
  const gone = (old?.conditions ?? []).filter(
    ({ type }) => OURS_FOR_A_WHILE.has(type) && !status.conditions?.some((condition) => condition.type === type),
  );
  const conditions = (status.conditions ?? []).map((condition) => {
    const before = old?.conditions?.find(({ type }) => type === condition.type);
    const cleared: Record<string, null> = {};
    for (const field of ["reason", "message"] as const)
      if (before?.[field] !== undefined && condition[field] === undefined) cleared[field] = null;
    return { ...condition, ...cleared };
  });
  patch["conditions"] = [...conditions, ...gone.map(({ type }) => ({ type, $patch: "delete" }))];
  return patch;
}
