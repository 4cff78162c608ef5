/** What apiextensions demands of an openAPIV3Schema, and of the rules in it. */
import type { StructuralSchema, ValidationRule } from "../../../common/kube/facts/custom.ts";
import type { StatusCause } from "../../../common/kube/status.ts";
import { Problems, same } from "../resources/validation/problems.ts";
import { costOf, tooExpensive } from "./cost.ts";
import { defaultCauses } from "./defaults.ts";
import { FieldPathError, fieldPathOf } from "./field-path.ts";
import { listTypeProblems } from "./list-type-definition.ts";
import { compileRules, mentions, withObjectMeta } from "./rules.ts";
import { structuralCauses } from "./structural.ts";

const types = ["array", "boolean", "integer", "number", "object", "string"];
const unsupported = ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"];
const reasons = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];
const objectFields = new Set(["apiVersion", "kind", "metadata"]);
/** All that may stand at the root of a schema with a status subresource: status is checked without the rest. */
const atRoot = new Set([
  "$schema",
  "description",
  "type",
  "format",
  "title",
  "maximum",
  "exclusiveMaximum",
  "minimum",
  "exclusiveMinimum",
  "maxLength",
  "minLength",
  "pattern",
  "maxItems",
  "minItems",
  "uniqueItems",
  "multipleOf",
  "required",
  "items",
  "properties",
  "externalDocs",
  "example",
  "x-kubernetes-preserve-unknown-fields",
  "x-kubernetes-validations",
]);
const ROOT_WORDS =
  "only [Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields XValidations] fields are allowed at the root of the schema if the status subresource is enabled";
const MOST_TOTAL_COST = 100_000_000;
/** How many of the dearest rules are named. */
const NAMED = 4;

export function schemaCauses(root: StructuralSchema, field: string, hasStatus: boolean): StatusCause[] {
  const problems = new Problems();
  if (hasStatus) {
    if (root.type !== undefined && root.type !== "object")
      problems.invalid(
        `${field}.type`,
        root.type,
        'only "object" is allowed as the type at the root of the schema if the status subresource is enabled',
      );
    else if (!Object.entries(root).every(([name, value]) => atRoot.has(name) || isUnset(value)))
      problems.invalid(field, root, ROOT_WORDS);
  }
  if (root.nullable) problems.forbidden(`${field}.nullable`, "nullable cannot be true at the root");
  const structural = structuralCauses(root, field);
  const defaults = structural.length === 0 ? defaultCauses(root, field) : [];
  problems.add([...structural, ...defaults]);
  // Rules are looked at where the schema that they rely on is sound.
  const check = new SchemaCheck(structural.length + defaults.length === 0);
  check.node(root, field, { root: true, insideMeta: false, times: 1 });
  problems.add([...check.problems.causes, ...check.rules.causes]);
  problems.add(check.totalCost(field));
  return problems.causes;
}

/** Said, but no more than what holds without it. */
const isUnset = (value: unknown): boolean => value === false || same(value, undefined) || value === "";

interface Place {
  root?: boolean;
  /** Within the type or metadata of an object. */
  insideMeta: boolean;
  /** Why no default may be here. */
  noDefault?: string;
  /** The part of the schema whose values of before and after are not told which is which. */
  uncorrelated?: string;
  /** How many such values one object may hold, as far as the schema says; undefined: rules are not looked at. */
  times?: number;
}

class SchemaCheck {
  readonly problems = new Problems();
  readonly rules = new Problems();
  readonly #withRules: boolean;
  readonly #costs: { field: string; cost: number }[] = [];

  constructor(withRules: boolean) {
    this.#withRules = withRules;
  }

