/**
 * Server-side apply: who owns which field, what an applied configuration changes and takes away, and where
 * it meets others. Semantics: Kubernetes' "Server-Side Apply" (structured merge).
 */
import { copyOf } from "../copy.ts";
import type { GroupVersionKind, KubeObject, ObjectMeta } from "../object.ts";
import { apiVersionOf } from "../object.ts";
import { customKind } from "../facts/custom.ts";
import { factsFor } from "../facts/index.ts";
import { atOnce } from "../steps.ts";
import type { Steps } from "../steps.ts";
import type { FieldSet, Shape, Struct } from "./field-set.ts";
import {
  asMember,
  difference,
  emptySet,
  intersection,
  isEmptySet,
  isStruct,
  leaf,
  members,
  nodeAt,
  ownershipOf,
  placeOf,
  sameSet,
  setOf,
  setWith,
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
  /** A field that is written in another way ("status", by its subresource), and so is not owned by this. */
  without?: string;
  now: Date;
}

function shapeFor(gvk: GroupVersionKind): Shape {
  const fact = factsFor(gvk);
  if (fact) return { type: fact.id };
  const custom = customKind(gvk);
  return custom && { schema: custom.schema, whole: true };
}

/** An object without what the server owns: what managers can own of it. */
function ownable(object: KubeObject, without?: string): Struct {
  const own: Struct = {};
  for (const key of Object.keys(object))
    if (key !== "apiVersion" && key !== "kind" && key !== "metadata" && key !== without) own[key] = object[key];
  const metadata: Struct = {};
  let any = false;
  for (const key of Object.keys(object.metadata ?? {})) {
    if (serverFields.has(key)) continue;
    metadata[key] = object.metadata[key as keyof ObjectMeta];
    any = true;
  }
  if (any) own["metadata"] = metadata;
  return own;
}

/** What an object that was not there before gives to the one who writes it. */
const newSet = (object: KubeObject, shape: Shape, without?: string): FieldSet =>
  asRoot(setOf(ownable(object, without), shape, "present"));

const asRoot = (set: FieldSet): FieldSet => ({ ...set, member: false });

/**
 * The object as it will be: the configuration merged into what is stored, what this manager applied before
 * and left out now taken away unless others own it, managedFields put right. Neither input is changed.
 * Throws StatusError Conflict, with a FieldManagerConflict cause for every field that another manager owns
 * with another value, unless `force`.
 */
export function serverSideApply(options: ApplyOptions): KubeObject {
  return atOnce(applySteps(options));
}

/** The same in steps. */
export function* applySteps(options: ApplyOptions): Steps<KubeObject> {
  const { live, applied, manager, force, gvk, subresource = "", now } = options;
  const shape = shapeFor(gvk);
  const apiVersion = apiVersionOf(gvk);
  const self = { manager, operation: "Apply" as const, apiVersion, subresource };
  const managers = readManagers(live);
  if (live && managers.length === 0) {
    const set = newSet(live, shape);
    managers.push({ manager: beforeFirst, operation: "Update", apiVersion, subresource: "", time: stamp(now), set });
  }
  yield;
  const config = asRoot(setOf(ownable(applied), shape));
  const mine = managers.find((one) => isSame(one, self));
  const others = managers.filter((one) => one !== mine);

  const base: KubeObject = live ? copyOf(live) : { apiVersion, kind: gvk.kind, metadata: {} };
  yield;
  const { managedFields: _, ...metadata } = applied.metadata;
  const merged = merge(base, { ...applied, metadata }, shape) as KubeObject;
  yield;
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

  yield;
  const change = compare(live ? ownable(live) : {}, ownable(merged), shape);
  const touched = union(change.modified, change.added);
  yield;
  const taken = intersection(touched, config);
  yield;
  const conflicts =
    force || isEmptySet(taken)
      ? []
      : others.flatMap((other) => [...members(intersection(other.set, taken))].map((path) => ({ other, path })));
  if (conflicts.length > 0) throw conflictError(conflicts);
  const lost = union(taken, change.removed);
  for (const other of isEmptySet(lost) ? [] : others) {
    yield;
    other.set = difference(other.set, lost);
  }
  yield;
  const unchanged = mine !== undefined && sameSet(mine.set, config);
  const entry: Manager = { ...self, set: config, time: unchanged && isEmptySet(touched) ? mine.time : stamp(now) };
  yield;
  merged.metadata.managedFields = writeManagers([...others, entry], true);
  return merged;
}

/** After a write that was no apply: the writer owns what it changed, and nobody else does any more. */
export function trackUpdate(options: TrackOptions): void {
  atOnce(trackSteps(options));
}

