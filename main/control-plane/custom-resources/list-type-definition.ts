/** What a schema must be for its lists and maps to be of the types it says (x-kubernetes-list-type, -map-type). */
import type { StructuralSchema } from "../../../common/kube/facts/custom.ts";
import type { StatusCause } from "../../../common/kube/status.ts";
import { Problems } from "../resources/validation/problems.ts";

export function listTypeProblems(schema: StructuralSchema, field: string): StatusCause[] {
  const problems = new Problems();
  const { type = "", "x-kubernetes-list-type": list, "x-kubernetes-map-type": map } = schema;
  const mustBe = (wanted: string, key: string): void => {
    const words = `must be ${wanted} if ${key} is specified`;
    if (type === "") problems.required(`${field}.type`, words);
    else problems.invalid(`${field}.type`, type, words);
  };
  if (map !== undefined) {
    if (type !== "object") mustBe("object", "x-kubernetes-map-type");
    if (!["atomic", "granular"].includes(map))
      problems.notSupported(`${field}.x-kubernetes-map-type`, map, ["atomic", "granular"]);
  }
  if (list !== undefined && type !== "array") mustBe("array", "x-kubernetes-list-type");
  else if (list === "set") atomicItems(schema, field, problems);
  if (list !== undefined && !["atomic", "set", "map"].includes(list))
    problems.notSupported(`${field}.x-kubernetes-list-type`, list, ["atomic", "set", "map"]);
  const keys = schema["x-kubernetes-list-map-keys"] ?? [];
  if (keys.length > 0 && list !== "map") {
    const words = "must be map if x-kubernetes-list-map-keys is non-empty";
    if (list === undefined) problems.required(`${field}.x-kubernetes-list-type`, words);
    else problems.invalid(`${field}.x-kubernetes-list-type`, list, words);
  }
  if (list === "map") mapItems(schema, keys, field, problems);
  if (list === "map" || list === "set") {
    if (schema.items?.nullable)
      problems.forbidden(`${field}.items.nullable`, `cannot be nullable when x-kubernetes-list-type is ${list}`);
    if (list === "map") keyFields(schema, keys, field, problems);
  }
  return problems.causes;
}

/** The items of a set are the same or not as a whole. */
function atomicItems({ items }: StructuralSchema, field: string, problems: Problems): void {
  const words = "must be atomic as item of a list with x-kubernetes-list-type=set";
  const { type, "x-kubernetes-list-type": list, "x-kubernetes-map-type": map } = items ?? {};
  if (type === "array" && list !== undefined && list !== "atomic")
    problems.invalid(`${field}.items.x-kubernetes-list-type`, list, words);
  if (type === "object" && map !== "atomic") problems.invalid(`${field}.items.x-kubernetes-map-type`, null, words);
}

function mapItems({ items }: StructuralSchema, keys: readonly string[], field: string, problems: Problems): void {
  const place = `${field}.x-kubernetes-list-map-keys`;
  if (keys.length === 0) problems.required(place, "must not be empty if x-kubernetes-list-type is map");
  if (!items) {
    problems.required(`${field}.items`, "must have a schema if x-kubernetes-list-type is map");
    return;
  }
  if (items.type !== "object") {
    const words = "must be object if parent array's x-kubernetes-list-type is map";
    problems.invalid(`${field}.items.type`, items.type ?? "", words);
    return;
  }
  keys.forEach((key, at) => {
    const property = items.properties?.[key];
    if (property?.type === "array" || property?.type === "object")
      problems.invalid(
        `${field}.items.properties[${key}].type`,
        items.type,
        "must be a scalar type if parent array's x-kubernetes-list-type is map",
      );
    else if (!property) problems.invalid(place, keys, "entries must all be names of item properties");
    if (keys.indexOf(key) < at) problems.invalid(place, keys, "must not contain duplicate entries");
  });
}

function keyFields({ items }: StructuralSchema, keys: readonly string[], field: string, problems: Problems): void {
  for (const key of keys) {
    const property = items?.properties?.[key];
    if (!property) continue;
    const place = `${field}.items.properties[${key}]`;
    if (property.default === undefined && !items?.required?.includes(key))
      problems.required(
        `${place}.default`,
        "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
      );
    if (property.nullable)
      problems.forbidden(
        `${place}.nullable`,
        "this property is in x-kubernetes-list-map-keys, so it cannot be nullable",
      );
  }
}
