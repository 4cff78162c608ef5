/** That the items of lists of the types set and map are told apart. */
import type { StructuralSchema } from "../../../common/kube/facts/custom.ts";
import type { StatusCause } from "../../../common/kube/status.ts";
import { Problems } from "../resources/validation/problems.ts";

type Struct = Record<string, unknown>;
const isStruct = (value: unknown): value is Struct =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export interface ItemKey {
  text: string;
  shown: unknown;
}

/** undefined where the items have no key. */
export function itemKey(schema: StructuralSchema): ((item: unknown) => ItemKey) | undefined {
  if (schema["x-kubernetes-list-type"] === "set") return (item) => ({ text: JSON.stringify(item), shown: item });
  const keys = schema["x-kubernetes-list-map-keys"] ?? [];
  if (schema["x-kubernetes-list-type"] !== "map" || keys.length === 0) return undefined;
  return (item) => {
    const shown = Object.fromEntries(
      keys.flatMap((key) => (isStruct(item) && Object.hasOwn(item, key) ? [[key, item[key]]] : [])),
    );
    return { text: JSON.stringify(shown), shown };
  };
}

export function listTypeCauses(value: unknown, schema: StructuralSchema | undefined, path = ""): StatusCause[] {
  const problems = new Problems();
  walk(value, schema, path, problems);
  return problems.causes;
}

function walk(value: unknown, schema: StructuralSchema | undefined, path: string, problems: Problems): void {
  if (!schema) return;
  if (Array.isArray(value)) {
    unique(value, schema, path, problems);
    value.forEach((item, at) => walk(item, schema.items, `${path}[${at}]`, problems));
  } else if (isStruct(value)) {
    const { properties, additionalProperties: others } = schema;
    for (const [name, one] of Object.entries(value)) {
      if (properties && Object.hasOwn(properties, name))
        walk(one, properties[name], path === "" ? name : `${path}.${name}`, problems);
      else if (typeof others === "object") walk(one, others, `${path}[${name}]`, problems);
    }
  }
}

function unique(items: unknown[], schema: StructuralSchema, path: string, problems: Problems): void {
  const keyOf = itemKey(schema);
  if (!keyOf) return;
  if (schema["x-kubernetes-list-type"] === "map") {
    const odd = items.findIndex((item) => item !== null && !isStruct(item));
    if (odd >= 0) {
      problems.invalid(`${path}[${odd}]`, items[odd], "must be an object for an array of list-type map");
      return;
    }
  }
  // Of more than two that are the same, the second is told.
  const seen = new Map<string, number>();
  items.forEach((item, at) => {
    const { text, shown } = keyOf(item);
    const times = (seen.get(text) ?? 0) + 1;
    seen.set(text, times);
    if (times === 2) problems.duplicate(`${path}[${at}]`, shown);
  });
}
