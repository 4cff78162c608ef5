/**
 * Sets of fields: who owns what of an object, in the form that metadata.managedFields keeps (FieldsV1).
 *
 *   spec: {containers: [{name: web, image: nginx}]}
 *
 *   f:spec ─ f:containers ─ k:{"name":"web"} ─┬─ .          the item itself
 *                                             ├─ f:name
 *                                             └─ f:image
 *
 * Lists are told apart by their schema: of items with keys (k:), of values (v:), or whole (atomic).
 */
import type { FieldFact } from "../facts/index.ts";
import type { StructuralSchema } from "../facts/custom.ts";
import { typeFact } from "../facts/index.ts";

export type Struct = Record<string, unknown>;
export const isStruct = (value: unknown): value is Struct =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * A node of the set: `member` when the path that leads here is itself in the set. Sets never change, so that one
 * made of others shares with them what is the same.
 */
export interface FieldSet {
  readonly member: boolean;
  readonly children: ReadonlyMap<string, FieldSet>;
}

const childless: ReadonlyMap<string, FieldSet> = new Map();
export const emptySet: FieldSet = { member: false, children: childless };
/** A field that is owned as it is: what most of a set's nodes are. */
export const leaf: FieldSet = { member: true, children: childless };
/** A set of these children; empty where there are none. */
export const setWith = (children: ReadonlyMap<string, FieldSet> | undefined): FieldSet =>
  children ? { member: false, children } : emptySet;
export const isEmptySet = (set: FieldSet): boolean => !set.member && set.children.size === 0;

/**
 * What is known of the value at a place: its struct type, the field that holds it, or its schema in a custom
 * resource (`whole`: an object with metadata of its own). undefined: nothing.
 */
export type Shape = { type: string } | { field: FieldFact } | { schema: StructuralSchema; whole?: boolean } | undefined;

/** How a value is owned: as one, by its keys, or item by item. */
export type Ownership =
  | { as: "whole" }
  | { as: "keys"; shapeOf(key: string): Shape }
  | { as: "items"; elementOf(item: unknown, index: number): string; item: Shape };

/** Keys of list items that may be left out, and what they then are. */
const keyDefaults: Readonly<Record<string, unknown>> = { protocol: "TCP" };
const whole: Ownership = { as: "whole" };
const unknownKeys: Ownership = { as: "keys", shapeOf: () => undefined };

/** The facts never change, and every write asks for the same few types and fields. */
const structShapes = new Map<string, Ownership>();
const mapShapes = new Map<FieldFact, Ownership>();
const listShapes = new Map<FieldFact, Ownership>();

function remembered<K>(known: Map<K, Ownership>, key: K, make: (key: K) => Ownership): Ownership {
  let ownership = known.get(key);
  if (!ownership) known.set(key, (ownership = make(key)));
  return ownership;
}

function shapeOfStruct(type: string): Ownership {
  const fact = typeFact(type);
  if (!fact || fact.atomic) return whole;
  const shapes = new Map([...fact.fields].map(([key, field]) => [key, { field }]));
  return { as: "keys", shapeOf: (key) => shapes.get(key) };
}

function shapeOfMap({ type }: FieldFact): Ownership {
  const shape = typeFact(type) ? { type } : undefined;
  return { as: "keys", shapeOf: () => shape };
}

/** Maps without a schema are owned by their keys, lists without one as a whole. */
export function ownershipOf(value: unknown, shape: Shape): Ownership {
  if (Array.isArray(value)) return listOwnership(shape);
  if (!isStruct(value)) return whole;
  if (shape === undefined) return unknownKeys;
  if ("type" in shape) return remembered(structShapes, shape.type, shapeOfStruct);
  if ("schema" in shape) return schemaShape(shape.schema, shape.whole === true);
  const { field } = shape;
  if (field.atomic) return whole;
  if (field.map) return remembered(mapShapes, field, shapeOfMap);
  if (field.type === "RawExtension" || field.type === "FieldsV1") return whole;
  return remembered(structShapes, field.type, shapeOfStruct);
}

const META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

function schemaShape(schema: StructuralSchema, own: boolean): Ownership {
  if (schema["x-kubernetes-map-type"] === "atomic") return whole;
  return {
    as: "keys",
    shapeOf(key) {
      if (key === "metadata" && (own || schema["x-kubernetes-embedded-resource"])) return { type: META };
      const property = schema.properties?.[key];
      if (property) return { schema: property };
      return typeof schema.additionalProperties === "object" ? { schema: schema.additionalProperties } : undefined;
    },
  };
}

function schemaList(schema: StructuralSchema): Ownership {
  if (schema["x-kubernetes-list-type"] === "set")
    return { as: "items", elementOf: (item) => `v:${JSON.stringify(item)}`, item: undefined };
  const keys = schema["x-kubernetes-list-map-keys"] ?? [];
  if (schema["x-kubernetes-list-type"] !== "map" || keys.length === 0) return whole;
  return {
    as: "items",
    item: schema.items && { schema: schema.items },
    elementOf(item) {
      const values: Struct = {};
      for (const key of keys.toSorted()) {
        const value = (isStruct(item) ? item[key] : undefined) ?? schema.items?.properties?.[key]?.default;
        if (value !== undefined) values[key] = value;
      }
      return `k:${JSON.stringify(values)}`;
    },
  };
}

function listOwnership(shape: Shape): Ownership {
  if (shape && "schema" in shape) return schemaList(shape.schema);
  return shape && "field" in shape ? remembered(listShapes, shape.field, shapeOfList) : whole;
}

