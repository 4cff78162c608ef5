/**
 * Holds a decoded object against the schema facts: unknown fields are reported and removed, values of
 * a wrong JSON type refused, with the paths and words of the API server's decoder.
 */
import { typeFact } from "../facts/index.ts";
import type { FieldFact, TypeFact } from "../facts/index.ts";
import { isQuantity, keptAmount, keptQuantity } from "../quantity.ts";

export interface FieldProblem {
  kind: "unknown" | "duplicate";
  path: string;
  /** `unknown field "spec.foo"` */
  message: string;
}

/** A value of the wrong type. The message names the field as Go's decoder would. */
export class ShapeError extends Error {
  readonly path: string;
  constructor(path: string, found: unknown, wanted: string) {
    super(`json: cannot unmarshal ${jsonType(found)} into Go struct field ${path} of type ${wanted}`);
    this.name = "ShapeError";
    this.path = path;
  }
}

/** Bytes that are not base64. `at` counts as Go's decoder does. */
class Base64Error extends ShapeError {
  constructor(path: string, value: string, at: number) {
    super(path, value, "[]uint8");
    this.message = `illegal base64 data at input byte ${at}`;
  }
}

function jsonType(value: unknown): string {
  if (Array.isArray(value)) return "array";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "bigint") return "number";
  return typeof value;
}

const GO_TYPES: Record<string, string> = {
  boolean: "bool",
  double: "float64",
  bytes: "[]uint8",
  IntOrString: "intstr.IntOrString",
  Time: "v1.Time",
};

/** The fields and places in lists that lead to a value. It becomes text only for who complains. */
type Place = (string | number)[];

const pathOf = (place: Place): string =>
  place.reduce<string>(
    (path, part) => (typeof part === "number" ? `${path}[${part}]` : path === "" ? part : `${path}.${part}`),
    "",
  );

/** Checks and prunes in place; null and empty fields are dropped where a server in Go would not write them. */
export function checkShape(value: Record<string, unknown>, fact: TypeFact, problems: FieldProblem[], path = ""): void {
  checkStruct(value, fact, problems, path === "" ? [] : [path]);
}

function checkStruct(value: Record<string, unknown>, fact: TypeFact, problems: FieldProblem[], place: Place): void {
  for (const name of Object.keys(value)) {
    const child = value[name];
    // Embedded lists hold kinds too; their items say apiVersion and kind.
    if (fact.kind && (name === "apiVersion" || name === "kind") && (place.length === 0 || !fact.fields.has(name)))
      continue;
    const field = fact.fields.get(name);
    place.push(name);
    if (!field) {
      const path = pathOf(place);
      problems.push({ kind: "unknown", path, message: `unknown field "${path}"` });
      delete value[name];
    } else if (child === null) {
      delete value[name];
    } else {
      if (field.list) checkList(child, field, problems, place);
      else if (field.map) checkMap(child, field, problems, place);
      else value[name] = checkValue(child, field, problems, place);
      if (isLeftOut(value[name], field)) delete value[name];
    }
    place.pop();
  }
}

function checkList(list: unknown, field: FieldFact, problems: FieldProblem[], place: Place): void {
  if (!Array.isArray(list))
    throw new ShapeError(pathOf(place), list, `[]${GO_TYPES[field.type] ?? shortName(field.type)}`);
  for (let i = 0; i < list.length; i += 1) {
    place.push(i);
    list[i] = checkValue(list[i], field, problems, place);
    place.pop();
  }
}

function checkMap(value: unknown, field: FieldFact, problems: FieldProblem[], place: Place): void {
  if (typeof value !== "object" || Array.isArray(value))
    throw new ShapeError(pathOf(place), value, `map[string]${GO_TYPES[field.type] ?? shortName(field.type)}`);
  const map = value as Record<string, unknown>;
  for (const key of Object.keys(map)) {
    const one = map[key];
    place.push(key);
    if (field.listValues) {
      if (!Array.isArray(one)) throw new ShapeError(pathOf(place), one, "[]string");
    } else if (field.type !== "string") map[key] = checkValue(one, field, problems, place);
    else if (one === null) map[key] = "";
    else checkValue(one, field, problems, place);
    place.pop();
  }
}

