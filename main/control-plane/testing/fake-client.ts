/**
 * A Client over plain maps, for tests of controllers without an API server: resource versions, watches,
 * selectors, status kept apart from spec, generations, finalizers, graceful deletion of Pods, binding.
 * Nothing is validated or defaulted. Faults can be put in its way.
 */
import type {
  Client,
  DeleteOptions,
  ListOptions,
  ObjectRef,
  PatchType,
  WatchOptions,
} from "../../../common/kube/client.ts";
import { systemClock, timestamp } from "../../../common/kube/clock.ts";
import type { Clock } from "../../../common/kube/clock.ts";
import { apiVersionOf, objectKey } from "../../../common/kube/object.ts";
import type { GroupVersionResource, KubeList, KubeObject, WatchEvent } from "../../../common/kube/object.ts";
import { applyMergePatch } from "../../../common/kube/patch/merge.ts";
import { parseFieldSelector, parseLabelSelector } from "../../../common/kube/selector.ts";
import { StatusError } from "../../../common/kube/status.ts";

export type Operation = "get" | "list" | "watch" | "create" | "update" | "patch" | "delete";

export interface FakeClientOptions {
  clock?: Clock;
  /** Called before each operation; may throw (a StatusError, say) or wait. */
  fault?(
    operation: Operation,
    ref: GroupVersionResource & { name?: string; subresource?: string },
  ): void | Promise<void>;
}

interface Listener {
  namespace: string | undefined;
  matches(object: KubeObject): boolean;
  send(event: WatchEvent): void;
  end(): void;
}

interface Collection {
  objects: Map<string, KubeObject>;
  listeners: Set<Listener>;
  /** Every change, oldest first, for watches that begin in the past. */
  changes: Change[];
}

interface Change {
  revision: number;
  old: KubeObject | undefined;
  /** undefined: it was removed; `last` is what it was then. */
  now: KubeObject | undefined;
  last: KubeObject;
}

function tell(listener: Listener, { old, now, last }: Change): void {
  const was = old !== undefined && listener.matches(old);
  if (now && listener.matches(now)) listener.send({ type: was ? "MODIFIED" : "ADDED", object: now });
  else if (was) listener.send({ type: "DELETED", object: last });
}

export class FakeClient implements Client {
  readonly #collections = new Map<string, Collection>();
  readonly #options: FakeClientOptions;
  readonly #clock: Clock;
  #revision = 1;
  #uids = 0;
  /** Every write that changed something, in order: "create pods default/a", "patch pods/status default/a". */
  readonly writes: string[] = [];

