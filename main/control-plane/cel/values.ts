/**
 * JSON values as CEL's and back: objects are Maps, whole numbers int (BigInt) unless the schema says number,
 * texts of a date, duration or byte format values of their own.
 */
import { Duration } from "@marcbachmann/cel-js/evaluator";
import { fromBigInt } from "../../../common/kube/codec/exact-integers.ts";
import { isOptional } from "./functions/optionals.ts";

/** What of a structural schema matters to a value's type. */
export interface ValueSchema {
  type?: string;
  format?: string;
  properties?: Record<string, ValueSchema>;
  additionalProperties?: ValueSchema | boolean;
  items?: ValueSchema;
  nullable?: boolean;
  "x-kubernetes-int-or-string"?: boolean;
  "x-kubernetes-preserve-unknown-fields"?: boolean;
  "x-kubernetes-embedded-resource"?: boolean;
}

const RESERVED = new Set(
  "true false null in as break const continue else for function if import let loop package namespace return var void while".split(
    " ",
  ),
);

/** A property's name as expressions write it: `x-y` is `x__dash__y`. undefined where it cannot be written. */
export function escapeName(name: string): string | undefined {
  if (RESERVED.has(name)) return `__${name}__`;
  const escaped = name
    .replaceAll("__", "__underscores__")
    .replaceAll(".", "__dot__")
    .replaceAll("-", "__dash__")
    .replaceAll("/", "__slash__");
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(escaped) ? escaped : undefined;
}

export function toCel(value: unknown, schema?: ValueSchema): unknown {
  if (value === null || value === undefined) return null;
  if (Array.isArray(value)) return value.map((item) => toCel(item, schema?.items));
  switch (typeof value) {
    case "number":
      return Number.isSafeInteger(value) && schema?.type !== "number" ? BigInt(value) : value;
    case "bigint":
      return schema?.type === "number" ? Number(value) : value;
    case "string":
      return schema?.format === undefined ? value : formatted(value, schema.format);
    case "object": {
      const result = new Map<string, unknown>();
      const values = typeof schema?.additionalProperties === "object" ? schema.additionalProperties : undefined;
      for (const [name, one] of Object.entries(value)) {
        const property = schema?.properties?.[name];
        const key = property ? escapeName(name) : name;
        if (key !== undefined && one !== undefined) result.set(key, toCel(one, property ?? values));
      }
      return result;
    }
    default:
      return value;
  }
}

function formatted(text: string, format: string): unknown {
  switch (format) {
    case "date":
    case "date-time": {
      const time = Date.parse(text);
      return Number.isNaN(time) ? text : new Date(time);
    }
    case "duration":
      return durationOf(text) ?? text;
    case "byte":
      return Buffer.from(text, "base64");
    default:
      return text;
  }
}

const NANOS: Record<string, number> = { h: 3.6e12, m: 6e10, s: 1e9, ms: 1e6, us: 1e3, µs: 1e3, ns: 1 };

function durationOf(text: string): Duration | undefined {
  if (!/^[-+]?(\d+(\.\d+)?(h|ms|m|s|us|µs|ns))+$/.test(text)) return undefined;
  let nanos = 0;
  for (const [, number, unit] of text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)/g))
    nanos += Number(number) * (NANOS[unit ?? ""] ?? 0);
  const sign = text.startsWith("-") ? -1 : 1;
  return new Duration(BigInt(sign * Math.trunc(nanos / 1e9)), sign * (nanos % 1e9));
}

/** A result of CEL as JSON (MutatingAdmissionPolicy's objects and patches). */
export function fromCel(value: unknown): unknown {
  if (typeof value === "bigint") return fromBigInt(value);
  if (isOptional(value)) return value.hasValue() ? fromCel(value.value()) : undefined;
  if (Array.isArray(value)) return value.map(fromCel);
  if (value instanceof Date) return value.toISOString().replace(".000Z", "Z");
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (value instanceof Duration) return value.toString();
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, one]) => [String(key), fromCel(one)]));
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, fromCel(one)]));
  return value;
}

/** Deep equality of CEL values; int and double of the same number are equal. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  // eslint-disable-next-line eqeqeq
  if (typeof a === "bigint" && typeof b === "number") return a == BigInt(Math.trunc(b)) && Number.isInteger(b);
  if (typeof a === "number" && typeof b === "bigint") return sameValue(b, a);
  if (a instanceof Date && b instanceof Date) return a.getTime() === b.getTime();
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, at) => sameValue(item, b[at]));
  if (a instanceof Map && b instanceof Map)
    return a.size === b.size && [...a].every(([key, value]) => b.has(key) && sameValue(value, b.get(key)));
  return false;
}
