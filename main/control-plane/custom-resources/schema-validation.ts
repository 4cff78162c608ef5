/**
 * Custom resources held against their schemas, in the words of Kubernetes' OpenAPI validation. On an update what
 * was wrong before and has not changed is let be (ratcheting).
 */
import { isIP } from "node:net";
import type { StructuralSchema } from "../../../common/kube/facts/custom.ts";
import type { StatusCause } from "../../../common/kube/status.ts";
import { matches } from "../cel/regex.ts";
import { Problems, same } from "../resources/validation/problems.ts";
import { itemKey } from "./list-types.ts";

type Struct = Record<string, unknown>;
const isStruct = (value: unknown): value is Struct =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Causes, none when the value is right. `old` is what it was before, where there was anything. */
export function validateSchema(value: unknown, schema: StructuralSchema, path: string, old?: unknown): StatusCause[] {
  const check = new Check();
  check.value(value, schema, path, old);
  return check.problems.causes;
}

/**
 * The same of a part that is checked by itself (a default, a status): the words of each cause name its place
 * within the part, its field the place in the whole.
 */
export function validateSchemaBelow(
  field: string,
  value: unknown,
  schema: StructuralSchema,
  old?: unknown,
): StatusCause[] {
  return validateSchema(value, schema, "", old).map((cause) => {
    const below = cause.field === "<nil>" ? "" : (cause.field ?? "");
    return { ...cause, field: below === "" || below.startsWith("[") ? `${field}${below}` : `${field}.${below}` };
  });
}

const child = (path: string, name: string): string => (path === "" ? name : `${path}.${name}`);

function typeOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "bigint") return "integer";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value;
}

function isMultiple(value: number | bigint, of: number | bigint): boolean {
  const exact = typeof value === "bigint" && of !== 0 && (typeof of === "bigint" || Number.isInteger(of));
  return exact ? value % BigInt(of) === 0n : Number.isInteger(Number(value) / Number(of));
}

function fits(value: unknown, schema: StructuralSchema): boolean {
  const type = typeOf(value);
  if (schema["x-kubernetes-int-or-string"]) return type === "integer" || type === "string";
  return schema.type === undefined || schema.type === type || (schema.type === "number" && type === "integer");
}

class Check {
  readonly problems = new Problems();

  value(value: unknown, schema: StructuralSchema, path: string, old: unknown): void {
    if (old !== undefined && same(value, old)) return;
    if (value === null && schema.nullable) return;
    if (!fits(value, schema)) {
      const wanted = schema["x-kubernetes-int-or-string"] ? "integer,string" : (schema.type ?? "");
      this.#wrongType(path, wanted, typeOf(value));
      return;
    }
    const at = `${path} in body`;
    if (schema.enum && !schema.enum.some((one) => same(one, value)))
      this.problems.notSupported(
        path,
        value,
        schema.enum.map((one) => (typeof one === "string" ? one : JSON.stringify(one))),
      );
    if (typeof value === "string") this.#text(value, schema, path, at);
    else if (typeof value === "number" || typeof value === "bigint") this.#number(value, schema, path, at);
    else if (Array.isArray(value)) this.#list(value, schema, path, at, old);
    else if (isStruct(value)) this.#struct(value, schema, path, at, old);
    this.#combined(value, schema, path);
  }

