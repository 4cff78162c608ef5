/**
 * Watching: the objects there are, if wanted, then every change, as the selectors show it. An event is
 * looked at once for all who watch it alike; whoever sends it keeps its bytes by the same object.
 *
 *     selectors:   before   after    the watcher sees
 *                    –        ✓      ADDED      it came into the selection
 *                    ✓        ✓      MODIFIED
 *                    ✓        –      DELETED    it left the selection, or the store
 */
import type { WatchEvent } from "../../../../common/kube/object.ts";
import { StatusError } from "../../../../common/kube/status.ts";
import type { ResourceDefinition } from "../../resources/definition.ts";
import { CompactedError, FutureRevisionError } from "../../store/store.ts";
import type { KeyValue, StoreEvent, WatchSubscription } from "../../store/store.ts";
import { keyPrefix } from "../catalog.ts";
import { turn } from "../slices.ts";
import { prepareViews, slimViewOf } from "./context.ts";
import type { RegistryContext } from "./context.ts";
import { checkWatchOptions, reach, revisionOf, tooLarge } from "./list-options.ts";
import type { ListOptions } from "./list-options.ts";
import { selectionOf } from "./selection.ts";
import type { Selection } from "./selection.ts";

export interface WatchQuery extends ListOptions {
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
  allowWatchBookmarks?: boolean;
  timeoutSeconds?: number | undefined;
}

export interface Change {
  type: Exclude<WatchEvent["type"], "ERROR" | "BOOKMARK">;
  /** The object: as it is now, or as it was when it left. */
  item: KeyValue;
  /** The resourceVersion it is shown with. */
  revision: number;
}

export type WatchItem = Change | { type: "BOOKMARK"; revision: number; initialEventsEnd: boolean };

export interface WatchSink {
  /** One or more in order. Must not throw. */
  send(items: WatchItem[]): void;
  /** Waits, while the objects there are are sent, until the reader has room for more. */
  drained?(): Promise<void>;
  /** Once, at the end: nothing is sent after it. Without an error the watch is just over. */
  end(error?: StatusError): void;
}

const BOOKMARK_MILLIS = 55_000;
/** Without a timeout of the client's a watch lasts between one and two of these. */
const LONGEST_SECONDS = 1800;
/** A timer that is set for longer goes off at once. */
const MOST_TIMER_SECONDS = Math.floor((2 ** 31 - 1) / 1000);

/** Resolves when the watch is under way; its stop ends it without a call of `end`. Throws StatusError. */
export async function watchObjects(
  context: RegistryContext,
  definition: ResourceDefinition,
  namespace: string | undefined,
  query: WatchQuery,
  sink: WatchSink,
): Promise<() => void> {
  checkWatchOptions(query);
  const selection = selectionOf(definition, query);
  const { store } = context;
  const asked = revisionOf(query.resourceVersion);
  const prefix = keyPrefix(definition, namespace);
  if (asked > 0) await reach(store, asked);
  const initial = query.sendInitialEvents ?? asked === 0;
  const watch = new Watch(context, definition, prefix, selection, query, sink);
  if (initial) {
    const { items, revision } = await store.list(prefix, { topic: selection.topic });
    watch.tellAll(items, revision).catch((error: unknown) => watch.finish(errorOf(error)));
  } else watch.follow(asked === 0 ? store.revision() : asked);
  return () => watch.stop();
}

/** Objects that are told at once before others get their turn. */
const AT_ONCE = 250;

/** One who watches: its timers, its place, its end. */
class Watch {
  readonly #context: RegistryContext;
  readonly #definition: ResourceDefinition;
  readonly #prefix: string;
  readonly #selection: Selection;
  readonly #query: WatchQuery;
  readonly #sink: WatchSink;
  readonly #timer: NodeJS.Timeout;
  #bookmarks: NodeJS.Timeout | undefined;
  #subscription: WatchSubscription | undefined;
  /** Events that wait for a conversion that takes time, in their order. */
  #converting: Promise<void> | undefined;
  #over = false;
  readonly #leave: (() => void) | undefined;

  constructor(
    context: RegistryContext,
    definition: ResourceDefinition,
    prefix: string,
    selection: Selection,
    query: WatchQuery,
    sink: WatchSink,
  ) {
    this.#context = context;
    this.#definition = definition;
    this.#prefix = prefix;
    this.#selection = selection;
    this.#query = query;
    this.#sink = sink;
    const asked = query.timeoutSeconds || Math.round(LONGEST_SECONDS * (1 + Math.random()));
    const seconds = Math.min(Math.max(asked, 0), MOST_TIMER_SECONDS);
    this.#timer = setTimeout(() => this.finish(), seconds * 1000);
    this.#leave = definition.lifetime?.onEnd(() => this.finish());
  }