  node(schema: StructuralSchema, field: string, place: Place): void {
    const before = this.problems.causes.length;
    this.#keywords(schema, field, place);
    const { root: _root, ...below } = place;
    this.#map(schema, field, below);
    this.#properties(schema, field, place, below);
    const { times: _times, ...valuesOnly } = below;
    if (schema.not) this.node(schema.not, `${field}.not`, valuesOnly);
    for (const part of ["allOf", "oneOf", "anyOf"] as const)
      schema[part]?.forEach((one, at) => this.node(one, `${field}.${part}[${at}]`, valuesOnly));
    if (schema.items && !Array.isArray(schema.items)) {
      const correlated = schema["x-kubernetes-list-type"] === "map";
      const most = Number(schema.maxItems ?? costOf.unboundedList(schema.items));
      const items = correlated ? below : { ...below, uncorrelated: below.uncorrelated ?? field };
      this.node(schema.items, `${field}.items`, multiplied(items, most));
    }
    if (schema["x-kubernetes-preserve-unknown-fields"] === false)
      this.problems.invalid(`${field}.x-kubernetes-preserve-unknown-fields`, false, "must be true or undefined");
    this.problems.add(listTypeProblems(schema, field));
    this.#ruleWords(schema, field);
    if (this.#withRules && this.problems.causes.length === before) this.#compile(schema, field, place);
  }

  #keywords(schema: StructuralSchema, field: string, { insideMeta, noDefault }: Place): void {
    const { problems } = this;
    const { type } = schema;
    if (type && !types.includes(type)) problems.notSupported(`${field}.type`, type, types);
    if ((schema.default ?? undefined) !== undefined && noDefault !== undefined)
      problems.forbidden(`${field}.default`, `must not be set ${noDefault}`);
    for (const name of unsupported)
      if ((schema as Record<string, unknown>)[name] !== undefined)
        problems.forbidden(`${field}.${name}`, `${name} is not supported`);
    if (type === "null")
      problems.forbidden(`${field}.type`, "type cannot be set to null, use nullable as an alternative");
    if (Array.isArray(schema.items))
      problems.forbidden(`${field}.items`, "items must be a schema object and not an array");
    if (insideMeta && schema["x-kubernetes-embedded-resource"])
      problems.forbidden(`${field}.x-kubernetes-embedded-resource`, "must not be used inside of resource meta");
    if (schema.uniqueItems)
      problems.forbidden(
        `${field}.uniqueItems`,
        "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
      );
  }

