/**
 * Strategic merge patch: a merge patch that knows from the schema which lists merge by which key, with
 * the directives $patch, $retainKeys, $deleteFromPrimitiveList/… and $setElementOrder/….
 * Reference: Kubernetes community, "strategic-merge-patch.md".
 */
import { copyOf } from "../copy.ts";
import { factsFor, typeFact } from "../facts/index.ts";
import type { FieldFact, TypeFact } from "../facts/index.ts";
import type { GroupVersionKind } from "../object.ts";
import { StatusError } from "../status.ts";

type Struct = Record<string, unknown>;
const isStruct = (value: unknown): value is Struct =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const DELETE_FROM = "$deleteFromPrimitiveList/";
const ORDER = "$setElementOrder/";

/** Returns the patched copy. Throws StatusError: UnsupportedMediaType without a schema, BadRequest for a malformed patch. */
export function applyStrategicMergePatch<T extends object>(target: T, patch: unknown, gvk: GroupVersionKind): T {
  const fact = factsFor(gvk);
  if (!fact) {
    throw new StatusError(
      "UnsupportedMediaType",
      "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
    );
  }
  if (!isStruct(patch))
    throw new StatusError("BadRequest", "error decoding patch: a strategic merge patch must be an object");
  return mergeStruct(copyOf(target) as Struct, patch, fact) as T;
}

function mergeStruct(target: Struct, patch: Struct, fact: TypeFact | undefined): Struct {
  const directive = patch["$patch"];
  if (directive === "replace") {
    const { $patch: _, ...rest } = patch;
    return stripDirectives(rest) as Struct;
  }
  if (directive === "delete") return {};
  if (directive !== undefined && directive !== "merge") throw unknownDirective(directive);
  const result: Struct = { ...target };
  const retain = patch["$retainKeys"];
  if (retain !== undefined) {
    if (!Array.isArray(retain)) throw new StatusError("BadRequest", "invalid patch format of retainKeys");
    for (const key of Object.keys(patch)) {
      if (!key.startsWith("$") && patch[key] !== null && !retain.includes(key))
        throw new StatusError("BadRequest", "patch contains fields not present in the $retainKeys list");
    }
    for (const key of Object.keys(result)) if (!retain.includes(key)) delete result[key];
  }
  for (const [key, value] of Object.entries(patch)) {
    if (key === "$patch" || key === "$retainKeys") continue;
    if (key.startsWith(DELETE_FROM)) {
      const name = key.slice(DELETE_FROM.length);
      if (!Array.isArray(value)) throw new StatusError("BadRequest", `invalid patch format of ${key}`);
      if (Array.isArray(result[name]))
        result[name] = (result[name] as unknown[]).filter((item) => !value.includes(item));
      continue;
    }
    if (key.startsWith(ORDER)) continue;
    if (value === null) {
      delete result[key];
      continue;
    }
    result[key] = mergeValue(result[key], value, fact?.fields.get(key), key);
    if (result[key] === undefined) delete result[key];
  }
  for (const [key, order] of Object.entries(patch)) {
    if (!key.startsWith(ORDER)) continue;
    const name = key.slice(ORDER.length);
    const current = result[name];
    if (!Array.isArray(order)) throw new StatusError("BadRequest", `invalid patch format of ${key}`);
    const mergeKey = fact?.fields.get(name)?.patchMergeKey;
    checkOrder(key, order, patch[name], mergeKey);
    if (Array.isArray(current)) result[name] = reorder(current, order, mergeKey, (target[name] ?? []) as unknown[]);
  }
  return result;
}

const unknownDirective = (directive: unknown): StatusError =>
  new StatusError(
    "BadRequest",
    `Unknown patch type found: ${typeof directive === "string" ? directive : JSON.stringify(directive)}`,
  );

/** An order must name what the patch writes into the list, in the order in which it stands there. Throws BadRequest. */
function checkOrder(key: string, order: readonly unknown[], items: unknown, mergeKey: string | undefined): void {
  const keyOf = (item: unknown): unknown => {
    if (mergeKey === undefined) return item;
    if (isStruct(item) && item[mergeKey] !== undefined) return item[mergeKey];
    throw new StatusError("BadRequest", `${key}: ${JSON.stringify(item)} does not contain the merge key ${mergeKey}`);
  };
  const named = order.map(keyOf);
  if (!Array.isArray(items) || items.some((item) => isStruct(item) && item["$patch"] === "replace")) return;
  let next = 0;
  for (const item of items) {
    if (isStruct(item) && item["$patch"] === "delete") continue;
    const at = named.indexOf(keyOf(item), next);
    if (at < 0) {
      const why = `The order in patch list: ${JSON.stringify(items)} doesn't match ${key}: ${JSON.stringify(order)}`;
      throw new StatusError("BadRequest", why);
    }
    next = at + 1;
  }
}

