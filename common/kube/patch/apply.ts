/**
 * Server-side apply: who owns which field, what an applied configuration changes and takes away, and where
 * it meets others. Semantics: Kubernetes' "Server-Side Apply" (structured merge).
 */
import type { GroupVersionKind, KubeObject } from "../object.ts";
import { apiVersionOf } from "../object.ts";
import { customKind } from "../facts/custom.ts";
import { factsFor } from "../facts/index.ts";
import type { FieldSet, Shape, Struct } from "./field-set.ts";
import {
  difference,
  emptySet,
  intersection,
  isEmptySet,
  isStruct,
  members,
  nodeAt,
  ownershipOf,
  sameSet,
  setOf,
  union,
} from "./field-set.ts";
import type { Manager } from "./managers.ts";
import { conflictError, isSame, readManagers, stamp, writeManagers } from "./managers.ts";

const beforeFirst = "before-first-apply";

/** Nobody owns these: the server does. */
const serverFields = new Set([
  "name",
  "namespace",
  "creationTimestamp",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
  "selfLink",
  "uid",
  "generation",
  "resourceVersion",
  "managedFields",
]);

export interface ApplyOptions {
  /** What is stored now; undefined where the object is to be made. */
  live?: KubeObject | undefined;
  /** The configuration as it was sent, without defaults. */
  applied: KubeObject;
  manager: string;
  /** Takes over what others own instead of failing. */
  force: boolean;
  gvk: GroupVersionKind;
  subresource?: string | undefined;
  now: Date;
}

export interface TrackOptions {
  before?: KubeObject | undefined;
  /** Its managedFields are put right, in place. */
  after: KubeObject;
  manager: string;
  subresource?: string | undefined;
  now: Date;
}

function shapeFor(gvk: GroupVersionKind): Shape {
  const fact = factsFor(gvk);
  if (fact) return { type: fact.id };
  const custom = customKind(gvk);
  return custom && { schema: custom.schema, whole: true };
}

/** An object without what the server owns: what managers can own of it. */
function ownable(object: KubeObject): Struct {
  const { apiVersion: _a, kind: _k, metadata, ...rest } = object;
  const kept = Object.entries(metadata ?? {}).filter(([key]) => !serverFields.has(key));
  return kept.length > 0 ? { ...rest, metadata: Object.fromEntries(kept) } : rest;
}

function ownSet(object: KubeObject, shape: Shape): FieldSet {
  const set = setOf(ownable(object), shape);
  set.member = false;
  return set;
}

/**
 * The object as it will be: the configuration merged into what is stored, what this manager applied before
 * and left out now taken away unless others own it, managedFields put right. Neither input is changed.
 * Throws StatusError Conflict, with a FieldManagerConflict cause for every field that another manager owns
 * with another value, unless `force`.
 */
export function serverSideApply(options: ApplyOptions): KubeObject {
  const { live, applied, manager, force, gvk, subresource = "", now } = options;
  const shape = shapeFor(gvk);
  const apiVersion = apiVersionOf(gvk);
  const self = { manager, operation: "Apply" as const, apiVersion, subresource };
  const managers = readManagers(live);
  if (live && managers.length === 0) {
    const set = ownSet(live, shape);
    managers.push({ manager: beforeFirst, operation: "Update", apiVersion, subresource: "", time: stamp(now), set });
  }
  const config = ownSet(applied, shape);
  const mine = managers.find((one) => isSame(one, self));
  const others = managers.filter((one) => one !== mine);

  const base: KubeObject = live ? structuredClone(live) : { apiVersion, kind: gvk.kind, metadata: {} };
  const { managedFields: _, ...metadata } = applied.metadata;
  const merged = merge(base, { ...applied, metadata }, shape) as KubeObject;
  if (mine) {
    const gone = difference(mine.set, config);
    // An item before its fields: without its keys it would not be found.
    for (const path of [...members(gone)].toSorted((a, b) => a.length - b.length)) {
      if (isKeyOfItem(path)) continue;
      const stillOwned = [...others.map(({ set }) => set), config].some((set) => {
        const node = nodeAt(set, path);
        return node !== undefined && !isEmptySet(node);
      });
      if (!stillOwned) remove(merged, path, shape);
    }
  }

  const change = compare(live ? ownable(live) : {}, ownable(merged), shape);
  const touched = union(change.modified, change.added);
  const conflicts = others.flatMap((other) =>
    [...members(intersection(intersection(other.set, touched), config))].map((path) => ({ other, path })),
  );
  if (conflicts.length > 0 && !force) throw conflictError(conflicts);
  for (const other of others) other.set = difference(other.set, union(intersection(touched, config), change.removed));
  const unchanged = mine !== undefined && sameSet(mine.set, config);
  const entry: Manager = { ...self, set: config, time: unchanged && isEmptySet(touched) ? mine.time : stamp(now) };
  merged.metadata.managedFields = writeManagers([...others, entry]);
  return merged;
}

