/**
 * A live copy of a collection of the API: listed once, then watched; listed again when the watch has
 * expired. Listeners are told of each difference. While the server is away the last copy stays.
 */
import type { Client } from "../../../common/kube/client.ts";
import { objectKey } from "../../../common/kube/object.ts";
import type { GroupVersionResource, KubeObject } from "../../../common/kube/object.ts";
import { isStatus } from "../../../common/kube/status.ts";
import { sleep } from "../command.ts";
import type { Log } from "../log.ts";
import { monotonicNow } from "../monotonic.ts";

const RETRY_FIRST = 500;
const RETRY_MAX = 10_000;
/** The server ends a watch after about this long; a silent connection is noticed then at the latest. */
const WATCH_SECONDS = 300;
const PAGE = 500;

export interface Change<T> {
  type: "set" | "delete";
  object: T;
}

export class Watched<T extends KubeObject> {
  readonly #client: Client;
  readonly #gvr: GroupVersionResource;
  readonly #options: { namespace?: string; fieldSelector?: string; labelSelector?: string };
  readonly #log: Log;
  readonly #items = new Map<string, T>();
  readonly #listeners = new Set<(changes: Change<T>[]) => void>();
  #synced = false;
  readonly #whenSynced = Promise.withResolvers<void>();

  constructor(
    client: Client,
    gvr: GroupVersionResource,
    options: { namespace?: string; fieldSelector?: string; labelSelector?: string },
    log: Log,
  ) {
    this.#client = client;
    this.#gvr = gvr;
    this.#options = options;
    this.#log = log;
  }

  /** True once the whole collection has been seen. */
  get synced(): boolean {
    return this.#synced;
  }

  whenSynced(): Promise<void> {
    return this.#whenSynced.promise;
  }

  get(key: string): T | undefined {
    return this.#items.get(key);
  }

  items(): T[] {
    return [...this.#items.values()];
  }

  onChange(listener: (changes: Change<T>[]) => void): void {
    this.#listeners.add(listener);
  }

  async run(signal: AbortSignal): Promise<void> {
    let delay = RETRY_FIRST;
    let revision: string | undefined;
    while (!signal.aborted) {
      try {
        revision ??= await this.#list(signal);
        const began = monotonicNow();
        const options = {
          ...this.#options,
          resourceVersion: revision,
          allowWatchBookmarks: true,
          timeoutSeconds: WATCH_SECONDS,
        };
        for await (const event of this.#client.watch<T>(this.#gvr, { ...options, signal })) {
          delay = RETRY_FIRST;
          revision = event.object.metadata.resourceVersion ?? revision;
          if (event.type === "DELETED") this.#apply([{ type: "delete", object: event.object }]);
          else if (event.type !== "BOOKMARK") this.#apply([{ type: "set", object: event.object }]);
        }
        // A watch that ends as soon as it began must not be asked for in a tight loop.
        if (monotonicNow() - began < 1000) await sleep(delay, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (isStatus(error, "Expired", "Gone")) {
          revision = undefined;
        } else {
          this.#log.error("watch", this.#gvr.resource, error);
          // After an outage the server may be another one, with another history.
          if (error instanceof Error && !isStatus(error)) revision = undefined;
        }
        await sleep(delay + Math.random() * 200, signal);
        delay = Math.min(delay * 2, RETRY_MAX);
      }
    }
  }

  async #list(signal: AbortSignal): Promise<string> {
    const seen = new Map<string, T>();
    let page: string | undefined;
    let revision = "";
    do {
      const list = await this.#client.list<T>(this.#gvr, {
        ...this.#options,
        limit: PAGE,
        ...(page ? { continue: page } : {}),
        signal: AbortSignal.any([signal, AbortSignal.timeout(60_000)]),
      });
      for (const item of list.items) seen.set(objectKey(item), item);
      revision = list.metadata.resourceVersion ?? "";
      page = list.metadata.continue || undefined;
    } while (page);
    const changes: Change<T>[] = [];
    for (const [key, object] of this.#items) if (!seen.has(key)) changes.push({ type: "delete", object });
    for (const [key, object] of seen) {
      if (this.#items.get(key)?.metadata.resourceVersion !== object.metadata.resourceVersion)
        changes.push({ type: "set", object });
    }
    this.#synced = true;
    this.#apply(changes);
    this.#whenSynced.resolve();
    return revision;
  }

  #apply(changes: Change<T>[]): void {
    for (const { type, object } of changes) {
      if (type === "set") this.#items.set(objectKey(object), object);
      else this.#items.delete(objectKey(object));
    }
    for (const listener of this.#listeners) listener(changes);
  }
}