  constructor(options: FakeClientOptions = {}) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Every object of a resource as it stands now. */
  all<T extends KubeObject = KubeObject>(gvr: GroupVersionResource): T[] {
    return [...this.#of(gvr).objects.values()] as T[];
  }

  /** Puts an object there as it is, status too, or over what is there. */
  put<T extends KubeObject>(gvr: GroupVersionResource, object: T): T {
    const old = this.#of(gvr).objects.get(objectKey(object));
    const metadata = {
      uid: old?.metadata.uid ?? `uid-${(this.#uids += 1)}`,
      creationTimestamp: old?.metadata.creationTimestamp ?? timestamp(this.#clock.now()),
      ...object.metadata,
    };
    return this.#store(gvr, { ...structuredClone(object), metadata: structuredClone(metadata) }, old) as T;
  }

  /** Ends all watches, as a server that goes away does. */
  dropWatches(): void {
    for (const { listeners } of this.#collections.values()) for (const listener of listeners) listener.end();
  }

  async get<T extends KubeObject = KubeObject>(ref: ObjectRef): Promise<T> {
    await this.#before("get", ref);
    const found = this.#must(ref);
    // The object itself will do: what is asked of a scale is its number of replicas.
    if (ref.subresource === "scale" && (found.spec as { replicas?: number } | undefined)?.replicas === undefined)
      throw new StatusError("NotFound", "the server could not find the requested resource");
    return found as T;
  }

  async list<T extends KubeObject = KubeObject>(
    gvr: GroupVersionResource,
    options: ListOptions = {},
  ): Promise<KubeList<T>> {
    await this.#before("list", gvr);
    const matches = matcher(options);
    const items = this.all<T>(gvr).filter(matches);
    return {
      apiVersion: apiVersionOf(gvr),
      kind: "List",
      metadata: { resourceVersion: String(this.#revision) },
      items,
    };
  }

  async *watch<T extends KubeObject = KubeObject>(
    gvr: GroupVersionResource,
    options: WatchOptions = {},
  ): AsyncGenerator<WatchEvent<T>> {
    const queue: WatchEvent[] = [];
    let wake: () => void = () => undefined;
    let ended = false;
    const listener: Listener = {
      namespace: options.namespace,
      matches: matcher(options),
      send: (event) => {
        queue.push(event);
        wake();
      },
      end: () => {
        ended = true;
        wake();
      },
    };
    const { listeners, objects, changes } = this.#of(gvr);
    if (options.resourceVersion === undefined) {
      for (const object of objects.values()) if (listener.matches(object)) queue.push({ type: "ADDED", object });
    } else {
      const since = Number(options.resourceVersion);
      for (const change of changes) if (change.revision > since) tell(listener, change);
    }
    listeners.add(listener);
    options.signal?.addEventListener("abort", listener.end, { once: true });
    try {
      await this.#before("watch", gvr);
      while (!options.signal?.aborted) {
        const event = queue.shift();
        if (event) yield event as WatchEvent<T>;
        else if (ended) return;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      listeners.delete(listener);
      options.signal?.removeEventListener("abort", listener.end);
    }
  }

  async create<T extends KubeObject = KubeObject>(ref: ObjectRef, object: KubeObject): Promise<T> {
    await this.#before("create", ref);
    if (ref.subresource === "binding") return this.#bind(ref, object) as T;
    if (ref.subresource === "eviction") return (await this.delete({ ...ref, subresource: "" })) as T;
    const made = structuredClone(object);
    const metadata = made.metadata;
    if (!metadata.name && metadata.generateName)
      metadata.name = `${metadata.generateName}${(this.#uids + 1).toString(36).padStart(5, "0")}`;
    if (ref.namespace !== undefined) metadata.namespace = ref.namespace;
    if (this.#of(ref).objects.has(objectKey(made))) {
      throw new StatusError("AlreadyExists", `${ref.resource} "${metadata.name}" already exists`);
    }
    metadata.uid = `uid-${(this.#uids += 1)}`;
    metadata.creationTimestamp = timestamp(this.#clock.now());
    if ("spec" in made) metadata.generation = 1;
    if (made.kind === "Namespace") made.spec = { finalizers: ["kubernetes"] };
    if (made.kind === "Pod") made.status ??= { phase: "Pending" };
    this.writes.push(`create ${ref.resource} ${objectKey(made)}`);
    return this.#store(ref, made, undefined) as T;
  }

  async update<T extends KubeObject = KubeObject>(ref: ObjectRef, object: KubeObject): Promise<T> {
    await this.#before("update", ref);
    return this.#replace(ref, structuredClone(object), "update") as T;
  }

  async patch<T extends KubeObject = KubeObject>(ref: ObjectRef, type: PatchType, patch: unknown): Promise<T> {
    await this.#before("patch", ref);
    if (type !== "application/merge-patch+json") throw new StatusError("UnsupportedMediaType", type);
    const old = this.#must(ref);
    return this.#replace(ref, applyMergePatch(structuredClone(old), patch) as KubeObject, "patch") as T;
  }

  async delete(ref: ObjectRef, options: DeleteOptions = {}): Promise<KubeObject | undefined> {
    await this.#before("delete", ref);
    const old = this.#must(ref);
    const { uid, resourceVersion } = options.preconditions ?? {};
    if ((uid && uid !== old.metadata.uid) || (resourceVersion && resourceVersion !== old.metadata.resourceVersion)) {
      throw new StatusError("Conflict", `the precondition failed for ${ref.name}`);
    }
    const spec = (old.spec ?? {}) as { nodeName?: string; terminationGracePeriodSeconds?: number };
    const finalizers = [...(old.metadata.finalizers ?? [])];
    if (options.propagationPolicy === "Foreground") finalizers.push("foregroundDeletion");
    if (options.propagationPolicy === "Orphan") finalizers.push("orphan");
    const held = (old.spec as { finalizers?: string[] } | undefined)?.finalizers ?? [];
    const phase = (old.status as { phase?: string } | undefined)?.phase;
    const graceful = old.kind === "Pod" && spec.nodeName && phase !== "Succeeded" && phase !== "Failed";
    const grace = graceful ? (options.gracePeriodSeconds ?? spec.terminationGracePeriodSeconds ?? 30) : 0;
    this.writes.push(`delete ${ref.resource} ${objectKey(old)}`);
    if (grace > 0 || finalizers.length > 0 || held.length > 0) {
      if (old.metadata.deletionTimestamp && (old.metadata.deletionGracePeriodSeconds ?? 0) <= grace) return old;
      const metadata = {
        ...old.metadata,
        deletionTimestamp: timestamp(this.#clock.now() + grace * 1000),
        deletionGracePeriodSeconds: grace,
        ...(finalizers.length > 0 ? { finalizers: [...new Set(finalizers)] } : {}),
      };
      return this.#store(ref, { ...old, metadata }, old);
    }
    this.#remove(ref, old);
    return undefined;
  }

  #bind(ref: ObjectRef, binding: KubeObject): KubeObject {
    const pod = this.#must(ref);
    const spec = pod.spec as { nodeName?: string };
    if (spec.nodeName)
      throw new StatusError("Conflict", `pod ${ref.name} is already assigned to node "${spec.nodeName}"`);
    const nodeName = (binding.target as { name: string }).name;
    const status = (pod.status ?? {}) as { conditions?: { type: string }[] };
    const conditions = [
      ...(status.conditions ?? []).filter(({ type }) => type !== "PodScheduled"),
      { type: "PodScheduled", status: "True", lastTransitionTime: timestamp(this.#clock.now()) },
    ];
    this.writes.push(`bind ${objectKey(pod)} ${nodeName}`);
    this.#store(ref, { ...pod, spec: { ...spec, nodeName }, status: { ...status, conditions } }, pod);
    return { apiVersion: "v1", kind: "Status", metadata: {} };
  }

  #replace(ref: ObjectRef, wanted: KubeObject, verb: string): KubeObject {
    const old = this.#must(ref);
    const version = wanted.metadata.resourceVersion;
    if (wanted.metadata.uid !== undefined && wanted.metadata.uid !== old.metadata.uid)
      throw new StatusError("Conflict", `the UID in the precondition does not match the UID in record of ${ref.name}`);
    if (version !== undefined && version !== old.metadata.resourceVersion) {
      throw new StatusError(
        "Conflict",
        `Operation cannot be fulfilled on ${ref.resource} "${ref.name}": the object has been modified; please apply your changes to the latest version and try again`,
      );
    }
    const next: KubeObject =
      ref.subresource === "status"
        ? { ...old, status: wanted.status }
        : {
            ...wanted,
            metadata: { ...wanted.metadata, ...own(old) },
            ...(isStatusKept(old) ? { status: old.status } : {}),
          };
    if (ref.subresource === "approval") next.status = wanted.status;
    if (
      !ref.subresource &&
      JSON.stringify(next.spec) !== JSON.stringify(old.spec) &&
      old.metadata.generation !== undefined
    ) {
      next.metadata = { ...next.metadata, generation: old.metadata.generation + 1 };
    }
    next.metadata = { ...next.metadata, resourceVersion: old.metadata.resourceVersion ?? "" };
    if (JSON.stringify(next) === JSON.stringify(old)) return old;
    this.writes.push(`${verb} ${ref.resource}${ref.subresource ? `/${ref.subresource}` : ""} ${objectKey(old)}`);
    const gone =
      next.metadata.deletionTimestamp !== undefined &&
      (next.metadata.finalizers ?? []).length === 0 &&
      ((next.spec as { finalizers?: string[] } | undefined)?.finalizers ?? []).length === 0 &&
      !next.metadata.deletionGracePeriodSeconds;
    if (gone) {
      this.#remove(ref, next);
      return next;
    }
    return this.#store(ref, next, old);
  }

  #must(ref: ObjectRef): KubeObject {
    const found = this.#of(ref).objects.get(ref.namespace ? `${ref.namespace}/${ref.name}` : ref.name);
    if (!found)
      throw new StatusError("NotFound", `${ref.resource} "${ref.name}" not found`, {
        name: ref.name,
        kind: ref.resource,
      });
    return found;
  }

  #store(gvr: GroupVersionResource, object: KubeObject, old: KubeObject | undefined): KubeObject {
    const collection = this.#of(gvr);
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String((this.#revision += 1)) } };
    collection.objects.set(objectKey(stored), stored);
    this.#changed(collection, { revision: this.#revision, old, now: stored, last: stored });
    return stored;
  }

  #remove(gvr: GroupVersionResource, last: KubeObject): void {
    const collection = this.#of(gvr);
    const old = collection.objects.get(objectKey(last));
    collection.objects.delete(objectKey(last));
    const object = { ...last, metadata: { ...last.metadata, resourceVersion: String((this.#revision += 1)) } };
    this.#changed(collection, { revision: this.#revision, old: old ?? object, now: undefined, last: object });
  }

  #changed(collection: Collection, change: Change): void {
    collection.changes.push(change);
    for (const listener of collection.listeners) tell(listener, change);
  }

  async #before(operation: Operation, ref: GroupVersionResource): Promise<void> {
    await this.#options.fault?.(operation, ref);
  }

  #of({ group, resource }: GroupVersionResource): Collection {
    const key = `${group}/${resource}`;
    let collection = this.#collections.get(key);
    if (!collection)
      this.#collections.set(key, (collection = { objects: new Map(), listeners: new Set(), changes: [] }));
    return collection;
  }
}

/** The same cluster through a connection that fails as `fault` says: others keep theirs. */
export function withFaults(client: Client, fault: NonNullable<FakeClientOptions["fault"]>): Client {
  return {
    get: async (ref, options) => {
      await fault("get", ref);
      return client.get(ref, options);
    },
    list: async (gvr, options) => {
      await fault("list", gvr);
      return client.list(gvr, options);
    },
    watch: (gvr, options) => client.watch(gvr, options),
    create: async (ref, object, options) => {
      await fault("create", ref);
      return client.create(ref, object, options);
    },
    update: async (ref, object, options) => {
      await fault("update", ref);
      return client.update(ref, object, options);
    },
    patch: async (ref, type, patch, options) => {
      await fault("patch", ref);
      return client.patch(ref, type, patch, options);
    },
    delete: async (ref, options) => {
      await fault("delete", ref);
      return client.delete(ref, options);
    },
  };
}

/** What belongs to the server in an object's metadata. */
function own({ metadata }: KubeObject): Partial<KubeObject["metadata"]> {
  const { uid, creationTimestamp, generation, deletionTimestamp, deletionGracePeriodSeconds } = metadata;
  return Object.fromEntries(
    Object.entries({ uid, creationTimestamp, generation, deletionTimestamp, deletionGracePeriodSeconds }).filter(
      ([, value]) => value !== undefined,
    ),
  );
}

/** Kinds with a status subresource keep their status in other writes. */
function isStatusKept(object: KubeObject): boolean {
  return "spec" in object && object.kind !== "Event";
}

function matcher(options: {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
}): (object: KubeObject) => boolean {
  const labels = options.labelSelector ? parseLabelSelector(options.labelSelector) : undefined;
  const fields = options.fieldSelector ? parseFieldSelector(options.fieldSelector) : [];
  return (object) =>
    (options.namespace === undefined || object.metadata.namespace === options.namespace) &&
    (!labels || labels.matches(object.metadata.labels)) &&
    fields.every(({ field, equal, value }) => (fieldOf(object, field) === value) === equal);
}

function fieldOf(object: unknown, path: string): string {
  let value = object;
  for (const part of path.split(".")) value = (value as Record<string, unknown> | undefined)?.[part];
  return value === undefined || value === null ? "" : String(value);
}