/** After a write that was no apply: the writer owns what it changed, and nobody else does any more. */
export function trackUpdate(options: TrackOptions): void {
  const { before, after, manager, subresource = "", now } = options;
  const { apiVersion } = after;
  const slash = apiVersion.indexOf("/");
  const gvk = {
    group: slash < 0 ? "" : apiVersion.slice(0, slash),
    version: apiVersion.slice(slash + 1),
    kind: after.kind,
  };
  const shape = shapeFor(gvk);
  if (!before) {
    // Everything is new, and nobody else's.
    const first: Manager = {
      manager,
      operation: "Update",
      apiVersion,
      subresource,
      time: stamp(now),
      set: ownSet(after, shape),
    };
    setManagers(after, [first]);
    return;
  }
  // A client may empty the list to begin anew; one that sends none leaves it.
  const managers = readManagers(after.metadata.managedFields === undefined ? before : after);
  const change = compare(ownable(before), ownable(after), shape);
  const touched = union(change.modified, change.added);
  const self = { manager, operation: "Update" as const, apiVersion, subresource };
  let mine = managers.find((one) => isSame(one, self));
  const lost = union(change.modified, change.removed);
  for (const other of managers) if (other !== mine) other.set = difference(other.set, lost);
  if (!mine) {
    mine = { ...self, time: "", set: emptySet() };
    managers.push(mine);
  }
  const set = difference(union(mine.set, touched), change.removed);
  if (!sameSet(set, mine.set)) mine.time = stamp(now);
  mine.set = set;
  setManagers(after, managers);
}

function setManagers({ metadata }: KubeObject, managers: readonly Manager[]): void {
  const entries = writeManagers(managers);
  if (entries.length > 0) metadata.managedFields = entries;
  else delete metadata.managedFields;
}

/** `over` laid onto `base`, field by field as they are owned. */
function merge(base: unknown, over: unknown, shape: Shape): unknown {
  const ownership = ownershipOf(over, shape);
  if (ownership.as === "keys" && isStruct(base)) {
    const result: Struct = { ...base };
    for (const [key, value] of Object.entries(over as Struct)) {
      if (value === undefined) continue;
      result[key] = merge(result[key], value, ownership.shapeOf(key));
    }
    return result;
  }
  if (ownership.as === "items" && Array.isArray(base)) {
    const result: unknown[] = [...base];
    const places = new Map(result.map((item, index) => [ownership.elementOf(item, index), index]));
    for (const [index, item] of (over as unknown[]).entries()) {
      const place = places.get(ownership.elementOf(item, index));
      if (place === undefined) result.push(structuredClone(item));
      else result[place] = merge(result[place], item, ownership.item);
    }
    return result;
  }
  return structuredClone(over);
}

/** "name" of [name="web"]: it goes with its item only. */
function isKeyOfItem(path: readonly string[]): boolean {
  const item = path.at(-2);
  const field = path.at(-1) ?? "";
  return item?.startsWith("k:") === true && Object.hasOwn(JSON.parse(item.slice(2)) as Struct, field.slice(2));
}

/** Takes away what is at a path; what is empty for it goes too. */
function remove(value: unknown, path: readonly string[], shape: Shape): void {
  const [element, ...rest] = path;
  const ownership = ownershipOf(value, shape);
  if (element === undefined || ownership.as === "whole") return;
  if (ownership.as === "keys") {
    const struct = value as Struct;
    const key = element.slice(2);
    if (rest.length > 0) remove(struct[key], rest, ownership.shapeOf(key));
    const left = struct[key];
    const emptied = Array.isArray(left) ? left.length === 0 : isStruct(left) && Object.keys(left).length === 0;
    if (rest.length === 0 || (emptied && key !== "metadata")) delete struct[key];
    return;
  }
  const list = value as unknown[];
  const at = list.findIndex((item, index) => ownership.elementOf(item, index) === element);
  if (at < 0) return;
  if (rest.length === 0) list.splice(at, 1);
  else remove(list[at], rest, ownership.item);
}

interface Comparison {
  added: FieldSet;
  modified: FieldSet;
  removed: FieldSet;
}

/** What is new, other and gone, in fields. */
function compare(before: unknown, after: unknown, shape: Shape): Comparison {
  const result: Comparison = { added: emptySet(), modified: emptySet(), removed: emptySet() };
  walk(before, after, shape, result);
  return result;
}

function walk(before: unknown, after: unknown, shape: Shape, at: Comparison): void {
  if (before === undefined && after === undefined) return;
  if (before === undefined) {
    at.added = union(at.added, setOf(after, shape));
    return;
  }
  if (after === undefined) {
    at.removed = union(at.removed, setOf(before, shape));
    return;
  }
  const ownership = ownershipOf(after, shape);
  const sameForm = ownershipOf(before, shape).as === ownership.as;
  if (ownership.as === "keys" && sameForm && isStruct(before)) {
    const now = after as Struct;
    for (const key of new Set([...Object.keys(before), ...Object.keys(now)])) {
      descend(`f:${key}`, before[key], now[key], ownership.shapeOf(key), at);
    }
  } else if (ownership.as === "items" && sameForm && Array.isArray(before)) {
    const index = (list: unknown[]): Map<string, unknown> =>
      new Map(list.map((item, place) => [ownership.elementOf(item, place), item]));
    const then = index(before);
    const now = index(after as unknown[]);
    for (const element of new Set([...then.keys(), ...now.keys()])) {
      descend(element, then.get(element), now.get(element), ownership.item, at, true);
    }
  } else if (!equal(before, after)) {
    at.modified.member = true;
  }
}

function descend(element: string, before: unknown, after: unknown, shape: Shape, at: Comparison, item = false): void {
  const below: Comparison = { added: emptySet(), modified: emptySet(), removed: emptySet() };
  walk(before, after, shape, below);
  if (item && before === undefined) below.added.member = true;
  if (item && after === undefined) below.removed.member = true;
  for (const part of ["added", "modified", "removed"] as const) {
    if (!isEmptySet(below[part])) at[part].children.set(element, below[part]);
  }
}

function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [left, right] = [a as Struct, b as Struct];
  const keys = new Set([...Object.keys(left), ...Object.keys(right)]);
  return [...keys].every((key) => equal(left[key], right[key]));
}
