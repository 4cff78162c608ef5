/** Whether a schema is structural, and its rules sound: apiextensions' demands on openAPIV3Schema. */
import type { StructuralSchema } from "../../../common/kube/facts/custom.ts";
import { CelError } from "../cel/environment.ts";
import { regexOf } from "../cel/regex.ts";
import type { Problems } from "../resources/validation/problems.ts";
import { costOf, tooExpensive } from "./cost.ts";
import { compileRules, withObjectMeta } from "./rules.ts";
import { validateSchema } from "./schema-validation.ts";

const types = ["array", "boolean", "integer", "number", "object", "string"];
const unsupported = ["$ref", "$schema", "id", "definitions", "dependencies", "additionalItems", "patternProperties"];
const reasons = ["FieldValueRequired", "FieldValueInvalid", "FieldValueForbidden", "FieldValueDuplicate"];
/** What may stand in allOf, anyOf, oneOf and not: values' demands alone. */
const structureOnly = [
  "type",
  "title",
  "description",
  "default",
  "nullable",
  "x-kubernetes-preserve-unknown-fields",
  "x-kubernetes-embedded-resource",
  "x-kubernetes-int-or-string",
  "x-kubernetes-list-type",
  "x-kubernetes-list-map-keys",
  "x-kubernetes-map-type",
] as const;
const MOST_TOTAL_COST = 100_000_000;

type Place = "root" | "field" | "item";

export class SchemaCheck {
  readonly #problems: Problems;
  #cost = 0;

  constructor(problems: Problems) {
    this.#problems = problems;
  }

