/**
 * A live copy of one collection of the API: listed once, watched from there, listed again when the watch
 * has expired. Handlers hear of each difference; indexes answer questions without scanning. While the
 * server is away the last copy stays. Objects are shared with everybody who reads them: never change one.
 */
import { Backoff } from "./backoff.ts";
import type { BackoffOptions } from "./backoff.ts";
import type { Client } from "./client.ts";
import { sleep, systemClock } from "./clock.ts";
import type { Clock } from "./clock.ts";
import { objectKey } from "./object.ts";
import type { GroupVersionResource, KubeObject } from "./object.ts";
import { isStatus } from "./status.ts";

export interface InformerHandler<T> {
  /** `initial` while the first list is told. */
  add?(object: T, initial: boolean): void;
  update?(object: T, old: T): void;
  /** The last state known of it; after a relist its end itself was not seen. */
  delete?(object: T): void;
}

/** The values under which an object is found in an index. */
export type IndexFunction<T> = (object: T) => readonly string[];

export interface InformerOptions<T> {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  clock?: Clock;
  /** Objects per page of a list. Default 500. */
  pageSize?: number;
  backoff?: BackoffOptions;
  /** Keeps only what is needed of each object, to save memory. */
  transform?(object: T): T;
  /** Told of what went wrong (the informer itself goes on). Default: silence. */
  failed?(error: unknown): void;
  /** Told of every handler that is added, with the way to remove it. */
  handled?(remove: () => void): void;
  /** Runs what tells the handlers of a change of the object: whoever acts upon it acts because of that. */
  around?(object: KubeObject, tell: () => void): void;
}

const RETRY: BackoffOptions = { firstMillis: 200, maxMillis: 30_000, jitter: 0.3 };
/** A watch is asked anew about this often, so that a silently dead connection is noticed. */
const WATCH_SECONDS = 300;
/** A watch that ends sooner than this without an event counts as a failure. */
/** Objects of a list that are taken in before others get their turn: handlers and indexes are told of each. */
const PUT_AT_ONCE = 200;
const SHORT_WATCH_MILLIS = 1000;

interface Index<T> {
  of: IndexFunction<T>;
  values: Map<string, Map<string, T>>;
}

export class Informer<T extends KubeObject = KubeObject> {
  readonly gvr: GroupVersionResource;
  /** Resolves when the whole collection has been seen once, after the handlers heard of it; never rejects. */
  readonly synced: Promise<void>;
  readonly #client: Client;
  readonly #options: InformerOptions<T>;
  readonly #clock: Clock;
  readonly #objects = new Map<string, T>();
  readonly #indexes = new Map<string, Index<T>>();
  readonly #handlers = new Set<InformerHandler<T>>();
  readonly #abort = new AbortController();
  readonly #firstSync = Promise.withResolvers<void>();
  #started: Promise<void> | undefined;
  #hasSynced = false;
  #resourceVersion: string | undefined;

  constructor(client: Client, gvr: GroupVersionResource, options: InformerOptions<T> = {}) {
    this.gvr = gvr;
    this.#client = client;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.synced = this.#firstSync.promise;
    this.addIndex("namespace", (object) => [object.metadata.namespace ?? ""]);
  }

  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  /** The newest resourceVersion seen. */
  get resourceVersion(): string | undefined {
    return this.#resourceVersion;
  }

  get size(): number {
    return this.#objects.size;
  }

  /** Idempotent. */
  start(): this {
    this.#started ??= this.#run();
    return this;
  }