  #map(schema: StructuralSchema, field: string, below: Place): void {
    const { additionalProperties: others, properties } = schema;
    if (others === undefined) return;
    if (others !== true && Object.keys(properties ?? {}).length > 0)
      this.problems.forbidden(
        `${field}.additionalProperties`,
        "additionalProperties and properties are mutual exclusive",
      );
    if (typeof others !== "object") return;
    const place = below.insideMeta
      ? { ...below, noDefault: "inside additionalProperties applying to object metadata" }
      : below;
    const most = Number(schema.maxProperties ?? costOf.unboundedMap);
    this.node(others, `${field}.additionalProperties`, multiplied(place, most));
  }

  #properties(schema: StructuralSchema, field: string, { root }: Place, below: Place): void {
    const atomic = schema["x-kubernetes-map-type"] === "atomic";
    for (const [name, one] of Object.entries(schema.properties ?? {})) {
      const place = atomic ? { ...below, uncorrelated: below.uncorrelated ?? field } : { ...below };
      if ((root || schema["x-kubernetes-embedded-resource"]) && objectFields.has(name)) {
        place.insideMeta = true;
        if (root) place.noDefault = `in top-level ${name}`;
      }
      this.node(one, `${field}.properties[${name}]`, place);
    }
  }

  /** All of a rule but whether it compiles. */
  #ruleWords(schema: StructuralSchema, field: string): void {
    const { problems } = this;
    (schema["x-kubernetes-validations"] ?? []).forEach((rule, at) => {
      const here = `${field}.x-kubernetes-validations[${at}]`;
      const text = rule.rule?.trim() ?? "";
      const { message = "", messageExpression = "", reason, fieldPath = "" } = rule;
      if (text === "") problems.required(`${here}.rule`, "rule is not specified");
      else if (message !== "" && message.trim() === "")
        problems.invalid(`${here}.message`, message, "message must be non-empty if specified");
      else if (hasLines(message.trim()))
        problems.invalid(`${here}.message`, message, "message must not contain line breaks");
      else if (hasLines(text) && message === "")
        problems.required(`${here}.message`, "message must be specified if rule contains line breaks");
      if (messageExpression !== "" && messageExpression.trim() === "")
        problems.required(`${here}.messageExpression`, "messageExpression must be non-empty if specified");
      if (reason !== undefined && !reasons.includes(reason)) problems.notSupported(`${here}.reason`, reason, reasons);
      if (fieldPath === "") return;
      const wrong = (words: string): void => problems.invalid(`${here}.fieldPath`, fieldPath, words);
      if (fieldPath.trim() === "") wrong("fieldPath must be non-empty if specified");
      if (hasLines(fieldPath)) wrong("fieldPath must not contain line breaks");
      if (!isFieldPath(fieldPath, schema)) wrong("fieldPath must be a valid path");
    });
  }

  #compile(schema: StructuralSchema, field: string, place: Place): void {
    const list = schema["x-kubernetes-validations"] ?? [];
    if (list.length === 0 || place.times === undefined) return;
    const own = place.root || schema["x-kubernetes-embedded-resource"] ? withObjectMeta(schema) : schema;
    const { rules, problems } = compileRules(own);
    const observe = (part: string, name: string, ast: Parameters<typeof costOf.expression>[0]): void => {
      const cost = costOf.expression(ast, own) * (place.times ?? 1);
      this.#costs.push({ field: part, cost });
      if (cost > costOf.mostPerRule) this.rules.forbidden(part, tooExpensive(name, cost, costOf.mostPerRule));
    };
    list.forEach((rule: ValidationRule, at) => {
      const here = `${field}.x-kubernetes-validations[${at}]`;
      const compiled = rules.find((one) => one.rule === rule);
      if (compiled) observe(`${here}.rule`, "estimated rule cost", compiled.program.ast);
      for (const { index, field: part, message } of problems)
        if (index === at) this.rules.invalid(`${here}.${part}`, rule, message);
      if (compiled?.message)
        observe(`${here}.messageExpression`, "estimated messageExpression cost", compiled.message.ast);
      if (!compiled) return;
      const usesOld = mentions(compiled.program.ast, "oldSelf");
      if (usesOld && place.uncorrelated !== undefined)
        this.rules.invalid(
          `${here}.rule`,
          rule.rule,
          `oldSelf cannot be used on the uncorrelatable portion of the schema within ${place.uncorrelated}`,
        );
      else if (!usesOld && rule.optionalOldSelf !== undefined)
        this.rules.invalid(
          `${here}.optionalOldSelf`,
          rule.optionalOldSelf,
          "may not be set if oldSelf is not used in rule",
        );
    });
  }

  totalCost(field: string): StatusCause[] {
    const total = this.#costs.reduce((sum, { cost }) => sum + cost, 0);
    const problems = new Problems();
    if (total <= MOST_TOTAL_COST) return [];
    const dearest = this.#costs.filter(({ cost }) => cost >= costOf.mostPerRule / 100);
    for (const one of dearest.toSorted((a, b) => b.cost - a.cost).slice(0, NAMED))
      problems.forbidden(
        one.field,
        "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema",
      );
    problems.forbidden(
      field,
      tooExpensive(
        "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema",
        total,
        MOST_TOTAL_COST,
      ),
    );
    return problems.causes;
  }
}

const hasLines = (text: string): boolean => /[\n\r]/.test(text);

function multiplied(place: Place, by: number): Place {
  return place.times === undefined ? place : { ...place, times: place.times * by };
}

function isFieldPath(path: string, schema: StructuralSchema): boolean {
  try {
    fieldPathOf(path, schema, true);
    return true;
  } catch (error) {
    if (!(error instanceof FieldPathError)) throw error;
    return false;
  }
}
