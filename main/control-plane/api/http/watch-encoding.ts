/** A watch's events as bytes: lines of JSON or frames of protobuf, made once for all who watch in the same form. */
import { encodeProtobuf } from "../../../../common/kube/codec/protobuf.ts";
import { WireWriter } from "../../../../common/kube/codec/wire.ts";
import { factsFor, typeFact } from "../../../../common/kube/facts/index.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { apiVersionOf } from "../../../../common/kube/object.ts";
import { StatusError } from "../../../../common/kube/status.ts";
import type { ResourceDefinition } from "../../resources/definition.ts";
import type { ApiEnvironment } from "../environment.ts";
import { partsOf, viewOf } from "../registry/context.ts";
import type { Target } from "../registry/context.ts";
import type { Change, WatchItem } from "../registry/watch.ts";
import { messageOf, partial, readInclude, tableOf } from "../table.ts";
import { acceptable } from "./negotiate.ts";
import type { As, Format } from "./negotiate.ts";

export const WATCH_CONTENT_TYPES = {
  json: "application/json",
  protobuf: "application/vnd.kubernetes.protobuf;stream=watch",
} as const;

type WatchFormat = Format & { media: keyof typeof WATCH_CONTENT_TYPES };

const OFFERED: readonly As[] = ["Table", "PartialObjectMetadata", "PartialObjectMetadataList"];
const STATUS = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
const LENGTH_BYTES = 4;

/**
 * The form of a watch: JSON where the client takes it. YAML has no streams, protobuf of custom resources no more than
 * their metadata. Throws NotAcceptable.
 */
export function negotiateWatch(accept: string | undefined, definition: ResourceDefinition): WatchFormat {
  for (const format of acceptable(accept)) {
    const { media, as } = format;
    if (media === "yaml" || (as !== undefined && !OFFERED.includes(as))) continue;
    if (media === "json" || as !== undefined || factsFor(definition)) return { ...format, media };
  }
  throw new StatusError(
    "NotAcceptable",
    "only the following media types are accepted: application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch",
  );
}

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

/** Many events at once; put together once for all who are told the same in the same form. */
export function joined(items: readonly WatchItem[], encode: (item: WatchItem) => Buffer): Buffer {
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

function bookmark(definition: ResourceDefinition, item: { revision: number; initialEventsEnd: boolean }): KubeObject {
  return {
    kind: definition.kind,
    apiVersion: apiVersionOf(definition),
    metadata: {
      resourceVersion: String(item.revision),
      ...(item.initialEventsEnd ? { annotations: { "k8s.io/initial-events-end": "true" } } : {}),
    },
  };
}

/** A length of four bytes, then WatchEvent{ type = 1, object = 2 { raw = 1 } } whose object has its own envelope. */
function frame(type: string, object: Uint8Array): Buffer {
  const extension = new WireWriter();
  extension.bytes(1, object);
  const event = new WireWriter();
  event.string(1, type);
  event.bytes(2, extension.finish());
  const body = event.finish();
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
}

/** A frame's message, where something else keeps frames apart. */
export const withoutLength = (framed: Buffer): Buffer => framed.subarray(LENGTH_BYTES);

const protobufEncoders = new WeakMap<ResourceDefinition, (item: WatchItem) => Buffer>();
const frames = new WeakMap<Change, { definition: ResourceDefinition; framed: Buffer }>();

function protobufEncoder(definition: ResourceDefinition): (item: WatchItem) => Buffer {
  const known = protobufEncoders.get(definition);
  if (known) return known;
  const encode = (item: WatchItem): Buffer => {
    if (item.type === "BOOKMARK") return frame(item.type, encodeProtobuf(bookmark(definition, item)));
    const made = frames.get(item);
    if (made?.definition === definition) return made.framed;
    const { metadata, ...shared } = viewOf(definition, item.item);
    const object = { ...shared, metadata: { ...metadata, resourceVersion: String(item.revision) } };
    const framed = frame(item.type, encodeProtobuf(object));
    frames.set(item, { definition, framed });
    return framed;
  };
  protobufEncoders.set(definition, encode);
  return encode;
}

/** The last event of a watch that failed. */
export function errorEvent({ status }: StatusError, { media }: Format): Buffer {
  return media === "protobuf"
    ? frame("ERROR", encodeProtobuf({ ...status }, typeFact(STATUS)))
    : Buffer.from(`${JSON.stringify({ type: "ERROR", object: status })}\n`);
}

/** Turns events into the form that was negotiated. */
export function encoder(
  environment: ApiEnvironment,
  query: URLSearchParams,
  target: Target,
  format: Format,
): (item: WatchItem) => Buffer {
  const { definition } = target;
  if (!format.as) return format.media === "protobuf" ? protobufEncoder(definition) : plainEncoder(definition);
  const version = format.version ?? "v1";
  const include = format.as === "Table" ? readInclude(query.get("includeObject")) : "Metadata";
  let columns = true;
  const line = (type: string, object: unknown): Buffer =>
    format.media === "protobuf"
      ? frame(type, encodeProtobuf(object as KubeObject, messageOf(object as KubeObject)))
      : Buffer.from(`${JSON.stringify({ type, object })}\n`);
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
