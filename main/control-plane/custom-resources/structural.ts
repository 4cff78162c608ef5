/**
 * Whether a schema is structural: every field is said once, with its type, outside of allOf, anyOf, oneOf and not,
 * which hold demands on values alone.
 */
import type { StructuralSchema } from "../../../common/kube/facts/custom.ts";
import type { StatusCause } from "../../../common/kube/status.ts";
import { CelError } from "../cel/environment.ts";
import { regexOf } from "../cel/regex.ts";
import { Problems, same } from "../resources/validation/problems.ts";

type Place = "root" | "field" | "item";

const WHERE = { root: "at the root", item: "for specified array items", field: "for specified object fields" };

/** What may not stand in allOf, anyOf, oneOf and not, and what it must be there instead. */
const FORBIDDEN = [
  ["type", "empty"],
  ["additionalProperties", "undefined"],
  ["default", "undefined"],
  ["title", "empty"],
  ["description", "empty"],
  ["nullable", "false"],
  ["externalDocs", "undefined"],
  ["x-kubernetes-preserve-unknown-fields", "false"],
  ["x-kubernetes-embedded-resource", "false"],
  ["x-kubernetes-int-or-string", "false"],
  ["x-kubernetes-list-map-keys", "empty"],
  ["x-kubernetes-list-type", "undefined"],
  ["x-kubernetes-map-type", "undefined"],
  ["x-kubernetes-validations", "empty"],
] as const;

const INTEGER_OR_STRING = [{ type: "integer" }, { type: "string" }];
const isEitherType = (list: StructuralSchema[] | undefined): boolean =>
  list?.length === 2 && same(list, INTEGER_OR_STRING);

/** In the order of their words, as the API server sorts them. */
export function structuralCauses(schema: StructuralSchema, field: string): StatusCause[] {
  const check = new StructuralCheck();
  check.node(schema, "root", field);
  check.complete(schema, schema, field, field);
  const words = ({ field: place = "", message = "" }: StatusCause): string => `${place}: ${message}`;
  return check.problems.causes.toSorted((a, b) => (words(a) < words(b) ? -1 : 1));
}

class StructuralCheck {
  readonly problems = new Problems();

  node(schema: StructuralSchema, place: Place, field: string): void {
    const { problems } = this;
    const { type = "", items, properties = {}, additionalProperties: others } = schema;
    if (type === "array" && !items) problems.required(`${field}.items`, "must be specified");
    if (items) this.node(items, "item", `${field}.items`);
    for (const [name, one] of Object.entries(properties)) this.node(one, "field", `${field}.properties[${name}]`);
    if (others !== undefined) {
      if (place === "root") problems.forbidden(`${field}.additionalProperties`, "must not be used at the root");
      if (typeof others === "object") this.node(others, "field", `${field}.additionalProperties`);
    }
    const either = schema["x-kubernetes-int-or-string"] === true;
    const kept = schema["x-kubernetes-preserve-unknown-fields"] === true;
    const embedded = schema["x-kubernetes-embedded-resource"] === true;
    const unlessEither = "must be false if x-kubernetes-int-or-string is true";
    if (either && kept) problems.invalid(`${field}.x-kubernetes-preserve-unknown-fields`, true, unlessEither);
    if (either && embedded) problems.invalid(`${field}.x-kubernetes-embedded-resource`, true, unlessEither);
    this.#values(schema, isEitherType(schema.anyOf), isEitherType(schema.allOf?.[0]?.anyOf), field);
    if (embedded && type !== "object") {
      const words = "must be object if x-kubernetes-embedded-resource is true";
      if (type === "") problems.required(`${field}.type`, words);
      else problems.invalid(`${field}.type`, type, words);
    } else if (type === "" && !either && !kept) problems.required(`${field}.type`, `must not be empty ${WHERE[place]}`);
    if (embedded && others !== undefined)
      problems.forbidden(`${field}.additionalProperties`, "must not be used if x-kubernetes-embedded-resource is set");
    if (place === "root" && type !== "" && type !== "object")
      problems.invalid(`${field}.type`, type, "must be object at the root");
    this.#objectParts(schema, place, field);
    if (embedded && !kept && Object.keys(properties).length === 0)
      problems.required(
        `${field}.properties`,
        "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields",
      );
  }

