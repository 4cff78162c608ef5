/** A watch as a stream of JSON lines. Events are encoded once for all who watch in the same form. */
import { apiVersionOf } from "../../../../common/kube/object.ts";
import type { StatusError } from "../../../../common/kube/status.ts";
import type { ResourceDefinition } from "../../resources/definition.ts";
import type { ApiEnvironment } from "../environment.ts";
import { partsOf, viewOf } from "../registry/context.ts";
import type { Target } from "../registry/context.ts";
import { watchObjects } from "../registry/watch.ts";
import type { Change, WatchItem, WatchSink } from "../registry/watch.ts";
import { partial, readInclude, tableOf } from "../table.ts";
import type { Exchange } from "./exchange.ts";
import { answerOutput } from "./watch-output.ts";
import type { WatchOutput } from "./watch-output.ts";
import { negotiate } from "./negotiate.ts";
import type { Format } from "./negotiate.ts";
import { isTrue } from "./request-info.ts";
import type { RequestInfo } from "./request-info.ts";

const END = Buffer.from("}\n");
/** Lines by what they tell, for each kind that shows it: Events are shown as two. */
const lines = new WeakMap<Change, { definition: ResourceDefinition; line: Buffer }>();

/** `{"type":"ADDED","object":…}` */
function plainLine(definition: ResourceDefinition, change: Change): Buffer {
  const known = lines.get(change);
  if (known?.definition === definition) return known.line;
  const line = Buffer.concat([
    Buffer.from(`{"type":"${change.type}","object":`),
    ...partsOf(definition, change.item, change.revision),
    END,
  ]);
  lines.set(change, { definition, line });
  return line;
}

let latest: { items: readonly WatchItem[]; encode: (item: WatchItem) => Buffer; bytes: Buffer } | undefined;

/** Many lines at once; put together once for all who are told the same in the same form. */
function joined(items: readonly WatchItem[], encode: (item: WatchItem) => Buffer): Buffer {
  if (items.length === 1) return encode(items[0] as WatchItem);
  if (latest?.items !== items || latest.encode !== encode)
    latest = { items, encode, bytes: Buffer.concat(items.map(encode)) };
  return latest.bytes;
}

const plainEncoders = new WeakMap<ResourceDefinition, (item: WatchItem) => Buffer>();

/** Plain JSON of a kind: one encoder for all, as its lines are the same for all. */
function plainEncoder(definition: ResourceDefinition): (item: WatchItem) => Buffer {
  const known = plainEncoders.get(definition);
  if (known) return known;
  const encode = (item: WatchItem): Buffer =>
    item.type === "BOOKMARK"
      ? Buffer.from(`${JSON.stringify({ type: "BOOKMARK", object: bookmark(definition, item) })}\n`)
      : plainLine(definition, item);
  plainEncoders.set(definition, encode);
  return encode;
}

function bookmark(definition: ResourceDefinition, item: { revision: number; initialEventsEnd: boolean }): object {
  return {
    kind: definition.kind,
    apiVersion: apiVersionOf(definition),
    metadata: {
      resourceVersion: String(item.revision),
      ...(item.initialEventsEnd ? { annotations: { "k8s.io/initial-events-end": "true" } } : {}),
    },
  };
}

/** Turns events into lines in the form that was negotiated. */
function encoder(
  environment: ApiEnvironment,
  query: URLSearchParams,
  target: Target,
  format: Format,
): (item: WatchItem) => Buffer {
  const { definition } = target;
  if (!format.as) return plainEncoder(definition);
  const version = format.version ?? "v1";
  const include = readInclude(query.get("includeObject"));
  let columns = true;
  const line = (type: string, object: unknown): Buffer => Buffer.from(`${JSON.stringify({ type, object })}\n`);
  return (item) => {
    if (item.type === "BOOKMARK") {
      const object = bookmark(definition, item);
      if (format.as === "Table") {
        // kubectl reads the mark of the initial events' end from the row's object.
        const row = { cells: [], object };
        const metadata = { resourceVersion: String(item.revision) };
        return line("BOOKMARK", {
          kind: "Table",
          apiVersion: `meta.k8s.io/${version}`,
          metadata,
          columnDefinitions: [],
          rows: item.initialEventsEnd ? [row] : [],
        });
      }
      return line("BOOKMARK", { ...object, kind: "PartialObjectMetadata", apiVersion: `meta.k8s.io/${version}` });
    }
    const shared = viewOf(definition, item.item);
    const metadata = { resourceVersion: String(item.revision) };
    const object = { ...shared, metadata: { ...shared.metadata, ...metadata } };
    if (format.as !== "Table") return line(item.type, partial(object, version));
    const table = tableOf(definition, [object], {
      metadata,
      version,
      include,
      now: environment.registry.now(),
      columns,
    });
    columns = false;
    return line(item.type, table);
  };
}

/** Resolves when the watch is under way: what goes wrong before is an ordinary answer. Throws StatusError. */
export function streamWatch(environment: ApiEnvironment, exchange: Exchange, target: Target): Promise<void> {
  const { info, request } = exchange;
  return watchInto(environment, info, target, request.headers.accept, answerOutput(exchange));
}

/** The same for any output. */
export async function watchInto(
  environment: ApiEnvironment,
  { query }: Pick<RequestInfo, "query">,
  target: Target,
  accept: string | undefined,
  output: WatchOutput,
): Promise<void> {
  const { definition, namespace, name } = target;
  const format = negotiate(accept, ["Table", "PartialObjectMetadata", "PartialObjectMetadataList"]);
  const encode = encoder(environment, query, target, format);
  const waiting: WatchItem[] = [];
  let open = false;
  let over = false;
  const write = (items: WatchItem[]): void => {
    if (over) return;
    if (output.oneByOne) for (const item of items) output.write(encode(item));
    else output.write(joined(items, encode));
  };
  const sink: WatchSink = {
    send(items) {
      if (open) write(items);
      else waiting.push(...items);
    },
    drained: () => (over ? Promise.resolve() : output.drained()),
    end(error?: StatusError) {
      if (over) return;
      if (error) output.write(Buffer.from(`${JSON.stringify({ type: "ERROR", object: error.status })}\n`));
      over = true;
      output.end();
    },
  };
  const fieldSelector = [query.get("fieldSelector"), name === undefined ? undefined : `metadata.name=${name}`];
  const stop = await watchObjects(
    environment.registry,
    definition,
    namespace,
    {
      labelSelector: query.get("labelSelector") ?? undefined,
      fieldSelector: fieldSelector.filter(Boolean).join(",") || undefined,
      resourceVersion: query.get("resourceVersion") ?? undefined,
      resourceVersionMatch: query.get("resourceVersionMatch") ?? undefined,
      allowWatchBookmarks: isTrue(query.get("allowWatchBookmarks")),
      sendInitialEvents: query.has("sendInitialEvents") ? isTrue(query.get("sendInitialEvents")) : undefined,
      timeoutSeconds: Number(query.get("timeoutSeconds") ?? 0) || undefined,
    },
    sink,
  );
  if (output.isClosed()) return stop();
  environment.metrics.watches.add(1);
  output.onceClosed(() => {
    over = true;
    environment.metrics.watches.add(-1);
    stop();
  });
  output.open();
  open = true;
  if (waiting.length > 0) write(waiting);
}
