/**
 * Remembers who changed what, when, and because of which change: a short ring per object, and a limit in bytes
 * over all, beyond which the objects that were quiet for longest are forgotten.
 */
import type { KubeObject } from "../../../common/kube/object.ts";
import type { Cause } from "./cause.ts";
import { changesOf } from "./changes.ts";

export type Operation = "created" | "changed" | "deleted" | "marked for deletion";

/** One write, as the registry tells it. */
export interface Observed {
  operation: Operation;
  resource: { group: string; resource: string; kind: string; namespaced: boolean };
  subresource?: string;
  user: string;
  manager: string;
  old?: KubeObject;
  object: KubeObject;
  revision: number;
  cause?: Cause;
}

export interface Entry {
  id: number;
  operation: Operation;
  subresource?: string;
  user: string;
  manager: string;
  /** The controller or scheduler that acted, where it is one. */
  actor?: string;
  changes: string[];
  /** Milliseconds; `last` where the same happened again. */
  at: number;
  last: number;
  count: number;
  revision: number;
  cause?: Cause;
}

export interface ObjectHistory {
  uid: string;
  resource: Observed["resource"];
  apiVersion: string;
  namespace: string;
  name: string;
  owner?: { uid: string; kind: string; name: string };
  entries: Entry[];
  /** Entries that fell out of the ring. */
  forgotten: number;
  bytes: number;
}

export interface RecorderOptions {
  now(): number;
  /** Over all objects. Default 8 MiB. */
  mostBytes?: number;
  /** Per object. Default 32. */
  mostEntries?: number;
}

/** Heartbeats and messages are no decisions. */
const LEFT_OUT = new Set(["events", "leases"]);
const MOST_BYTES = 8 * 1024 * 1024;
const MOST_ENTRIES = 32;
const FORGOTTEN_AT_ONCE = 1 / 64;
/** What an entry and an object cost besides their texts, measured in Node 24. */
const ENTRY_BYTES = 340;
const OBJECT_BYTES = 900;

export class HistoryRecorder {
  readonly #options: RecorderOptions;
  readonly #mostBytes: number;
  readonly #mostEntries: number;
  /** By uid; the one that was changed last is at the end. */
  readonly #objects = new Map<string, ObjectHistory>();
  #bytes = 0;
  #ids = 0;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#mostBytes = options.mostBytes ?? MOST_BYTES;
    this.#mostEntries = options.mostEntries ?? MOST_ENTRIES;
  }

  /** An estimate of what is held. */
  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#objects.size;
  }

  byUid(uid: string): ObjectHistory | undefined {
    return this.#objects.get(uid);
  }

  all(): Iterable<ObjectHistory> {
    return this.#objects.values();
  }

  observe(write: Observed): void {
    const uid = write.object.metadata.uid;
    if (!uid || LEFT_OUT.has(write.resource.resource)) return;
    const changes = write.operation === "changed" && write.old ? changesOf(write.old, write.object) : [];
    // Only times changed: nothing was decided.
    if (write.operation === "changed" && changes.length === 0) return;
    const known = this.#objects.get(uid);
    const history = known ?? this.#begin(uid, write);
    this.#objects.delete(uid);
    this.#objects.set(uid, history);
    this.#bytes -= known?.bytes ?? 0;
    if (!this.#again(history, write, changes)) this.#add(history, write, changes);
    this.#bytes += history.bytes;
    this.#forget();
  }

  #begin(uid: string, { object, resource }: Observed): ObjectHistory {
    const { namespace = "", name = "", ownerReferences = [] } = object.metadata;
    const owner = ownerReferences.find(({ controller }) => controller) ?? ownerReferences[0];
    return {
      uid,
      resource,
      apiVersion: object.apiVersion,
      namespace,
      name,
      ...(owner ? { owner: { uid: owner.uid, kind: owner.kind, name: owner.name } } : {}),
      entries: [],
      forgotten: 0,
      bytes: OBJECT_BYTES + 2 * (name.length + namespace.length),
    };
  }

  /** The same again by the same: counted, not kept twice. */
  #again(
    history: ObjectHistory,
    { operation, user, manager, subresource, revision }: Observed,
    changes: string[],
  ): boolean {
    const last = history.entries.at(-1);
    if (
      !last ||
      last.operation !== operation ||
      last.user !== user ||
      last.manager !== manager ||
      last.subresource !== subresource ||
      last.changes.length !== changes.length ||
      !last.changes.every((line, at) => pathOf(line) === pathOf(changes[at] as string))
    )
      return false;
    last.changes = changes;
    last.count += 1;
    last.last = this.#options.now();
    last.revision = revision;
    return true;
  }

  #add(history: ObjectHistory, write: Observed, changes: string[]): void {
    const { operation, subresource, user, manager, revision, cause } = write;
    const now = this.#options.now();
    const entry: Entry = {
      id: (this.#ids += 1),
      operation,
      ...(subresource === undefined ? {} : { subresource }),
      user,
      manager,
      ...(cause?.actor === undefined ? {} : { actor: cause.actor }),
      changes,
      at: now,
      last: now,
      count: 1,
      revision,
      ...(cause?.uid ? { cause } : {}),
    };
    history.entries.push(entry);
    history.bytes += sizeOf(entry);
    if (history.entries.length <= this.#mostEntries) return;
    // How it began is worth more than the second of many changes.
    const [gone] = history.entries.splice(1, 1);
    history.forgotten += 1;
    if (gone) history.bytes -= sizeOf(gone);
  }

  /** Some at once: to find the oldest is to pass by all that were deleted before it. */
  #forget(): void {
    if (this.#bytes <= this.#mostBytes) return;
    const wanted = this.#mostBytes * (1 - FORGOTTEN_AT_ONCE);
    for (const [uid, { bytes }] of this.#objects) {
      if (this.#bytes <= wanted) return;
      this.#objects.delete(uid);
      this.#bytes -= bytes;
    }
  }
}

const pathOf = (line: string): string => line.slice(0, line.indexOf(": ") < 0 ? line.length : line.indexOf(": "));

function sizeOf({ changes }: Entry): number {
  return changes.reduce((sum, line) => sum + 2 * line.length + 24, ENTRY_BYTES);
}