  root(schema: StructuralSchema, field: string): void {
    if (schema.type !== undefined && schema.type !== "object")
      this.#problems.invalid(`${field}.type`, schema.type, "must be object at the root");
    if (schema.nullable) this.#problems.forbidden(`${field}.nullable`, "nullable cannot be true at the root");
    if (schema.additionalProperties !== undefined)
      this.#problems.forbidden(`${field}.additionalProperties`, "must not be used at the root");
    const { metadata } = schema.properties ?? {};
    if (metadata) {
      if (metadata.type !== "object")
        this.#problems.invalid(`${field}.properties[metadata].type`, metadata.type ?? "", "must be object");
      if (Object.keys(metadata.properties ?? {}).some((name) => name !== "name" && name !== "generateName"))
        this.#problems.forbidden(
          `${field}.properties[metadata]`,
          "must not specify anything other than name and generateName, but metadata is implicitly specified",
        );
    }
    this.#node(schema, field, "root", 1);
    if (this.#cost > MOST_TOTAL_COST)
      this.#problems.forbidden(
        field,
        tooExpensive(
          "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema",
          this.#cost,
          MOST_TOTAL_COST,
        ),
      );
  }

  /** `times`: how many such values one object may hold, as far as the schema says. */
  #node(schema: StructuralSchema, field: string, place: Place, times: number): void {
    const problems = this.#problems;
    for (const name of unsupported)
      if ((schema as Record<string, unknown>)[name] !== undefined)
        problems.forbidden(`${field}.${name}`, `${name} is not supported`);
    const { type } = schema;
    if (schema["x-kubernetes-int-or-string"]) {
      if (type) problems.invalid(`${field}.type`, type, "must be empty if x-kubernetes-int-or-string is true");
    } else if (!type && !schema["x-kubernetes-preserve-unknown-fields"]) {
      const where = { root: "at the root", item: "for specified array items", field: "for specified object fields" };
      problems.required(`${field}.type`, `must not be empty ${where[place]}`);
    } else if (type && !types.includes(type)) problems.notSupported(`${field}.type`, type, types);
    if (type === "array" && !schema.items) problems.required(`${field}.items`, "must be specified");
    if (schema.uniqueItems)
      problems.forbidden(
        `${field}.uniqueItems`,
        "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
      );
    if (schema.additionalProperties && schema.properties)
      problems.forbidden(`${field}.additionalProperties`, "additionalProperties and properties are mutual exclusive");
    if (schema["x-kubernetes-preserve-unknown-fields"] === false)
      problems.invalid(`${field}.x-kubernetes-preserve-unknown-fields`, false, "must be true or undefined");
    if (schema.pattern !== undefined) this.#pattern(schema.pattern, `${field}.pattern`);
    if (schema["x-kubernetes-embedded-resource"]) {
      if (type !== "object")
        problems.invalid(`${field}.type`, type ?? "", "must be object if x-kubernetes-embedded-resource is true");
      if (!schema.properties && !schema["x-kubernetes-preserve-unknown-fields"])
        problems.required(
          `${field}.properties`,
          "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields",
        );
    }
    this.#listType(schema, field);
    this.#default(schema, field);
    this.#rules(schema, field, place, times);
    for (const part of ["allOf", "anyOf", "oneOf"] as const)
      schema[part]?.forEach((one, at) => this.#nested(one, schema, `${field}.${part}[${at}]`));
    if (schema.not) this.#nested(schema.not, schema, `${field}.not`);
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      if (place === "root" && name === "metadata") continue;
      this.#node(property, `${field}.properties[${name}]`, "field", times);
    }
    if (typeof schema.additionalProperties === "object")
      this.#node(
        schema.additionalProperties,
        `${field}.additionalProperties`,
        "field",
        times * Number(schema.maxProperties ?? costOf.unboundedMap),
      );
    if (schema.items)
      this.#node(
        schema.items,
        `${field}.items`,
        "item",
        times * Number(schema.maxItems ?? costOf.unboundedList(schema.items)),
      );
  }

  #nested(schema: StructuralSchema, parent: StructuralSchema, field: string): void {
    for (const name of structureOnly) {
      // int-or-string is written out as anyOf of the two types.
      if (name === "type" && parent["x-kubernetes-int-or-string"]) continue;
      if (schema[name] !== undefined && schema[name] !== false)
        this.#problems.forbidden(
          `${field}.${name}`,
          `must be ${name === "nullable" || name.startsWith("x-kubernetes-p") ? "false" : name === "default" ? "undefined" : "empty"} to be structural`,
        );
    }
    if (schema.additionalProperties !== undefined)
      this.#problems.forbidden(`${field}.additionalProperties`, "must be undefined to be structural");
    if (schema.pattern !== undefined) this.#pattern(schema.pattern, `${field}.pattern`);
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      if (!parent.properties?.[name])
        this.#problems.required(
          `${field.replace(/\.(allOf|anyOf|oneOf)\[\d+\]$|\.not$/, "")}.properties[${name}]`,
          `because it is defined in ${field.slice(field.indexOf("openAPIV3Schema") + 16)}.properties[${name}]`,
        );
      this.#nested(property, parent.properties?.[name] ?? {}, `${field}.properties[${name}]`);
    }
  }

  #pattern(pattern: string, field: string): void {
    try {
      regexOf(pattern);
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      this.#problems.invalid(field, pattern, `must be a valid regular expression, but isn't: ${error.message}`);
    }
  }

  #listType(schema: StructuralSchema, field: string): void {
    const problems = this.#problems;
    const { "x-kubernetes-list-type": list, "x-kubernetes-list-map-keys": keys, "x-kubernetes-map-type": map } = schema;
    if (map !== undefined) {
      if (schema.type !== "object")
        problems.invalid(`${field}.type`, schema.type ?? "", "must be object if x-kubernetes-map-type is specified");
      if (!["atomic", "granular"].includes(map))
        problems.notSupported(`${field}.x-kubernetes-map-type`, map, ["atomic", "granular"]);
    }
    if (list !== undefined) {
      if (schema.type !== "array")
        problems.invalid(`${field}.type`, schema.type ?? "", "must be array if x-kubernetes-list-type is specified");
      if (!["atomic", "set", "map"].includes(list))
        problems.notSupported(`${field}.x-kubernetes-list-type`, list, ["atomic", "set", "map"]);
    }
    if (keys?.length && list !== "map")
      problems.required(`${field}.x-kubernetes-list-type`, "must be map if x-kubernetes-list-map-keys is non-empty");
    if (list !== "map") return;
    if (!keys?.length)
      problems.required(`${field}.x-kubernetes-list-map-keys`, "must not be empty if x-kubernetes-list-type is map");
    if (schema.items && schema.items.type !== "object")
      problems.invalid(
        `${field}.items.type`,
        schema.items.type ?? "",
        "must be object if parent array's x-kubernetes-list-type is map",
      );
    for (const key of keys ?? []) {
      const property = schema.items?.properties?.[key];
      if (!property)
        problems.invalid(`${field}.x-kubernetes-list-map-keys`, keys, "entries must all be names of item properties");
      else if (property.default === undefined && !schema.items?.required?.includes(key))
        problems.required(
          `${field}.items.properties[${key}].default`,
          "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
        );
    }
  }

  #default(schema: StructuralSchema, field: string): void {
    if (schema.default === undefined) return;
    this.#problems.add(validateSchema(schema.default, schema, `${field}.default`));
  }

  #rules(schema: StructuralSchema, field: string, place: Place, times: number): void {
    const rules = schema["x-kubernetes-validations"] ?? [];
    if (rules.length === 0) return;
    const problems = this.#problems;
    rules.forEach((rule, at) => {
      const here = `${field}.x-kubernetes-validations[${at}]`;
      if (!rule.rule?.trim()) problems.required(`${here}.rule`, "rule is not specified");
      if (rule.message !== undefined && rule.message.trim() === "")
        problems.invalid(`${here}.message`, rule.message, "must be non-empty if specified");
      else if (rule.message?.includes("\n"))
        problems.invalid(`${here}.message`, rule.message, "must not contain line breaks");
      else if (rule.message === undefined && rule.rule?.trim().includes("\n"))
        problems.required(`${here}.message`, "message must be specified if rule contains line breaks");
      if (rule.messageExpression !== undefined && rule.messageExpression.trim() === "")
        problems.required(`${here}.messageExpression`, "must be non-empty if specified");
      if (rule.reason !== undefined && !reasons.includes(rule.reason))
        problems.notSupported(`${here}.reason`, rule.reason, reasons.toSorted());
      if (rule.fieldPath !== undefined && rule.fieldPath.trim() === "")
        problems.invalid(`${here}.fieldPath`, rule.fieldPath, "must be non-empty if specified");
    });
    const own = place === "root" ? withObjectMeta(schema) : schema;
    const compiled = compileRules(own);
    for (const { index, field: part, message } of compiled.problems)
      problems.invalid(`${field}.x-kubernetes-validations[${index}].${part}`, rules[index], message);
    for (const { rule, program } of compiled.rules) {
      const cost = costOf.expression(program.ast, own) * times;
      this.#cost += cost;
      if (cost <= costOf.mostPerRule) continue;
      problems.forbidden(
        `${field}.x-kubernetes-validations[${rules.indexOf(rule)}].rule`,
        `${tooExpensive("estimated rule cost", cost, costOf.mostPerRule)} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)`,
      );
    }
  }
}