/** An empty value of a field that is written only when it is not empty: stored, it would come back as a difference. */
function isLeftOut(value: unknown, field: FieldFact): boolean {
  if (!field.omitempty || field.pointer) return false;
  if (field.list) return (value as unknown[] | undefined)?.length === 0;
  if (field.map) return value !== undefined && Object.keys(value as object).length === 0;
  return value === "" || value === 0 || value === false;
}

const RFC3339 = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/;

/** A time of RFC 3339 as the API writes it: UTC, to the second or to the microsecond. undefined for any other text. */
function canonicalTime(text: string, micro: boolean): string | undefined {
  const [, clock = "", fraction = "", zone = ""] = RFC3339.exec(text) ?? [];
  const plain = toSecond(`${clock}Z`);
  // Of days that no month has, Date makes others.
  if (plain === undefined || plain !== clock) return undefined;
  const shown = zone === "Z" ? clock : toSecond(clock + zone);
  if (shown === undefined) return undefined;
  return micro ? `${shown}.${fraction.padEnd(6, "0").slice(0, 6)}Z` : `${shown}Z`;
}

/** undefined also outside the years that four digits can say. */
function toSecond(text: string): string | undefined {
  const time = Date.parse(text);
  const shown = Number.isNaN(time) ? "" : new Date(time).toISOString();
  return shown.length === 24 ? shown.slice(0, 19) : undefined;
}

const shortName = (type: string): string => type.split(".").slice(-2).join(".");

function checkValue(value: unknown, field: FieldFact, problems: FieldProblem[], place: Place): unknown {
  // By far the most values are texts.
  if (field.type === "string" && typeof value === "string") return value;
  const wrong = (): never => {
    throw new ShapeError(pathOf(place), value, GO_TYPES[field.type] ?? shortName(field.type));
  };
  switch (field.type) {
    case "bytes": {
      if (typeof value !== "string") return wrong();
      const at = badBase64(value);
      if (at !== undefined) throw new Base64Error(pathOf(place), value, at);
      return value;
    }
    case "string":
    case "Duration":
      return typeof value === "string" ? value : wrong();
    case "boolean":
      return typeof value === "boolean" ? value : wrong();
    case "int32":
      if (typeof value !== "number" || (value | 0) !== value) wrong();
      return value;
    case "int64":
    case "byte":
      // Past 2^53 it is a bigint; a number there has more than 64 bits, or is none of the integers.
      if (!Number.isSafeInteger(value) && typeof value !== "bigint") wrong();
      return value;
    case "double":
      if (typeof value === "bigint") return Number(value);
      return typeof value === "number" ? value : wrong();
    case "Time":
    case "MicroTime": {
      const time = typeof value === "string" ? canonicalTime(value, field.type === "MicroTime") : undefined;
      if (time === undefined) {
        throw new ShapeError(
          pathOf(place),
          value,
          `v1.${field.type}: parsing time ${JSON.stringify(value)} as "2006-01-02T15:04:05Z07:00"`,
        );
      }
      return time;
    }
    case "Quantity": {
      const quantity = typeof value === "string" ? value.trim() : value;
      if (!isQuantity(quantity))
        throw new ShapeError(
          pathOf(place),
          value,
          "resource.Quantity: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        );
      // Amounts of resources are lists of them by name.
      return field.map ? keptAmount(quantity) : keptQuantity(quantity);
    }
    case "IntOrString":
      if (typeof value !== "string" && !Number.isInteger(value)) wrong();
      return value;
    case "RawExtension":
    case "FieldsV1":
      return value;
    default: {
      const type = typeFact(field.type);
      if (!type) return value;
      if (typeof value !== "object" || value === null || Array.isArray(value)) wrong();
      checkStruct(value as Record<string, unknown>, type, problems, place);
      return value;
    }
  }
}

/** Where standard base64 with its padding ends to be it; undefined when all of it is. */
function badBase64(value: string): number | undefined {
  const text = value.replaceAll(/[\r\n]/g, "");
  const strange = text.replace(/={1,2}$/, "").search(/[^A-Za-z0-9+/]/);
  if (strange >= 0) return strange;
  return text.length % 4 === 0 ? undefined : text.length - (text.length % 4);
}
