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
import { CompactedError } from "../../store/store.ts";
import type { KeyValue, StoreEvent } from "../../store/store.ts";
import { keyPrefix } from "../catalog.ts";
import { viewOf } from "./context.ts";
import type { RegistryContext } from "./context.ts";
import { reach, revisionOf } from "./read.ts";
import { selectionOf } from "./selection.ts";
import type { Selection } from "./selection.ts";

export interface WatchQuery {
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
  resourceVersion?: string | undefined;
  resourceVersionMatch?: string | undefined;
  allowWatchBookmarks?: boolean;
  sendInitialEvents?: boolean | undefined;
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
  /** Once, at the end: nothing is sent after it. Without an error the watch is just over. */
  end(error?: StatusError): void;
}

const BOOKMARK_MILLIS = 55_000;
/** Without a timeout of the client's a watch lasts between one and two of these. */
const LONGEST_SECONDS = 1800;

/** Resolves when the watch is under way; its stop ends it without a call of `end`. Throws StatusError. */
export async function watchObjects(
  context: RegistryContext,
  definition: ResourceDefinition,
  namespace: string | undefined,
  query: WatchQuery,
  sink: WatchSink,
): Promise<() => void> {
  const selection = selectionOf(definition, query);
  checkInitial(query);
  const { store } = context;
  const asked = revisionOf(query.resourceVersion);
  const prefix = keyPrefix(definition, namespace);
  if (asked > 0) await reach(store, asked);
  const initial = query.sendInitialEvents ?? asked === 0;
  let from = asked;
  let begun: WatchItem[] = [];
  if (initial) {
    const { items, revision } = await store.list(prefix, { topic: selection.topic });
    begun = items
      .filter((item) => selection.everything || selection.matches(viewOf(definition, item)))
      .map((item) => ({ type: "ADDED", item, revision: item.modRevision }));
    from = revision;
    if (query.sendInitialEvents && query.allowWatchBookmarks) {
      begun.push({ type: "BOOKMARK", revision, initialEventsEnd: true });
    }
  } else if (query.sendInitialEvents === false && asked === 0) from = store.revision();
  return follow(context, definition, prefix, from, selection, query, sink, begun);
}

function follow(
  context: RegistryContext,
  definition: ResourceDefinition,
  prefix: string,
  from: number,
  selection: Selection,
  query: WatchQuery,
  sink: WatchSink,
  begun: WatchItem[],
): () => void {
  let over = false;
  const finish = (error?: StatusError): void => {
    if (over) return;
    stop();
    sink.end(error);
  };
  const seconds = query.timeoutSeconds || Math.round(LONGEST_SECONDS * (1 + Math.random()));
  const timer = setTimeout(() => finish(), seconds * 1000);
  const bookmarks = query.allowWatchBookmarks
    ? setInterval(
        () => sink.send([{ type: "BOOKMARK", revision: subscription.delivered(), initialEventsEnd: false }]),
        BOOKMARK_MILLIS,
      )
    : undefined;
  if (begun.length > 0) sink.send(begun);
  const subscription = context.store.watch(
    prefix,
    from,
    {
      events(batch) {
        const items: WatchItem[] = [];
        for (const event of batch) {
          const item = changeOf(definition, event, selection);
          if (item) items.push(item);
        }
        if (items.length > 0 && !over) sink.send(items);
      },
      end(error) {
        if (error instanceof CompactedError) {
          const message = `too old resource version: ${from} (${error.compactRevision})`;
          finish(new StatusError("Expired", message));
        } else if (error) finish(new StatusError("InternalError", error.message));
        else finish();
      },
    },
    selection.topic,
  );
  const stop = (): void => {
    over = true;
    clearTimeout(timer);
    clearInterval(bookmarks);
    subscription.close();
  };
  return stop;
}

const changes = new WeakMap<StoreEvent, Change>();

/** What a watcher of everything sees of an event; the same object for all of them. */
function plainChange(event: StoreEvent): Change | undefined {
  const known = changes.get(event);
  if (known) return known;
  const { current, previous, revision } = event;
  const item = current ?? previous;
  if (!item) return undefined;
  const change: Change = { type: current ? (previous ? "MODIFIED" : "ADDED") : "DELETED", item, revision };
  changes.set(event, change);
  return change;
}

function changeOf(definition: ResourceDefinition, event: StoreEvent, selection: Selection): Change | undefined {
  const plain = plainChange(event);
  if (!plain || selection.everything) return plain;
  const { current, previous, revision } = event;
  const is = current !== undefined && selection.matches(viewOf(definition, current));
  const was = previous !== undefined && selection.matches(viewOf(definition, previous));
  if (!is && !was) return undefined;
  if (is === (current !== undefined) && was === (previous !== undefined)) return plain;
  if (is) return { type: was ? "MODIFIED" : "ADDED", item: current, revision };
  return previous ? { type: "DELETED", item: previous, revision } : undefined;
}

function checkInitial(query: WatchQuery): void {
  const refuse = (field: string, why: string): never => {
    throw new StatusError("Invalid", `ListOptions.meta.k8s.io "" is invalid: ${field}: Forbidden: ${why}`, {
      group: "meta.k8s.io",
      kind: "ListOptions",
      causes: [{ reason: "FieldValueForbidden", message: `Forbidden: ${why}`, field }],
    });
  };
  if (query.sendInitialEvents !== undefined && query.resourceVersionMatch !== "NotOlderThan") {
    refuse("resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
  }
  if (query.sendInitialEvents === undefined && query.resourceVersionMatch) {
    refuse("resourceVersionMatch", "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
  }
}