function shapeOfList(field: FieldFact): Ownership {
  if (field.listType === "set") {
    return { as: "items", elementOf: (item) => `v:${JSON.stringify(item)}`, item: undefined };
  }
  const keys = field.listType === "map" ? (field.listMapKeys ?? []).toSorted() : [];
  if (keys.length === 0) return whole;
  const fact = typeFact(field.type);
  return {
    as: "items",
    item: { type: field.type },
    elementOf(item) {
      const values: Struct = {};
      for (const key of keys) {
        const own = isStruct(item) ? item[key] : undefined;
        const value = own ?? fact?.fields.get(key)?.default ?? keyDefaults[key];
        if (value !== undefined) values[key] = value;
      }
      return `k:${JSON.stringify(values)}`;
    },
  };
}

/**
 * Where a value is put: into something that was there, if only as an empty struct ("present"), or where nothing was
 * ("fresh"): there its maps, lists and structs are fields of their own.
 */
export type Place = "present" | "fresh";

/** Go writes a struct that is no pointer, and a list that may not be left out, in any case: it is never new. */
export function placeOf(shape: Shape): Place {
  if (shape === undefined || "schema" in shape) return "fresh";
  if ("type" in shape) return shape.type === META ? "present" : "fresh";
  const { list, namedList, map, omitempty, pointer } = shape.field;
  return (list || namedList || map ? omitempty : pointer) ? "fresh" : "present";
}

/** Every field of a value. `at`: with the maps, lists and structs that are new there; absent: without. */
export function setOf(value: unknown, shape: Shape, at?: Place): FieldSet {
  const ownership = ownershipOf(value, shape);
  if (ownership.as === "whole") return leaf;
  const children = new Map<string, FieldSet>();
  const member = at === "fresh";
  if (ownership.as === "keys") {
    for (const key of Object.keys(value as Struct)) {
      const one = (value as Struct)[key];
      if (one === undefined) continue;
      const inner = ownership.shapeOf(key);
      children.set(`f:${key}`, setOf(one, inner, at === "present" ? placeOf(inner) : at));
    }
    // What is there and empty is owned as it is.
    return children.size === 0 ? leaf : { member, children };
  }
  for (const [index, item] of (value as unknown[]).entries()) {
    const element = ownership.elementOf(item, index);
    const own = asMember(setOf(item, ownership.item, at && "fresh"));
    const twin = children.get(element);
    children.set(element, twin ? union(twin, own) : own);
  }
  return { member, children };
}

/** The same, its own path in it. */
export const asMember = (set: FieldSet): FieldSet => (set.member ? set : { member: true, children: set.children });

/** Both together. */
export function union(a: FieldSet, b: FieldSet): FieldSet {
  if (a === b || isEmptySet(b)) return a;
  if (isEmptySet(a)) return b;
  const children = new Map(a.children);
  for (const [element, right] of b.children) {
    const left = children.get(element);
    children.set(element, left ? union(left, right) : right);
  }
  return { member: a.member || b.member, children };
}

/** What is in `a` and not in `b`: `a` itself where they have nothing in common. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  let children: Map<string, FieldSet> | undefined;
  for (const [element, right] of b.children) {
    const left = a.children.get(element);
    const rest = left && difference(left, right);
    if (!rest || rest === left) continue;
    children ??= new Map(a.children);
    if (isEmptySet(rest)) children.delete(element);
    else children.set(element, rest);
  }
  const member = a.member && !b.member;
  return children || member !== a.member ? { member, children: children ?? a.children } : a;
}

/** What is in both, in the order of `a`. */
export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  const children = new Map<string, FieldSet>();
  for (const [element, one] of a.children) {
    const other = b.children.get(element);
    const both = other && intersection(one, other);
    if (both && !isEmptySet(both)) children.set(element, both);
  }
  return { member: a.member && b.member, children };
}

export function sameSet(a: FieldSet, b: FieldSet): boolean {
  if (a === b) return true;
  if (a.member !== b.member || a.children.size !== b.children.size) return false;
  for (const [element, left] of a.children) {
    const right = b.children.get(element);
    if (!right || !sameSet(left, right)) return false;
  }
  return true;
}

/** The member paths, each as its elements. */
export function* members(set: FieldSet, path: string[] = []): Iterable<string[]> {
  if (set.member && path.length > 0) yield path;
  for (const [element, child] of set.children) yield* members(child, [...path, element]);
}

/** The node at a path, or undefined. */
export function nodeAt(set: FieldSet, path: readonly string[]): FieldSet | undefined {
  let node: FieldSet | undefined = set;
  for (const element of path) node = node?.children.get(element);
  return node;
}

export function toFieldsV1(set: FieldSet): Record<string, unknown> {
  const json: Record<string, unknown> = {};
  if (set.children.size === 0) return json;
  if (set.member) json["."] = {};
  for (const element of [...set.children.keys()].toSorted()) {
    json[element] = toFieldsV1(set.children.get(element) as FieldSet);
  }
  return json;
}

export function fromFieldsV1(json: unknown): FieldSet {
  const elements = isStruct(json) ? Object.keys(json) : [];
  if (elements.length === 0) return leaf;
  const children = new Map<string, FieldSet>();
  for (const element of elements) if (element !== ".") children.set(element, fromFieldsV1((json as Struct)[element]));
  return { member: Object.hasOwn(json as Struct, "."), children };
}

/** ".spec.containers[name=\"web\"].image" */
export function showPath(path: readonly string[]): string {
  return path
    .map((element) => {
      const rest = element.slice(2);
      if (element.startsWith("f:")) return `.${rest}`;
      if (element.startsWith("v:")) return `[=${rest}]`;
      if (element.startsWith("i:")) return `[${rest}]`;
      const keys = Object.entries(JSON.parse(rest) as Struct);
      return `[${keys.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(",")}]`;
    })
    .join("");
}
