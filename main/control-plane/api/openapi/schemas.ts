/** JSON schemas of the built-in types, from the schema facts, in the two dialects of OpenAPI. */
import type { FieldFact, TypeFact } from "../../../../common/kube/facts/index.ts";
import { customType } from "../../../../common/kube/facts/custom.ts";
import { allKinds, typeFact } from "../../../../common/kube/facts/index.ts";
import { customSchema } from "./custom.ts";
import { describe } from "./descriptions.ts";

export type Schema = Record<string, unknown>;
export type Dialect = "v2" | "v3";

const meta = "io.k8s.apimachinery.pkg.apis.meta.v1.";
const quantity = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const intOrString = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
const rawExtension = "io.k8s.apimachinery.pkg.runtime.RawExtension";

const plain: Record<string, Schema> = {
  string: { type: "string" },
  int32: { type: "integer", format: "int32" },
  int64: { type: "integer", format: "int64" },
  boolean: { type: "boolean" },
  double: { type: "number", format: "double" },
  bytes: { type: "string", format: "byte" },
  byte: { type: "string", format: "byte" },
};

/** Scalars that the API gives a name of their own. */
const named: Record<string, string> = {
  Time: `${meta}Time`,
  MicroTime: `${meta}MicroTime`,
  Duration: `${meta}Duration`,
  FieldsV1: `${meta}FieldsV1`,
  Quantity: quantity,
  IntOrString: intOrString,
  RawExtension: rawExtension,
};

const namedSchemas: Record<string, (dialect: Dialect) => Schema> = {
  [`${meta}Time`]: () => ({ type: "string", format: "date-time" }),
  [`${meta}MicroTime`]: () => ({ type: "string", format: "date-time" }),
  [`${meta}Duration`]: () => ({ type: "string" }),
  [`${meta}FieldsV1`]: () => ({ type: "object" }),
  [`${meta}Patch`]: () => ({ type: "object" }),
  [quantity]: (dialect) =>
    dialect === "v2" ? { type: "string" } : { oneOf: [{ type: "string" }, { type: "number" }] },
  [intOrString]: (dialect) =>
    dialect === "v2"
      ? { type: "string", format: "int-or-string" }
      : { oneOf: [{ type: "integer" }, { type: "string" }], format: "int-or-string" },
  [rawExtension]: () => ({ type: "object" }),
};

export const root = (dialect: Dialect): string => (dialect === "v2" ? "#/definitions/" : "#/components/schemas/");

/** The types a schema refers to are added to `used`. */
export function typeSchema(id: string, dialect: Dialect, used: Set<string>): Schema {
  const special = namedSchemas[id];
  if (special) return special(dialect);
  const custom = customType(id);
  if (custom) return customSchema(custom.kind, custom.list, dialect, used);
  const fact = typeFact(id);
  const words = describe(id);
  const schema: Schema = { ...(words.description ? { description: words.description } : {}), type: "object" };
  if (!fact) return schema;
  const properties: Record<string, Schema> = {};
  if (fact.kind) Object.assign(properties, typeMeta(id));
  const required: string[] = [];
  for (const [name, field] of fact.fields) {
    properties[name] = fieldSchema(field, words.fields.get(name), dialect, used);
    if (field.required) required.push(name);
  }
  if (Object.keys(properties).length > 0) schema["properties"] = sorted(properties);
  if (required.length > 0) schema["required"] = required.toSorted();
  if (fact.atomic) schema["x-kubernetes-map-type"] = "atomic";
  const kinds = kindsOf(fact);
  if (kinds.length > 0) schema["x-kubernetes-group-version-kind"] = kinds;
  return schema;
}

function typeMeta(id: string): Record<string, Schema> {
  const words = describe(id).fields;
  return {
    apiVersion: {
      description: words.get("apiVersion") ?? "The group and version of the object's schema.",
      type: "string",
    },
    kind: { description: words.get("kind") ?? "The kind of the object.", type: "string" },
  };
}

const kindsByType = Map.groupBy(allKinds(), (kind) => kind.type);

function kindsOf(fact: TypeFact): { group: string; kind: string; version: string }[] {
  return (kindsByType.get(fact.id) ?? []).map(({ group, kind, version }) => ({ group, kind, version }));
}

function fieldSchema(field: FieldFact, words: string | undefined, dialect: Dialect, used: Set<string>): Schema {
  const description = words ? { description: words } : {};
  const extensions: Schema = {
    ...(field.listMapKeys ? { "x-kubernetes-list-map-keys": field.listMapKeys } : {}),
    ...(field.listType ? { "x-kubernetes-list-type": field.listType } : {}),
    ...(field.atomic && !field.list ? { "x-kubernetes-map-type": "atomic" } : {}),
    ...(field.patchMergeKey ? { "x-kubernetes-patch-merge-key": field.patchMergeKey } : {}),
    ...(field.patchStrategy ? { "x-kubernetes-patch-strategy": field.patchStrategy } : {}),
  };
  const item = itemSchema(field, dialect, used);
  if (field.list || field.namedList) return { ...description, type: "array", items: item, ...extensions };
  if (field.map) {
    const values = field.listValues ? { type: "array", items: item } : item;
    return { ...description, type: "object", additionalProperties: values, ...extensions };
  }
  const byDefault = field.default === undefined ? {} : { default: field.default };
  // A $ref takes no companions in v3: it is wrapped.
  if ("$ref" in item && dialect === "v3") return { ...description, allOf: [item], ...byDefault, ...extensions };
  return { ...item, ...description, ...byDefault, ...extensions };
}

function itemSchema(field: FieldFact, dialect: Dialect, used: Set<string>): Schema {
  const scalar = plain[field.type];
  if (scalar) {
    // Lists of bytes are lists of texts; the enum is the items' own.
    return { ...scalar, ...(field.enum ? { enum: field.enum } : {}) };
  }
  const id = named[field.type] ?? field.type;
  used.add(id);
  return { $ref: root(dialect) + id };
}

/** All schemas that `ids` need, themselves included. */
export function closure(ids: Iterable<string>, dialect: Dialect): Record<string, Schema> {
  const schemas: Record<string, Schema> = {};
  const waiting = [...ids];
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    if (schemas[id]) continue;
    const used = new Set<string>();
    schemas[id] = typeSchema(id, dialect, used);
    waiting.push(...used);
  }
  return sorted(schemas);
}

export function sorted<T>(record: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
