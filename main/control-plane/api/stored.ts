/**
 * Objects as they lie in the store: their JSON bytes, as GET, LIST and every watcher are sent them. An object
 * is encoded once, when its write gets its revision, and parsed when someone needs to look inside.
 *
 *     {"apiVersion":"v1","kind":"Pod","metadata":{"resourceVersion":"42","name":"web",…},"spec":…}
 *                                                └── first, so that it is found to be another where an
 *                                                    object is shown at a later revision (its deletion's)
 *
 * After the last brace stands a blank where there is an integer beyond 2^53: only such an object is parsed with its
 * numbers' own digits. Whoever calculates with a field of 64 bits makes a number of it.
 */
import { exactIntegersWritten, reviveExact } from "../../../common/kube/codec/exact-integers.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import type { KeyValue } from "../store/store.ts";
import { BoundedMap } from "./bounded-map.ts";
import { shareParts } from "./common-parts.ts";

const BRACE = 0x7b;
const COMMA = 0x2c;
const LETTER_R = 0x72;
const BLANK = 0x20;

const bufferOf = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/**
 * The bytes to store, for `Store.put`. When the write is taken the object gets its resourceVersion, and is from
 * then on what readers of it share: it must not change any more.
 */
export function encodeStored(object: KubeObject): (revision: number) => Buffer {
  return (revision) => {
    const { apiVersion, kind, metadata, ...rest } = object;
    const resourceVersion = (metadata.resourceVersion = String(revision));
    // Set first it stays first: the later one of the same name only replaces its value.
    const before = exactIntegersWritten();
    const plain = JSON.stringify({ apiVersion, kind, metadata: { resourceVersion, ...metadata }, ...rest });
    const text = exactIntegersWritten() === before ? plain : `${plain} `;
    // Memory of its own: a piece of Node's shared pool would keep all of that piece's neighbours.
    const value = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
    value.write(text);
    parsed.set(value, object);
    return value;
  };
}

/** The bytes to send, in pieces that need no copy; `revision` where it differs from the value's own (a deletion's). */
export function servedParts(item: KeyValue, revision = item.modRevision): Buffer[] {
  const value = bufferOf(item.value);
  // The first brace after the outermost is metadata's: apiVersion and kind before it are plain strings.
  let at = 1;
  while (at < value.length && value[at] !== BRACE) at += 1;
  at += 1;
  // No other field of metadata begins with this letter. Values from before they held their revision have none.
  const versioned = value[at + 1] === LETTER_R;
  if (versioned && revision === item.modRevision) return [value];
  const after = versioned ? value.indexOf(COMMA, at) + 1 : at;
  return [value.subarray(0, at), Buffer.from(`"resourceVersion":"${revision}",`), value.subarray(after)];
}

const holdsExact = ({ value }: KeyValue): boolean => value[value.length - 1] === BLANK;

/** A copy of its own for whoever will change it. */
export function decodeFresh(item: KeyValue, revision = item.modRevision): KubeObject {
  const text = bufferOf(item.value).toString();
  const object = (holdsExact(item) ? reviveExact(text) : JSON.parse(text)) as KubeObject;
  object.metadata.resourceVersion = String(revision);
  return object;
}

/**
 * Parsed objects that are kept for a while, by their bytes; the oldest give way. Few enough that those of a long
 * row of writes are let go while they are young: what lives longer is moved by the garbage collector, twice.
 */
const KEPT = 256;
const parsed = new BoundedMap<Uint8Array, KubeObject>(KEPT);

/** The object, shared by all who look: never change it. */
export function decodeShared(item: KeyValue): KubeObject {
  const known = parsed.get(item.value);
  if (known) return known;
  const object = decodeFresh(item);
  parsed.set(item.value, object);
  return object;
}

/** The same for who looks at very many, once each: what others have use for is not driven out. */
export function decodePassing(item: KeyValue): KubeObject {
  return parsed.get(item.value) ?? decodeFresh(item);
}

/** The same without managedFields. */
const slim = new BoundedMap<Uint8Array, KubeObject>(KEPT);

/**
 * The object without managedFields, which are as large as all the rest and which none but the registry reads.
 * Of Pods and Nodes, which somebody keeps, all have the same; of others those who ask at about the same time.
 */
export function decodeSlim(item: KeyValue): KubeObject {
  const known = (item.view as KubeObject | undefined) ?? slim.get(item.value);
  if (known) return known;
  const object = withoutManagers(parsed.get(item.value) ?? parseSlim(item));
  slim.set(item.value, object);
  return object;
}

/** The same for whoever keeps many objects for long: what they have in common they share. */
export function decodeKept(item: KeyValue): KubeObject {
  const object = decodeSlim(item);
  if (shareParts(object)) item.view = object;
  return object;
}

function withoutManagers(object: KubeObject): KubeObject {
  const { managedFields, ...metadata } = object.metadata;
  return managedFields === undefined ? object : { ...object, metadata };
}

const MANAGERS = ',"managedFields":[';

/** Parsed without what is thrown away at once, which would be most of the work. */
function parseSlim(item: KeyValue): KubeObject {
  if (holdsExact(item)) return decodeFresh(item);
  const text = bufferOf(item.value).toString();
  const from = text.indexOf(MANAGERS);
  // In them there are no lists: the first bracket that does not stand in a name closes them.
  let to = from < 0 || text.includes('"template":{') ? -1 : text.indexOf("]", from);
  while (to >= 0 && !/^(,"|\},"|\}\})/.test(text.slice(to + 1, to + 4))) to = text.indexOf("]", to + 1);
  if (to < 0) return decodeFresh(item);
  try {
    const object = JSON.parse(text.slice(0, from) + text.slice(to + 1)) as KubeObject;
    object.metadata.resourceVersion = String(item.modRevision);
    return object;
  } catch {
    // A name with such brackets in it.
    return decodeFresh(item);
  }
}
