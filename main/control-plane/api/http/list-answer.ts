/**
 * The answer to a list: as the items lie in the store, as a Table, or as metadata only. A long one is made and
 * sent a piece at a time, as fast as it is read: it never stands in memory as a whole, nor in others' way.
 */
import { once } from "node:events";
import { constants, createGzip } from "node:zlib";
import { parseExact } from "../../../../common/kube/codec/exact-integers.ts";
import type { KubeObject, ListMeta } from "../../../../common/kube/object.ts";
import { apiVersionOf } from "../../../../common/kube/object.ts";
import type { ResourceDefinition } from "../../resources/definition.ts";
import type { KeyValue } from "../../store/store.ts";
import { partsOf, passingViewOf } from "../registry/context.ts";
import { turn } from "../slices.ts";
import { partial, tableOf } from "../table.ts";
import type { IncludeObject } from "../table.ts";
import type { Exchange } from "./exchange.ts";
import { CONTENT_TYPES } from "./negotiate.ts";
import type { Format } from "./negotiate.ts";
import { PIECE_BYTES, giveBack, joined } from "./pieces.ts";

export interface ListAnswer {
  definition: ResourceDefinition;
  items: readonly KeyValue[];
  metadata: ListMeta;
  /** For Tables. */
  include: IncludeObject;
  now: Date;
}

/** A list of which this much is ready at once is sent as one piece, with its length. */
const WHOLE_BYTES = 1024 * 1024;
/** Fewer items than this are no long work. */
const FEW = 500;
/** Items whose bytes are only copied go by many, those that must be looked into by few. */
const COPIED_AT_ONCE = 2000;
const MADE_AT_ONCE = 100;
const COMMA = 0x2c;

export async function sendList(exchange: Exchange, answer: ListAnswer, format: Format): Promise<void> {
  if (format.media !== "json") return exchange.sendObject(asObject(answer, format), format);
  const pieces = piecesOf(answer, format);
  const long = answer.items.length > FEW;
  const first: Buffer[] = [];
  let size = 0;
  for (;;) {
    if (long) await turn();
    const next = pieces.next();
    if (next.done) return sendWhole(exchange, first);
    first.push(next.value);
    if ((size += next.value.length) >= WHOLE_BYTES) break;
  }
  await stream(exchange, first, pieces);
}

function sendWhole(exchange: Exchange, pieces: readonly Buffer[]): Promise<void> {
  if (pieces.length === 1) return exchange.send(pieces[0] as Buffer, CONTENT_TYPES.json);
  const whole = Buffer.concat(pieces);
  pieces.forEach(giveBack);
  return exchange.send(whole, CONTENT_TYPES.json);
}

async function stream(exchange: Exchange, first: readonly Buffer[], rest: Iterable<Buffer>): Promise<void> {
  const { request, response } = exchange;
  if (response.headersSent || response.destroyed) return;
  const zip = /\bgzip\b/.test(String(request.headers["accept-encoding"] ?? ""))
    ? createGzip({ level: constants.Z_BEST_SPEED })
    : undefined;
  response.writeHead(200, {
    "cache-control": "no-cache, private",
    "content-type": CONTENT_TYPES.json,
    ...(zip ? { "content-encoding": "gzip", vary: "Accept-Encoding" } : {}),
    ...exchange.warningHeader(),
  });
  zip?.pipe(response);
  const out = zip ?? response;
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  try {
    for (const pieces of [first, rest]) {
      for (const piece of pieces) {
        if (gone.signal.aborted) return;
        if (out.write(piece, () => giveBack(piece))) await turn();
        else await once(out, "drain", { signal: gone.signal });
      }
    }
    out.end();
  } catch (error) {
    // Whoever asked has gone: nobody is left to be told.
    if (!gone.signal.aborted) throw error;
  } finally {
    if (gone.signal.aborted) zip?.destroy();
  }
}

function piecesOf(answer: ListAnswer, { as, version = "v1" }: Format): Iterator<Buffer> & Iterable<Buffer> {
  const { definition, items, metadata, include, now } = answer;
  const options = { metadata, version, include, now };
  const views = (some: readonly KeyValue[]): KubeObject[] => some.map((item) => passingViewOf(definition, item));
  if (as === "Table") {
    const head = tableOf(definition, [], options);
    return made(
      { ...head, rows: undefined },
      "rows",
      items,
      (some) => tableOf(definition, views(some), { ...options, columns: false }).rows,
    );
  }
  if (as === "PartialObjectMetadataList") {
    const head = { kind: as, apiVersion: `meta.k8s.io/${version}`, metadata };
    return made(head, "items", items, (some) => views(some).map((object) => partial(object, version)));
  }
  return copied(answer);
}

const opening = (head: object, field: string): string =>
  `${JSON.stringify(head).slice(0, -1)},${JSON.stringify(field)}:[`;

function* made(
  head: object,
  field: string,
  items: readonly KeyValue[],
  make: (some: readonly KeyValue[]) => unknown[],
): Generator<Buffer> {
  let text = opening(head, field);
  for (let at = 0; at < items.length; at += MADE_AT_ONCE) {
    const rows = make(items.slice(at, at + MADE_AT_ONCE));
    text += (at > 0 ? "," : "") + JSON.stringify(rows).slice(1, -1);
    if (at + MADE_AT_ONCE >= items.length) break;
    yield Buffer.from(text);
    text = "";
  }
  yield Buffer.from(`${text}]}`);
}

/** Items as they are, between the list's own bytes. */
function* copied({ definition, items, metadata }: ListAnswer): Generator<Buffer> {
  const kind = definition.listKind ?? `${definition.kind}List`;
  const parts: Buffer[] = [];
  let size = 0;
  let count = 0;
  const add = (part: Buffer): void => {
    parts.push(part);
    size += part.length;
  };
  const piece = (): Buffer => {
    const made = joined(parts, size);
    parts.length = size = count = 0;
    return made;
  };
  add(Buffer.from(opening({ kind, apiVersion: apiVersionOf(definition), metadata }, "items")));
  for (const [at, item] of items.entries()) {
    const bytes = partsOf(definition, item);
    const length = bytes.reduce((sum, part) => sum + part.length, CLOSING.length);
    if (size > 0 && (size + length > PIECE_BYTES || count >= COPIED_AT_ONCE)) yield piece();
    bytes.forEach(add);
    count += 1;
    if (at + 1 < items.length) add(between);
  }
  add(CLOSING);
  yield piece();
}

const between = Buffer.from([COMMA]);
const CLOSING = Buffer.from("]}");

/** The whole list as one object, for encodings that are made of it. */
function asObject(answer: ListAnswer, format: Format): object {
  return parseExact(Buffer.concat([...piecesOf(answer, format)]).toString()) as object;
}