  /** apiVersion, kind and metadata of what is an object of its own. */
  #objectParts(schema: StructuralSchema, place: Place, field: string): void {
    const { problems } = this;
    const { kind, apiVersion, metadata } = schema.properties ?? {};
    if (place !== "root" && !schema["x-kubernetes-embedded-resource"]) return;
    for (const [name, one] of Object.entries({ kind, apiVersion }))
      if (one && one.type !== "string")
        problems.invalid(`${field}.properties[${name}].type`, one.type ?? "", "must be string");
    if (!metadata) return;
    const here = `${field}.properties[metadata]`;
    if (metadata.type !== "object") problems.invalid(`${here}.type`, metadata.type ?? "", "must be object");
    if (place !== "root") return;
    const { type: _type, default: _default, properties = {}, ...more } = metadata;
    const names = Object.keys(properties);
    if (!names.every((name) => name === "name" || name === "generateName") || !same(more, {}))
      problems.forbidden(
        here,
        "must not specify anything other than name and generateName, but metadata is implicitly specified",
      );
  }

  /** `skipAny`, `skipFirst`: the two ways in which anyOf may say "an integer or a string". */
  #values(schema: StructuralSchema, skipAny: boolean, skipFirst: boolean, field: string): void {
    if (!skipAny) schema.anyOf?.forEach((one, at) => this.#nested(one, false, `${field}.anyOf[${at}]`));
    schema.allOf?.forEach((one, at) => this.#nested(one, skipFirst && at === 0, `${field}.allOf[${at}]`));
    schema.oneOf?.forEach((one, at) => this.#nested(one, false, `${field}.oneOf[${at}]`));
    if (schema.not) this.#nested(schema.not, false, `${field}.not`);
    if (schema.pattern === undefined) return;
    try {
      regexOf(schema.pattern);
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      this.problems.invalid(
        `${field}.pattern`,
        schema.pattern,
        `must be a valid regular expression, but isn't: ${error.message}`,
      );
    }
  }

  #nested(schema: StructuralSchema, skipAny: boolean, field: string): void {
    this.#values(schema, skipAny, false, field);
    if (schema.items) this.#nested(schema.items, false, `${field}.items`);
    for (const [name, one] of Object.entries(schema.properties ?? {}))
      this.#nested(one, false, `${field}.properties[${name}]`);
    for (const [name, wanted] of FORBIDDEN) {
      const value = (schema as Record<string, unknown>)[name];
      if (
        value === undefined ||
        value === null ||
        (wanted !== "undefined" && (value === false || same(value, "") || same(value, [])))
      )
        continue;
      this.problems.forbidden(`${field}.${name}`, `must be ${wanted} to be structural`);
    }
    if (schema.properties?.["metadata"])
      this.problems.forbidden(`${field}.properties[metadata]`, "must not be specified in a nested context");
  }

  /** Whatever `values` speaks of is said in `spine` too. */
  complete(values: StructuralSchema, spine: StructuralSchema, spinePath: string, valuePath: string): void {
    const nested = (one: StructuralSchema, path: string): void => this.#completeNested(one, spine, spinePath, path);
    if (values.not) nested(values.not, `${valuePath}.not`);
    for (const part of ["allOf", "anyOf", "oneOf"] as const)
      values[part]?.forEach((one, at) => nested(one, `${valuePath}.${part}[${at}]`));
  }

  #completeNested(
    values: StructuralSchema,
    spine: StructuralSchema | undefined,
    spinePath: string,
    valuePath: string,
  ): void {
    if (!spine) {
      this.problems.required(spinePath, `because it is defined in ${valuePath}`);
      return;
    }
    this.complete(values, spine, spinePath, valuePath);
    if (values.items) this.#completeNested(values.items, spine.items, `${spinePath}.items`, `${valuePath}.items`);
    for (const [name, one] of Object.entries(values.properties ?? {})) {
      const place = `properties[${name}]`;
      this.#completeNested(one, spine.properties?.[name], `${spinePath}.${place}`, `${valuePath}.${place}`);
    }
  }
}
