/**
 * What is wrong with an object, as the causes of an Invalid status: reasons, words and paths of
 * apimachinery's field errors.
 */
import type { StatusCause } from "../../../../common/kube/status.ts";

/** Renders a bad value as the API server does: text quoted, numbers plain, everything else as JSON. */
function shown(value: unknown): string {
  return JSON.stringify(value) ?? "null";
}

const details = (detail: string): string => (detail === "" ? "" : `: ${detail}`);

/** Collects problems; each method says one more. Fields are paths from the object's root. */
export class Problems {
  readonly causes: StatusCause[] = [];

  required(field: string, detail = ""): void {
    this.#add("FieldValueRequired", field, `Required value${details(detail)}`);
  }

  invalid(field: string, value: unknown, detail: string): void {
    this.#add("FieldValueInvalid", field, `Invalid value: ${shown(value)}${details(detail)}`);
  }

  /** One `invalid` for each thing wrong. */
  invalidAll(field: string, value: unknown, problems: readonly string[]): void {
    for (const problem of problems) this.invalid(field, value, problem);
  }

  notSupported(field: string, value: unknown, supported: readonly string[]): void {
    const values = supported.map((one) => JSON.stringify(one)).join(", ");
    this.#add("FieldValueNotSupported", field, `Unsupported value: ${shown(value)}: supported values: ${values}`);
  }

  /** `notSupported` unless `value` is one of them. */
  oneOf(field: string, value: string | undefined, supported: readonly string[]): void {
    if (value === undefined || value === "") this.required(field);
    else if (!supported.includes(value)) this.notSupported(field, value, supported);
  }

  duplicate(field: string, value: unknown): void {
    this.#add("FieldValueDuplicate", field, `Duplicate value: ${shown(value)}`);
  }

  notFound(field: string, value: unknown): void {
    this.#add("FieldValueNotFound", field, `Not found: ${shown(value)}`);
  }

  forbidden(field: string, detail: string): void {
    this.#add("FieldValueForbidden", field, `Forbidden${details(detail)}`);
  }

  tooLong(field: string, most: number): void {
    this.#add("FieldValueTooLong", field, `Too long: may not be more than ${most} bytes`);
  }

  tooMany(field: string, actual: number, most: number): void {
    this.#add("FieldValueTooMany", field, `Too many: ${actual}: must have at most ${most} items`);
  }

  /** A number that must not be negative; absent is fine. */
  nonNegative(field: string, value: number | undefined): void {
    if (value !== undefined && value < 0) this.invalid(field, value, "must be greater than or equal to 0");
  }

  /** A field that may not change. */
  immutable(field: string, value: unknown, old: unknown): void {
    if (!same(value, old)) this.invalid(field, value ?? null, "field is immutable");
  }

  add(causes: readonly StatusCause[]): void {
    this.causes.push(...causes);
  }

  #add(reason: string, field: string, message: string): void {
    this.causes.push({ reason, message, field });
  }
}

/**
 * Equal as the API sees it: absent, null, an empty list and an empty map are the same; the order of keys
 * does not matter.
 */
export function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (!isObject(a) || !isObject(b)) return isEmpty(a) && isEmpty(b);
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b)) return isEmpty(a) && isEmpty(b);
    return a.length === b.length && a.every((item, at) => same(item, b[at]));
  }
  // There may be very many keys: both are listed once.
  const keys = Object.keys(a);
  const others = Object.keys(b);
  if (keys.length === 0 || others.length === 0) return keys.length === others.length;
  let shared = 0;
  for (const key of keys) {
    const other = b[key];
    if (other !== undefined) shared += 1;
    if (!same(a[key], other)) return false;
  }
  return shared === others.length || others.every((key) => a[key] !== undefined || isEmpty(b[key]));
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === "object" && Object.keys(value).length === 0;
}