  #wrongType(path: string, wanted: string, shown: unknown): void {
    this.problems.add([
      {
        reason: "FieldValueTypeInvalid",
        message: `Invalid value: ${JSON.stringify(shown)}: ${path} in body must be of type ${wanted}: ${JSON.stringify(shown)}`,
        field: path,
      },
    ]);
  }

  #text(value: string, schema: StructuralSchema, path: string, at: string): void {
    const length = [...value].length;
    if (schema.maxLength !== undefined && length > schema.maxLength) this.problems.tooLong(path, schema.maxLength);
    if (schema.minLength !== undefined && length < schema.minLength)
      this.problems.invalid(path, value, `${at} should be at least ${schema.minLength} chars long`);
    if (schema.pattern !== undefined && !matches(value, schema.pattern))
      this.problems.invalid(path, value, `${at} should match '${schema.pattern}'`);
    if (schema.format !== undefined && formats[schema.format]?.(value) === false)
      this.#wrongType(path, schema.format, value);
  }

  #number(value: number | bigint, schema: StructuralSchema, path: string, at: string): void {
    const { minimum, maximum, multipleOf } = schema;
    if (maximum !== undefined && (schema.exclusiveMaximum ? value >= maximum : value > maximum))
      this.problems.invalid(
        path,
        value,
        `${at} should be less than ${schema.exclusiveMaximum ? "" : "or equal to "}${maximum}`,
      );
    if (minimum !== undefined && (schema.exclusiveMinimum ? value <= minimum : value < minimum))
      this.problems.invalid(
        path,
        value,
        `${at} should be greater than ${schema.exclusiveMinimum ? "" : "or equal to "}${minimum}`,
      );
    if (multipleOf !== undefined && !isMultiple(value, multipleOf))
      this.problems.invalid(path, value, `${at} should be a multiple of ${multipleOf}`);
  }

  #list(value: unknown[], schema: StructuralSchema, path: string, at: string, old: unknown): void {
    if (schema.maxItems !== undefined && value.length > schema.maxItems)
      this.problems.tooMany(path, value.length, schema.maxItems);
    if (schema.minItems !== undefined && value.length < schema.minItems)
      this.problems.invalid(path, value.length, `${at} should have at least ${schema.minItems} items`);
    if (schema.uniqueItems && new Set(value.map((item) => JSON.stringify(item))).size < value.length)
      this.problems.invalid(path, value, `${at} shouldn't contain duplicates`);
    const { items } = schema;
    if (!items) return;
    const keyOf = itemKey(schema);
    const before = keyOf && Array.isArray(old) ? new Map(old.map((item) => [keyOf(item).text, item])) : undefined;
    value.forEach((item, index) => {
      this.value(item, items, `${path}[${index}]`, keyOf && before?.get(keyOf(item).text));
    });
  }

  #struct(value: Struct, schema: StructuralSchema, path: string, at: string, old: unknown): void {
    const before = isStruct(old) && schema["x-kubernetes-map-type"] !== "atomic" ? old : undefined;
    for (const name of schema.required ?? [])
      if (!Object.hasOwn(value, name)) this.problems.required(child(path, name));
    const count = Object.keys(value).length;
    if (schema.maxProperties !== undefined && count > schema.maxProperties)
      this.problems.tooMany(path, count, schema.maxProperties);
    if (schema.minProperties !== undefined && count < schema.minProperties)
      this.problems.invalid(path, value, `${at} should have at least ${schema.minProperties} properties`);
    for (const [name, one] of Object.entries(value)) {
      const property =
        schema.properties && Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined;
      const others = typeof schema.additionalProperties === "object" ? schema.additionalProperties : undefined;
      const own = property ?? others;
      if (own) this.value(one, own, child(path, name), before?.[name]);
    }
  }

  #combined(value: unknown, schema: StructuralSchema, path: string): void {
    const attempt = (one: StructuralSchema): StatusCause[] => validateSchema(value, one, path);
    for (const one of schema.allOf ?? []) this.problems.add(attempt(one));
    const say = (words: string): void => this.problems.invalid("<nil>", "", `${JSON.stringify(path)} must ${words}`);
    if (schema.anyOf?.length) {
      const results = schema.anyOf.map(attempt);
      if (!results.some((causes) => causes.length === 0)) {
        say("validate at least one schema (anyOf)");
        this.problems.add(best(results));
      }
    }
    if (schema.oneOf?.length) {
      const results = schema.oneOf.map(attempt);
      const valid = results.filter((causes) => causes.length === 0).length;
      if (valid === 0) {
        say("validate one and only one schema (oneOf). Found none valid");
        this.problems.add(best(results));
      } else if (valid > 1) say(`validate one and only one schema (oneOf). Found ${valid} valid alternatives`);
    }
    if (schema.not && attempt(schema.not).length === 0) say("not validate the schema (not)");
  }
}

/** The alternative that is nearest. */
const best = (results: StatusCause[][]): StatusCause[] => results.toSorted((a, b) => a.length - b.length)[0] ?? [];

const RFC3339 = /^\d{4}-(0[1-9]|1[0-2])-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;

const isDateTime = (value: string): boolean => RFC3339.test(value) && !Number.isNaN(Date.parse(value));

/** Formats that are checked; any other says nothing. */
const formats: Record<string, (value: string) => boolean> = {
  date: (value) => /^\d{4}-\d{2}-\d{2}$/.test(value) && !Number.isNaN(Date.parse(value)),
  datetime: isDateTime,
  "date-time": isDateTime,
  email: (value) => /^[^\s@]+@[^\s@]+$/.test(value),
  ipv4: (value) => isIP(value) === 4,
  ipv6: (value) => isIP(value) === 6,
  ip: (value) => isIP(value) !== 0,
  cidr: (value) => /^(.+)\/\d{1,3}$/.test(value) && isIP(value.slice(0, value.lastIndexOf("/"))) !== 0,
  mac: (value) => /^([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(value),
  uuid: (value) => /^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i.test(value),
  uri: (value) => URL.canParse(value) || value.startsWith("/"),
  hostname: (value) =>
    /^[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?(\.[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?)*\.?$/.test(value),
  byte: (value) => /^[A-Za-z0-9+/]*={0,2}$/.test(value) && value.length % 4 === 0,
  duration: (value) => /^[-+]?(\d+(\.\d+)?\s*(ns|us|µs|ms|s|m|h|d|w|[a-z]+))+$|^0$/.test(value),
};
