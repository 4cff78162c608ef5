/** CEL's types from structural schemas, for checking expressions before they run. */
import type { Environment } from "@marcbachmann/cel-js";
import { escapeName } from "./values.ts";
import type { ValueSchema } from "./values.ts";

/**
 * Declares what the schema needs and answers with the type's name. `name` becomes part of the names. `declared`: the types of
 * schemas before; what has the same schema is of one type, so that an object can be compared with what it was.
 */
export function declareTypes(
  environment: Environment,
  name: string,
  schema: ValueSchema,
  declared: Map<ValueSchema, string>,
): string {
  let serial = 0;
  const declare = (one: ValueSchema): string => {
    // A value that may be null is compared with null, which a type of its own would not allow.
    if (one.nullable || one["x-kubernetes-int-or-string"]) return "dyn";
    switch (one.type) {
      case "boolean":
        return "bool";
      case "integer":
        return "int";
      case "number":
        return "double";
      case "string":
        return textType(one.format);
      case "array":
        return `list<${one.items ? declare(one.items) : "dyn"}>`;
      case "object":
        return objectType(one);
      default:
        return "dyn";
    }
  };
  const objectType = (one: ValueSchema): string => {
    if (one["x-kubernetes-preserve-unknown-fields"] || one["x-kubernetes-embedded-resource"]) return "dyn";
    const known = declared.get(one);
    if (known !== undefined) return known;
    const values = one.additionalProperties;
    if (values !== undefined && !one.properties)
      return `map<string, ${typeof values === "object" ? declare(values) : "dyn"}>`;
    const fields: Record<string, string> = {};
    for (const [field, property] of Object.entries(one.properties ?? {})) {
      const escaped = escapeName(field);
      if (escaped !== undefined) fields[escaped] = declare(property);
    }
    serial += 1;
    const type = `object.${name}${serial}`;
    environment.registerType(type, { fields });
    // Checking asks for the overload only: at run time they are maps.
    environment.registerOperator(`${type} == ${type}`, () => false);
    declared.set(one, type);
    return type;
  };
  return declare(schema);
}

function textType(format: string | undefined): string {
  if (format === "date" || format === "date-time") return "google.protobuf.Timestamp";
  if (format === "duration") return "google.protobuf.Duration";
  return format === "byte" ? "bytes" : "string";
}
