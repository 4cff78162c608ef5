/**
 * Objects as they lie in the store: JSON bytes without a resourceVersion, which only the write itself
 * decides. It is put in where it belongs when the bytes go out, so a stored object is encoded once and
 * the same bytes serve every reader.
 *
 *     stored   {"apiVersion":"v1","kind":"Pod","metadata":{"name":"web",…},"spec":…}
 *     served   {"apiVersion":"v1","kind":"Pod","metadata":{"resourceVersion":"42","name":"web",…},"spec":…}
 *                                                          └── at a place found by its first "metadata"
 */
import type { KubeObject } from "../../../common/kube/object.ts";
import type { KeyValue } from "../store/store.ts";

const METADATA = Buffer.from('"metadata":{');

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The bytes to store. apiVersion, kind and metadata come first: `serve` relies on it. */
export function encodeStored(object: KubeObject): Buffer {
  const { apiVersion, kind, metadata, ...rest } = object;
  const { resourceVersion: _, ...kept } = metadata;
  return Buffer.from(JSON.stringify({ apiVersion, kind, metadata: kept, ...rest }));
}

/** The bytes to send, in pieces; `revision` where it differs from the value's own (a deletion's). */
export function servedParts(item: KeyValue, revision = item.modRevision): [Buffer, Buffer, Buffer] {
  const value = bufferOf(item.value);
  const at = value.indexOf(METADATA) + METADATA.length;
  return [value.subarray(0, at), Buffer.from(`"resourceVersion":"${revision}",`), value.subarray(at)];
}

/** A copy of its own for whoever will change it. */
export function decodeFresh(item: KeyValue, revision = item.modRevision): KubeObject {
  const object = JSON.parse(bufferOf(item.value).toString()) as KubeObject;
  object.metadata.resourceVersion = String(revision);
  return object;
}

/** Parsed objects that are kept for a while; the least recent give way. */
const KEPT = 4096;
const kept: (KubeObject | undefined)[] = Array.from({ length: KEPT });
let next = 0;
const parsed = new WeakMap<KeyValue, WeakRef<KubeObject>>();

/** The object, shared by all who look: never change it. */
export function decodeShared(item: KeyValue): KubeObject {
  const known = parsed.get(item)?.deref();
  if (known) return known;
  const object = decodeFresh(item);
  keepParsed(item, object);
  return object;
}

/** What was just written need not be parsed again. The object must not change from here on. */
export function keepParsed(item: KeyValue, object: KubeObject): void {
  parsed.set(item, new WeakRef(object));
  kept[next] = object;
  next = (next + 1) % KEPT;
}