function mergeValue(target: unknown, patch: unknown, field: FieldFact | undefined, key: string): unknown {
  const type = field ? typeFact(field.type) : undefined;
  const strategies = field?.patchStrategy?.split(",") ?? [];
  if (Array.isArray(patch)) {
    if (!strategies.includes("merge") || !field?.list) return stripDirectives(patch);
    if (patch.some((item) => isStruct(item) && item["$patch"] === "replace")) {
      return stripDirectives(patch.filter((item) => !(isStruct(item) && item["$patch"] === "replace")));
    }
    const list = Array.isArray(target) ? target : [];
    return field.patchMergeKey === undefined
      ? mergeScalars(list, patch)
      : mergeList(list, patch, field.patchMergeKey, type, key);
  }
  if (isStruct(patch)) {
    if (field?.list) throw new StatusError("BadRequest", `expected an array for ${key} in the patch, got an object`);
    // A map's values are structs of the field's type; a struct field is that type itself.
    if (patch["$patch"] === "delete") return undefined;
    if (strategies.includes("replace")) return stripDirectives(patch);
    if (field?.map && type) {
      const result: Struct = isStruct(target) ? { ...target } : {};
      for (const [name, value] of Object.entries(patch)) {
        if (value === null) delete result[name];
        else
          result[name] = isStruct(value) ? mergeStruct(isStruct(result[name]) ? result[name] : {}, value, type) : value;
      }
      return result;
    }
    return mergeStruct(isStruct(target) ? target : {}, patch, field?.map ? undefined : type);
  }
  return patch;
}

function mergeScalars(target: unknown[], patch: unknown[]): unknown[] {
  return reorder([...new Set([...target, ...patch])], patch, undefined, target);
}

function mergeList(
  target: unknown[],
  patch: unknown[],
  mergeKey: string,
  type: TypeFact | undefined,
  key: string,
): unknown[] {
  let result = [...target];
  const added: unknown[] = [];
  for (const item of patch) {
    if (!isStruct(item)) throw new StatusError("BadRequest", `invalid patch: expected objects in the list ${key}`);
    const directive = item["$patch"];
    if (directive === "merge")
      throw new StatusError("BadRequest", "merging lists cannot yet be specified in the patch");
    if (directive !== undefined && directive !== "delete") throw unknownDirective(directive);
    if (item[mergeKey] === undefined) {
      throw new StatusError(
        "BadRequest",
        `map: ${JSON.stringify(item)} does not contain declared merge key: ${mergeKey}`,
      );
    }
    const same = (other: unknown): boolean => isStruct(other) && other[mergeKey] === item[mergeKey];
    if (directive === "delete") {
      result = result.filter((other) => !same(other));
      continue;
    }
    const at = result.findIndex(same);
    if (at >= 0) result[at] = mergeStruct(result[at] as Struct, item, type);
    else added.push(stripDirectives(item));
  }
  // Without an order from the client the patch's own order is one.
  return reorder([...result, ...added], patch, mergeKey, target);
}

/**
 * Items named by the order stand in it, the others (the server's own) as they stood. Where the two meet, an item of
 * the server's goes first only when the original list had both, and had it first:
 *
 *     original [a b c]   order [c n a]   gives   [b c n a]: b was before c; n was nowhere
 *
 * A key that stands twice in the list, as a Service's port of two protocols does, counts where it stands first.
 */
function reorder(current: unknown[], order: unknown[], mergeKey: string | undefined, original: unknown[]): unknown[] {
  const keyOf = (item: unknown): unknown => (mergeKey !== undefined && isStruct(item) ? item[mergeKey] : item);
  const rank = new Map(order.map((item, at) => [keyOf(item), at]));
  const position = new Map(original.map((item, at) => [keyOf(item), at] as const).toReversed());
  const placeOf = (item: unknown, otherwise: number): number => position.get(keyOf(item)) ?? otherwise;
  const named = current
    .filter((item) => rank.has(keyOf(item)))
    .toSorted((a, b) => (rank.get(keyOf(a)) as number) - (rank.get(keyOf(b)) as number));
  const others = current
    .filter((item) => !rank.has(keyOf(item)))
    .toSorted((a, b) => placeOf(a, Number.MAX_SAFE_INTEGER) - placeOf(b, Number.MAX_SAFE_INTEGER));
  const result: unknown[] = [];
  let next = 0;
  for (const item of named) {
    const place = placeOf(item, -1);
    while (next < others.length && placeOf(others[next], Number.MAX_SAFE_INTEGER) < place) {
      result.push(others[next]);
      next += 1;
    }
    result.push(item);
  }
  return [...result, ...others.slice(next)];
}

/** New content must not carry directives into the object. */
function stripDirectives(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.filter((item) => !(isStruct(item) && item["$patch"] === "delete")).map(stripDirectives);
  }
  if (!isStruct(value)) return value;
  const result: Struct = {};
  for (const [key, child] of Object.entries(value)) {
    if (key === "$patch" || key === "$retainKeys" || key.startsWith(DELETE_FROM) || key.startsWith(ORDER)) continue;
    if (child !== null) result[key] = stripDirectives(child);
  }
  return result;
}
