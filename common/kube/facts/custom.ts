/**
 * The schemas of custom resources, beside the facts of the built-in kinds: which kinds there are just now, what
 * is pruned of their objects and what is filled in. Semantics: Kubernetes' structural schemas.
 */
import { copyOf } from "../copy.ts";
import type { GroupVersionKind } from "../object.ts";
import type { FieldProblem } from "../codec/shape.ts";
import { typeFact } from "./index.ts";

/** A structural schema, as a CustomResourceDefinition holds it (openAPIV3Schema). */
export interface StructuralSchema {
  type?: string;
  format?: string;
  title?: string;
  description?: string;
  default?: unknown;
  nullable?: boolean;
  properties?: Record<string, StructuralSchema>;
  additionalProperties?: StructuralSchema | boolean;
  items?: StructuralSchema;
  required?: string[];
  enum?: unknown[];
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: boolean;
  exclusiveMaximum?: boolean;
  multipleOf?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  minItems?: number;
  maxItems?: number;
  uniqueItems?: boolean;
  minProperties?: number;
  maxProperties?: number;
  allOf?: StructuralSchema[];
  anyOf?: StructuralSchema[];
  oneOf?: StructuralSchema[];
  not?: StructuralSchema;
  "x-kubernetes-preserve-unknown-fields"?: boolean;
  "x-kubernetes-embedded-resource"?: boolean;
  "x-kubernetes-int-or-string"?: boolean;
  "x-kubernetes-list-type"?: "atomic" | "set" | "map";
  "x-kubernetes-list-map-keys"?: string[];
  "x-kubernetes-map-type"?: "atomic" | "granular";
  "x-kubernetes-validations"?: ValidationRule[];
}

export interface ValidationRule {
  rule: string;
  message?: string;
  messageExpression?: string;
  reason?: string;
  fieldPath?: string;
  optionalOldSelf?: boolean;
}

export interface CustomKind extends GroupVersionKind {
  listKind: string;
  schema: StructuralSchema;
}

const kinds = new Map<string, CustomKind>();
const ids = new Map<string, { kind: CustomKind; list: boolean }>();
const keyOf = ({ group, version, kind }: GroupVersionKind): string => `${group}/${version}/${kind}`;

/** "com.example.v1.Widget", the name OpenAPI knows the kind by. */
export function customTypeId({ group, version }: { group: string; version: string }, kind: string): string {
  return `${group.split(".").toReversed().join(".")}.${version}.${kind}`;
}

/** From now on objects of the kind are of this schema; it replaces the one before. */
export function registerCustomKind(kind: CustomKind): void {
  kinds.set(keyOf(kind), kind);
  ids.set(customTypeId(kind, kind.kind), { kind, list: false });
  ids.set(customTypeId(kind, kind.listKind), { kind, list: true });
}

export function unregisterCustomKind(kind: GroupVersionKind): void {
  const known = kinds.get(keyOf(kind));
  if (!known) return;
  kinds.delete(keyOf(kind));
  ids.delete(customTypeId(known, known.kind));
  ids.delete(customTypeId(known, known.listKind));
}

export function customKind(gvk: GroupVersionKind): CustomKind | undefined {
  return kinds.get(keyOf(gvk));
}

/** By the name OpenAPI knows it by; `list` when it is the name of its list. */
export function customType(id: string): { kind: CustomKind; list: boolean } | undefined {
  return ids.get(id);
}

type Struct = Record<string, unknown>;
const isStruct = (value: unknown): value is Struct =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const objectFields = new Set(["apiVersion", "kind", "metadata"]);

const META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/** Takes away what the schema does not know, in place, and tells of it. `whole`: the value is an object of its own. */
export function pruneUnknown(
  value: unknown,
  schema: StructuralSchema | undefined,
  problems: FieldProblem[],
  whole = false,
): void {
  new Pruning(problems).value(value, schema, "", { whole, kept: false });
}

interface Around {
  whole: boolean;
  /** Within what keeps unknown fields. */
  kept: boolean;
}

const nested: Around = { whole: false, kept: false };

class Pruning {
  readonly #problems: FieldProblem[];

  constructor(problems: FieldProblem[]) {
    this.#problems = problems;
  }

  /** Without a schema nothing is known, unless it is within what keeps all. */
  value(value: unknown, schema: StructuralSchema | undefined, path: string, { whole, kept }: Around): void {
    const keeps = kept || schema?.["x-kubernetes-preserve-unknown-fields"] === true;
    if (keeps && !schema) return;
    // A list hands on that unknown fields are kept; a struct says so of its own only.
    if (Array.isArray(value))
      value.forEach((item, at) => this.value(item, schema?.items, `${path}[${at}]`, { whole: false, kept: keeps }));
    else if (isStruct(value)) this.#struct(value, schema, path, { whole, kept: keeps });
  }

  #struct(value: Struct, schema: StructuralSchema | undefined, path: string, { whole, kept }: Around): void {
    const embedded = schema?.["x-kubernetes-embedded-resource"] === true;
    const { properties, additionalProperties: others } = schema ?? {};
    for (const name of Object.keys(value)) {
      const at = path === "" ? name : `${path}.${name}`;
      if ((whole || embedded) && objectFields.has(name)) {
        if (embedded && name === "metadata") this.#metadata(value[name], at);
        continue;
      }
      const property = properties && Object.hasOwn(properties, name) ? properties[name] : undefined;
      if (property) this.value(value[name], property, at, nested);
      // "true" lets any name be, but knows nothing of what is below it.
      else if (others) this.value(value[name], isStruct(others) ? others : undefined, at, nested);
      else if (!kept) this.#drop(value, name, at);
    }
  }

  #metadata(value: unknown, path: string): void {
    if (!isStruct(value)) return;
    for (const name of Object.keys(value))
      if (typeFact(META)?.fields.has(name) === false) this.#drop(value, name, `${path}.${name}`);
  }

  #drop(from: Struct, name: string, path: string): void {
    this.#problems.push({ kind: "unknown", path, message: `unknown field "${path}"` });
    delete from[name];
  }
}

/** Fills in what was left out, in place; a null that may not be one counts as left out. */
export function applySchemaDefaults(value: unknown, schema: StructuralSchema | undefined): void {
  if (!schema) return;
  if (Array.isArray(value)) {
    for (const item of value) applySchemaDefaults(item, schema.items);
    return;
  }
  if (!isStruct(value)) return;
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const empty = value[name] === undefined || (value[name] === null && property.nullable !== true);
    if (empty && property.default !== undefined) value[name] = copyOf(property.default);
    else if (empty && value[name] === null) delete value[name];
    applySchemaDefaults(value[name], property);
  }
  const others = schema.additionalProperties;
  if (!isStruct(others)) return;
  for (const name of Object.keys(value)) {
    if (!schema.properties || !Object.hasOwn(schema.properties, name))
      applySchemaDefaults(value[name], others as StructuralSchema);
  }
}

/** Whether there is any default in it. */
export function hasDefaults(schema: StructuralSchema | undefined): boolean {
  if (!schema) return false;
  if (schema.default !== undefined) return true;
  const others = schema.additionalProperties;
  return (
    Object.values(schema.properties ?? {}).some(hasDefaults) ||
    hasDefaults(schema.items) ||
    (isStruct(others) && hasDefaults(others as StructuralSchema))
  );
}