  stop(): void {
    this.#over = true;
    this.#leave?.();
    clearTimeout(this.#timer);
    clearInterval(this.#bookmarks);
    this.#subscription?.close();
  }

  finish(error?: StatusError): void {
    if (this.#over) return;
    this.stop();
    this.#sink.end(error);
  }

  /** The objects there are, a few at a time and no faster than they are read; then what happened since. */
  async tellAll(items: readonly KeyValue[], revision: number): Promise<void> {
    let some: WatchItem[] = [];
    await prepareViews(this.#definition, items);
    for (const [at, item] of items.entries()) {
      if (this.#selection.everything || this.#selection.matches(slimViewOf(this.#definition, item)))
        some.push({ type: "ADDED", item, revision: item.modRevision });
      if ((at + 1) % AT_ONCE > 0) continue;
      this.#send(some);
      some = [];
      await (this.#sink.drained?.() ?? turn());
      if (this.#over) return;
    }
    if (this.#query.sendInitialEvents && this.#query.allowWatchBookmarks)
      some.push({ type: "BOOKMARK", revision, initialEventsEnd: true });
    this.#send(some);
    this.follow(revision);
  }

  follow(from: number): void {
    if (this.#over) return;
    const tell = (batch: StoreEvent[]): void => {
      if (this.#selection.everything) return this.#send(plainChanges(batch));
      const items = batch.map((event) => changeOf(this.#definition, event, this.#selection));
      this.#send(items.filter((item) => item !== undefined));
    };
    const events = this.#definition.storedAs?.conversion ? this.#converted(tell) : tell;
    const end = (error?: Error): void => this.finish(error && errorOf(error, from));
    const subscription = this.#context.store.watch(this.#prefix, from, { events, end }, this.#selection.topic);
    this.#subscription = subscription;
    if (!this.#query.allowWatchBookmarks) return;
    const bookmark = (): void => {
      // Of what still waits to be told a bookmark must not speak.
      if (this.#converting) return;
      this.#send([{ type: "BOOKMARK", revision: subscription.delivered(), initialEventsEnd: false }]);
    };
    this.#bookmarks = setInterval(bookmark, BOOKMARK_MILLIS);
  }

  /** Tells of each batch once its objects are converted, one batch after the other. */
  #converted(tell: (batch: StoreEvent[]) => void): (batch: StoreEvent[]) => void {
    return (batch) => {
      const items = batch.flatMap(({ current, previous }) => [current, previous].filter((one) => one !== undefined));
      const waiting: Promise<void> = (this.#converting ?? Promise.resolve())
        .then(() => (this.#over ? undefined : prepareViews(this.#definition, items)))
        .then(() => {
          if (!this.#over) tell(batch);
        })
        .catch((error: unknown) => this.finish(errorOf(error)))
        .finally(() => {
          if (this.#converting === waiting) this.#converting = undefined;
        });
      this.#converting = waiting;
    };
  }

  #send(items: WatchItem[]): void {
    if (items.length > 0 && !this.#over) this.#sink.send(items);
  }
}

function errorOf(error: unknown, from = 0): StatusError {
  if (error instanceof StatusError) return error;
  if (error instanceof CompactedError)
    return new StatusError("Expired", `too old resource version: ${from} (${error.compactRevision})`);
  if (error instanceof FutureRevisionError) return tooLarge(error.revision, error.currentRevision);
  return new StatusError("InternalError", error instanceof Error ? error.message : String(error));
}

const changes = new WeakMap<StoreEvent, Change>();
let latest: { batch: StoreEvent[]; changes: Change[] } | undefined;

/** What watchers of everything see of a batch that the store tells all of them in turn: the same list for all. */
function plainChanges(batch: StoreEvent[]): Change[] {
  if (latest?.batch !== batch) latest = { batch, changes: batch.map(plainChange).filter((item) => item !== undefined) };
  return latest.changes;
}

function plainChange({ current, previous, revision }: StoreEvent): Change | undefined {
  const item = current ?? previous;
  return item && { type: current ? (previous ? "MODIFIED" : "ADDED") : "DELETED", item, revision };
}

/** Plain changes of those who select: the same object for all who are shown the event as it is. */
function sharedChange(event: StoreEvent): Change | undefined {
  const known = changes.get(event);
  if (known) return known;
  const change = plainChange(event);
  if (change) changes.set(event, change);
  return change;
}

function changeOf(definition: ResourceDefinition, event: StoreEvent, selection: Selection): Change | undefined {
  const { current, previous, revision } = event;
  const is = current !== undefined && selection.matches(slimViewOf(definition, current));
  const was = previous !== undefined && selection.matches(slimViewOf(definition, previous));
  if (!is && !was) return undefined;
  if (is === (current !== undefined) && was === (previous !== undefined)) return sharedChange(event);
  if (is) return { type: was ? "MODIFIED" : "ADDED", item: current, revision };
  return previous ? { type: "DELETED", item: previous, revision } : undefined;
}