  /** No handler is called after it resolved. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#started;
  }

  /** `key` is "namespace/name", or "name" for cluster-scoped objects. */
  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  /** All of them, or those of one namespace. */
  list(namespace?: string): T[] {
    return namespace === undefined ? [...this.#objects.values()] : this.byIndex("namespace", namespace);
  }

  values(): IterableIterator<T> {
    return this.#objects.values();
  }

  byIndex(name: string, value: string): T[] {
    const index = this.#indexes.get(name);
    if (!index) throw new Error(`the informer of ${this.gvr.resource} has no index ${name}`);
    return [...(index.values.get(value)?.values() ?? [])];
  }

  /** The values that an index knows at present. */
  indexValues(name: string): string[] {
    return [...(this.#indexes.get(name)?.values.keys() ?? [])];
  }

  /** May be called at any time; a name that is there already keeps its function. */
  addIndex(name: string, of: IndexFunction<T>): this {
    if (this.#indexes.has(name)) return this;
    const index: Index<T> = { of, values: new Map() };
    this.#indexes.set(name, index);
    for (const [key, object] of this.#objects) putIndex(index, key, object);
    return this;
  }

  /** Objects that are there already are told as `add` at once. Returns a function that removes the handler. */
  addHandler(handler: InformerHandler<T>): () => void {
    this.#handlers.add(handler);
    for (const object of this.#objects.values()) this.#tell(() => handler.add?.(object, true));
    const remove = (): void => void this.#handlers.delete(handler);
    this.#options.handled?.(remove);
    return remove;
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    const backoff = new Backoff(this.#options.backoff ?? RETRY);
    while (!signal.aborted) {
      try {
        if (this.#resourceVersion === undefined) {
          this.#resourceVersion = await this.#list(signal);
          this.#hasSynced = true;
          this.#firstSync.resolve();
        }
        const began = this.#clock.monotonic();
        const seen = await this.#watch(signal, () => backoff.reset());
        if (!seen && this.#clock.monotonic() - began < SHORT_WATCH_MILLIS)
          await sleep(this.#clock, backoff.next(), signal);
      } catch (error) {
        if (signal.aborted) return;
        // Only a watch that the server cut at its own time may go on from where it stood.
        this.#resourceVersion = undefined;
        if (!isStatus(error, "Expired", "Gone")) this.#options.failed?.(error);
        await sleep(this.#clock, backoff.next(), signal);
      }
    }
  }

  async #list(signal: AbortSignal): Promise<string> {
    const { namespace, labelSelector, fieldSelector, pageSize = 500 } = this.#options;
    const found = new Map<string, T>();
    let page: string | undefined;
    let resourceVersion = "";
    do {
      const list = await this.#client.list<T>(this.gvr, {
        ...(namespace === undefined ? {} : { namespace }),
        ...(labelSelector === undefined ? {} : { labelSelector }),
        ...(fieldSelector === undefined ? {} : { fieldSelector }),
        limit: pageSize,
        ...(page ? { continue: page } : {}),
        signal,
      });
      for (const item of list.items) found.set(objectKey(item), item);
      resourceVersion = list.metadata.resourceVersion ?? "";
      page = list.metadata.continue || undefined;
    } while (page);
    for (const [key, object] of this.#objects) if (!found.has(key)) this.#remove(key, object);
    let count = 0;
    for (const [key, object] of found) {
      this.#put(key, object);
      if ((count += 1) % PUT_AT_ONCE > 0) continue;
      await new Promise((resolve) => setTimeout(resolve));
      if (signal.aborted) break;
    }
    return resourceVersion;
  }

  async #watch(signal: AbortSignal, alive: () => void): Promise<boolean> {
    const { namespace, labelSelector, fieldSelector } = this.#options;
    const events = this.#client.watch<T>(this.gvr, {
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
      ...(this.#resourceVersion ? { resourceVersion: this.#resourceVersion } : {}),
      allowWatchBookmarks: true,
      timeoutSeconds: WATCH_SECONDS + Math.floor(Math.random() * WATCH_SECONDS),
      signal,
    });
    let seen = false;
    for await (const event of events) {
      if (signal.aborted) return true;
      if (!seen) alive();
      seen = true;
      this.#resourceVersion = event.object.metadata.resourceVersion ?? this.#resourceVersion;
      if (event.type === "BOOKMARK" || event.type === "ERROR") continue;
      const key = objectKey(event.object);
      if (event.type === "DELETED") this.#remove(key, event.object);
      else this.#put(key, event.object);
    }
    return seen;
  }

  #put(key: string, received: T): void {
    const old = this.#objects.get(key);
    if (old && old.metadata.resourceVersion === received.metadata.resourceVersion) return;
    const object = this.#options.transform ? this.#options.transform(received) : received;
    // Deleted and made again between two lists: two lives, not one update.
    if (old && old.metadata.uid !== object.metadata.uid) {
      this.#remove(key, old);
      return this.#put(key, received);
    }
    for (const index of this.#indexes.values()) {
      if (old) dropIndex(index, key, old);
      putIndex(index, key, object);
    }
    this.#objects.set(key, object);
    this.#tellAll(object, (handler) => (old ? handler.update?.(object, old) : handler.add?.(object, !this.#hasSynced)));
  }

  #remove(key: string, last: T): void {
    const old = this.#objects.get(key);
    if (!old) return;
    this.#objects.delete(key);
    for (const index of this.#indexes.values()) dropIndex(index, key, old);
    const object = this.#options.transform ? this.#options.transform(last) : last;
    this.#tellAll(object, (handler) => handler.delete?.(object));
  }

  #tellAll(object: T, of: (handler: InformerHandler<T>) => void): void {
    const tell = (): void => {
      for (const handler of this.#handlers) this.#tell(() => of(handler));
    };
    if (this.#options.around) this.#options.around(object, tell);
    else tell();
  }

  /** One handler's mistake must not keep the others, or the copy itself, behind. */
  #tell(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#options.failed?.(error);
    }
  }
}

function putIndex<T>(index: Index<T>, key: string, object: T): void {
  for (const value of index.of(object)) {
    let entries = index.values.get(value);
    if (!entries) index.values.set(value, (entries = new Map()));
    entries.set(key, object);
  }
}

function dropIndex<T>(index: Index<T>, key: string, object: T): void {
  for (const value of index.of(object)) {
    const entries = index.values.get(value);
    if (!entries?.delete(key)) continue;
    if (entries.size === 0) index.values.delete(value);
  }
}

export interface InformerFactoryOptions extends Pick<InformerOptions<KubeObject>, "clock" | "around"> {
  failed?(gvr: GroupVersionResource, error: unknown): void;
}

/** One informer per collection, shared by everybody who asks for it. */
export class InformerFactory {
  readonly #client: Client;
  readonly #options: InformerFactoryOptions;
  readonly #informers = new Map<string, Informer>();
  #running = false;
  #collected: (() => void)[] | undefined;

  constructor(client: Client, options: InformerFactoryOptions = {}) {
    this.#client = client;
    this.#options = options;
  }

  /** The shared informer; once the factory has been started, a new one starts at once. */
  for<T extends KubeObject = KubeObject>(
    gvr: GroupVersionResource,
    options: Omit<InformerOptions<T>, "clock" | "failed" | "handled"> = {},
  ): Informer<T> {
    const { namespace = "", labelSelector = "", fieldSelector = "", transform } = options;
    const id = [
      gvr.group,
      gvr.version,
      gvr.resource,
      namespace,
      labelSelector,
      fieldSelector,
      transform ? "part" : "",
    ].join("|");
    let informer = this.#informers.get(id);
    if (!informer) {
      const { clock, failed, around } = this.#options;
      const made = new Informer<T>(this.#client, gvr, {
        ...options,
        ...(clock ? { clock } : {}),
        ...(around ? { around } : {}),
        ...(failed ? { failed: (error: unknown) => failed(gvr, error) } : {}),
        handled: (remove) => this.#collected?.push(remove),
      });
      informer = made as unknown as Informer;
      this.#informers.set(id, informer);
      if (this.#running) informer.start();
    }
    return informer as unknown as Informer<T>;
  }

  /** The whole-collection informer when somebody has asked for it already. */
  existing(gvr: GroupVersionResource): Informer | undefined {
    return this.#informers.get([gvr.group, gvr.version, gvr.resource, "", "", "", ""].join("|"));
  }

  start(): void {
    this.#running = true;
    for (const informer of this.#informers.values()) informer.start();
  }

  /** Runs `add`; what it returns removes the handlers that were added meanwhile, for those whose work ends first. */
  collect(add: () => void): () => void {
    const outer = this.#collected;
    const mine: (() => void)[] = (this.#collected = []);
    try {
      add();
    } finally {
      this.#collected = outer;
    }
    return () => {
      for (const remove of mine.splice(0)) remove();
    };
  }

  /** Resolves when every informer asked for so far is in sync. */
  async synced(): Promise<void> {
    await Promise.all([...this.#informers.values()].map((informer) => informer.synced));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#informers.values()].map((informer) => informer.stop()));
  }
}
