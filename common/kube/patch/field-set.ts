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

/** A node of the set: `member` when the path that leads here is itself in the set. */
export interface FieldSet {
  member: boolean;
  children: Map<string, FieldSet>;
}

export const emptySet = (): FieldSet => ({ member: false, children: new Map() });
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

/** The facts never change, and every write asks for the same few types. */
const structShapes = new Map<string, Ownership>();

function structShape(type: string): Ownership {
  let shape = structShapes.get(type);
  if (!shape) structShapes.set(type, (shape = shapeOfStruct(type)));
  return shape;
}

function shapeOfStruct(type: string): Ownership {
  const fact = typeFact(type);
  if (!fact || fact.atomic) return whole;
  const shapes = new Map([...fact.fields].map(([key, field]) => [key, { field }]));
  return { as: "keys", shapeOf: (key) => shapes.get(key) };
}

/** Maps without a schema are owned by their keys, lists without one as a whole. */
export function ownershipOf(value: unknown, shape: Shape): Ownership {
  if (Array.isArray(value)) return listOwnership(shape);
  if (!isStruct(value)) return whole;
  if (shape === undefined) return { as: "keys", shapeOf: () => undefined };
  if ("type" in shape) return structShape(shape.type);
  if ("schema" in shape) return schemaShape(shape.schema, shape.whole === true);
  const { field } = shape;
  if (field.atomic) return whole;
  if (field.map) return { as: "keys", shapeOf: () => (typeFact(field.type) ? { type: field.type } : undefined) };
  if (field.type === "RawExtension" || field.type === "FieldsV1") return whole;
  return structShape(field.type);
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
  const field = shape && "field" in shape ? shape.field : undefined;
  if (field?.listType === "set") {
    return { as: "items", elementOf: (item) => `v:${JSON.stringify(item)}`, item: undefined };
  }
  const keys = field?.listType === "map" ? (field.listMapKeys ?? []) : [];
  if (!field || keys.length === 0) return whole;
  const fact = typeFact(field.type);
  return {
    as: "items",
    item: { type: field.type },
    elementOf(item) {
      const values: Struct = {};
      for (const key of keys.toSorted()) {
        const own = isStruct(item) ? item[key] : undefined;
        const value = own ?? fact?.fields.get(key)?.default ?? keyDefaults[key];
        if (value !== undefined) values[key] = value;
      }
      return `k:${JSON.stringify(values)}`;
    },
  };
}

/** Every field of a value. */
export function setOf(value: unknown, shape: Shape): FieldSet {
  const set = emptySet();
  fill(set, value, shape);
  return set;
}

function fill(set: FieldSet, value: unknown, shape: Shape): void {
  const ownership = ownershipOf(value, shape);
  if (ownership.as === "whole") {
    set.member = true;
  } else if (ownership.as === "keys") {
    let empty = true;
    for (const key of Object.keys(value as Struct)) {
      const one = (value as Struct)[key];
      if (one === undefined) continue;
      empty = false;
      fill(childOf(set, `f:${key}`), one, ownership.shapeOf(key));
    }
    // What is there and empty is owned as it is.
    if (empty) set.member = true;
  } else {
    (value as unknown[]).forEach((item, index) => {
      const child = childOf(set, ownership.elementOf(item, index));
      fill(child, item, ownership.item);
      child.member = true;
    });
  }
}

function childOf(set: FieldSet, element: string): FieldSet {
  let child = set.children.get(element);
  if (!child) set.children.set(element, (child = emptySet()));
  return child;
}

/** Both together; neither is changed. */
export function union(a: FieldSet, b: FieldSet): FieldSet {
  const result: FieldSet = { member: a.member || b.member, children: new Map() };
  for (const [element, left] of a.children) {
    const right = b.children.get(element);
    result.children.set(element, right ? union(left, right) : left);
  }
  for (const [element, right] of b.children) if (!a.children.has(element)) result.children.set(element, right);
  return result;
}

/** What is in `a` and not in `b`. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  return combine(a, b, (left, right) => left && !right, true);
}

export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  return combine(a, b, (left, right) => left && right, false);
}

function combine(a: FieldSet, b: FieldSet, keep: (left: boolean, right: boolean) => boolean, alone: boolean): FieldSet {
  const result: FieldSet = { member: keep(a.member, b.member), children: new Map() };
  for (const [element, left] of a.children) {
    const right = b.children.get(element);
    const child = right ? combine(left, right, keep, alone) : alone ? left : undefined;
    if (child && !isEmptySet(child)) result.children.set(element, child);
  }
  return result;
}

export function sameSet(a: FieldSet, b: FieldSet): boolean {
  return isEmptySet(difference(a, b)) && isEmptySet(difference(b, a));
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
  if (set.member && set.children.size > 0) json["."] = {};
  for (const element of [...set.children.keys()].toSorted()) {
    json[element] = toFieldsV1(set.children.get(element) as FieldSet);
  }
  return json;
}

export function fromFieldsV1(json: unknown): FieldSet {
  const set = emptySet();
  const entries = isStruct(json) ? Object.entries(json) : [];
  if (entries.length === 0) set.member = true;
  for (const [element, inner] of entries) {
    if (element === ".") set.member = true;
    else set.children.set(element, fromFieldsV1(inner));
  }
  return set;
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