/** The same in steps. */
export function* trackSteps(options: TrackOptions): Steps<void> {
  const { before, after, manager, subresource = "", without, now } = options;
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
      set: newSet(after, shape, without),
    };
    yield;
    setManagers(after, [first], false);
    return;
  }
  // A client may empty the list to begin anew; one that sends none leaves it.
  const given = after.metadata.managedFields;
  const asStored = given === undefined || equal(given, before.metadata.managedFields);
  yield;
  const managers = readManagers(asStored ? before : after);
  const change = compare(ownable(before, without), ownable(after, without), shape);
  const touched = union(change.modified, change.added);
  yield;
  const self = { manager, operation: "Update" as const, apiVersion, subresource };
  let mine = managers.find((one) => isSame(one, self));
  const lost = union(change.modified, change.removed);
  for (const other of isEmptySet(lost) ? [] : managers) {
    if (other === mine) continue;
    other.set = difference(other.set, lost);
    yield;
  }
  if (!mine) {
    mine = { ...self, time: "", set: emptySet };
    managers.push(mine);
  }
  const set = difference(union(mine.set, touched), change.removed);
  if (!sameSet(set, mine.set)) mine.time = stamp(now);
  mine.set = set;
  yield;
  setManagers(after, managers, asStored);
}

function setManagers({ metadata }: KubeObject, managers: readonly Manager[], reuse: boolean): void {
  const entries = writeManagers(managers, reuse);
  if (entries.length > 0) metadata.managedFields = entries;
  else delete metadata.managedFields;
}

/** `over` laid onto `base`, which is changed, field by field as they are owned. */
function merge(base: unknown, over: unknown, shape: Shape): unknown {
  const ownership = ownershipOf(over, shape);
  if (ownership.as === "keys" && isStruct(base)) {
    for (const key of Object.keys(over as Struct)) {
      const value = (over as Struct)[key];
      if (value !== undefined) base[key] = merge(base[key], value, ownership.shapeOf(key));
    }
    return base;
  }
  if (ownership.as === "items" && Array.isArray(base)) {
    const result: unknown[] = [...base];
    const places = new Map(result.map((item, index) => [ownership.elementOf(item, index), index]));
    for (const [index, item] of (over as unknown[]).entries()) {
      const place = places.get(ownership.elementOf(item, index));
      if (place === undefined) result.push(copyOf(item));
      else result[place] = merge(result[place], item, ownership.item);
    }
    return result;
  }
  return copyOf(over);
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

const noDifference: Comparison = { added: emptySet, modified: emptySet, removed: emptySet };
const modifiedAsOne: Comparison = { ...noDifference, modified: leaf };

/** What is new, other and gone, in fields. What both have in common as one and the same is not looked into. */
function compare(before: unknown, after: unknown, shape: Shape): Comparison {
  if (before === after) return noDifference;
  if (before === undefined) return { ...noDifference, added: setOf(after, shape, placeOf(shape)) };
  if (after === undefined) return { ...noDifference, removed: setOf(before, shape, "fresh") };
  const ownership = ownershipOf(after, shape);
  const sameForm = ownershipOf(before, shape).as === ownership.as;
  if (ownership.as === "keys" && sameForm && isStruct(before)) {
    const now = after as Struct;
    const found = new Differences();
    for (const key of Object.keys(now))
      if (before[key] !== now[key]) found.add(`f:${key}`, compare(before[key], now[key], ownership.shapeOf(key)));
    for (const key of Object.keys(before))
      if (now[key] === undefined) found.add(`f:${key}`, compare(before[key], undefined, ownership.shapeOf(key)));
    return found.all();
  }
  if (ownership.as === "items" && sameForm && Array.isArray(before)) {
    const index = (list: unknown[]): Map<string, unknown> =>
      new Map(list.map((item, place) => [ownership.elementOf(item, place), item]));
    const then = index(before);
    const now = index(after as unknown[]);
    const found = new Differences();
    for (const [element, item] of now) {
      const difference = compare(then.get(element), item, ownership.item);
      found.add(element, then.has(element) ? difference : { ...difference, added: asMember(difference.added) });
    }
    for (const [element, item] of then) {
      if (now.has(element)) continue;
      const { removed } = compare(item, undefined, ownership.item);
      found.add(element, { ...noDifference, removed: asMember(removed) });
    }
    return found.all();
  }
  return equal(before, after) ? noDifference : modifiedAsOne;
}

/** The differences of a value's parts, put together. */
class Differences {
  #added: Map<string, FieldSet> | undefined;
  #modified: Map<string, FieldSet> | undefined;
  #removed: Map<string, FieldSet> | undefined;

  add(element: string, { added, modified, removed }: Comparison): void {
    if (!isEmptySet(added)) (this.#added ??= new Map()).set(element, added);
    if (!isEmptySet(modified)) (this.#modified ??= new Map()).set(element, modified);
    if (!isEmptySet(removed)) (this.#removed ??= new Map()).set(element, removed);
  }

  all(): Comparison {
    return { added: setWith(this.#added), modified: setWith(this.#modified), removed: setWith(this.#removed) };
  }
}

function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [left, right] = [a as Struct, b as Struct];
  // A field that is undefined is as one that is not there.
  return (
    Object.keys(left).every((key) => equal(left[key], right[key])) &&
    Object.keys(right).every((key) => left[key] !== undefined || right[key] === undefined)
  );
}
