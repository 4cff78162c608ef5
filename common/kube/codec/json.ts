/**
 * JSON and YAML bodies into objects: parsed, held against the kind's schema, with duplicate and unknown
 * fields reported for `fieldValidation`. Failures are StatusErrors (BadRequest) in the server's words.
 */
import { parseAllDocuments, stringify } from "yaml";
import { customKind, pruneUnknown } from "../facts/custom.ts";
import { factsFor, typeFact } from "../facts/index.ts";
import type { GroupVersionKind, KubeObject } from "../object.ts";
import { apiVersionOf } from "../object.ts";
import { StatusError } from "../status.ts";
import { isNestedDeeper } from "./depth.ts";
import { duplicateKeys } from "./duplicates.ts";
import { fromBigInt, isRounded, reviveExact } from "./exact-integers.ts";
import { duplicateYamlKeys } from "./yaml-duplicates.ts";
import { ShapeError, checkShape } from "./shape.ts";
import type { FieldProblem } from "./shape.ts";

export type { FieldProblem } from "./shape.ts";

export interface Decoded {
  object: KubeObject;
  problems: FieldProblem[];
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

const toText = (body: Uint8Array | string): string => (typeof body === "string" ? body : utf8.decode(body));

/** What is nested deeper would exhaust the stack of those who walk it. No kind comes near. */
const DEEPEST = 500;

interface Seen {
  /** A number that may be another one than the text says. */
  rounded: boolean;
}

function isDeeper(value: object, most: number, seen: Seen): boolean {
  if (most === 0) return true;
  // Not `for … in`: V8 compiles that for the forms it has met, and throws the code away at each new one.
  for (const one of Array.isArray(value) ? (value as unknown[]) : Object.values(value)) {
    if (typeof one === "object" && one !== null) {
      if (isDeeper(one, most - 1, seen)) return true;
    } else if (typeof one !== "string" && isRounded(one)) seen.rounded = true;
  }
  return false;
}

/** Throws BadRequest on what is nested too deeply, or contains itself. */
function look(value: unknown): Seen {
  if (typeof value !== "object" || value === null) return { rounded: isRounded(value) };
  const seen = { rounded: false };
  if (isDeeper(value, DEEPEST, seen)) throw tooDeep();
  return seen;
}

const tooDeep = (): StatusError =>
  new StatusError("BadRequest", `the body is nested too deeply: more than ${DEEPEST} levels`);

/** Without so many digits or an exponent no number is beyond 2^53; a look at the text is a tenth of the work. */
const LARGE_NUMBER = /\d{16}|\d[eE]/;

/** Parses JSON text; `findDuplicates` costs a second pass over it. */
export function parseJson(body: Uint8Array | string, findDuplicates = true): Parsed {
  let text: string;
  let value: unknown;
  try {
    text = toText(body);
    // First: objects nested 100,000 times are made, and thrown away, at the price of many requests.
    if (isNestedDeeper(text, DEEPEST)) throw tooDeep();
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof StatusError) throw error;
    throw new StatusError("BadRequest", `couldn't get version/kind; json parse error: ${(error as Error).message}`);
  }
  if (LARGE_NUMBER.test(text) && look(value).rounded) value = reviveExact(text);
  return { value, duplicates: findDuplicates ? duplicateKeys(text) : [] };
}

/** Parses one YAML document with the scalars of YAML 1.1, as kubectl reads them. */
export function parseYaml(body: Uint8Array | string): Parsed {
  let read: Parsed;
  let text: string;
  try {
    text = toText(body);
    read = readYaml(text);
  } catch (error) {
    // Bad UTF-8, bad YAML, aliases that multiply, nesting beyond the parser's stack.
    throw new StatusError("BadRequest", `error converting YAML to JSON: yaml: ${(error as Error).message}`);
  }
  return look(read.value).rounded ? readYaml(text, true) : read;
}

function readYaml(text: string, exact = false): Parsed {
  const documents = parseAllDocuments(text, {
    version: "1.1",
    uniqueKeys: false,
    merge: true,
    intAsBigInt: exact,
    logLevel: "error",
  });
  const document = Array.isArray(documents) ? documents[0] : undefined;
  const problem = document?.errors[0];
  if (problem) throw problem;
  if (!document) return { value: {}, duplicates: [] };
  const reviver = (_key: unknown, value: unknown): unknown => (typeof value === "bigint" ? int64(value) : value);
  return {
    value: document.toJS({ maxAliasCount: 100, ...(exact ? { reviver } : {}) }) as unknown,
    duplicates: duplicateYamlKeys(document),
  };
}

/** What has more than 64 bits is a float, as in JSON. */
const int64 = (value: bigint): number | bigint =>
  BigInt.asIntN(64, value) === value ? fromBigInt(value) : Number(value);

export function toYaml(value: unknown): string {
  return stringify(value, { version: "1.1", lineWidth: 0 });
}

/**
 * Makes an object of parsed input: apiVersion and kind must be the expected ones (or absent), fields
 * must be of the schema's types. Unknown fields are removed and reported. Throws StatusError: MisfitError, BadRequest.
 */
export function shapeObject(input: Parsed, gvk: GroupVersionKind): Decoded {
  look(input.value);
  return shape(input, gvk);
}

/** BadRequest: a field's value is of another type than the schema's. */
export class MisfitError extends StatusError {
  /** Which, and what it should be. */
  readonly why: string;

  constructor({ kind, version }: GroupVersionKind, why: string) {
    super("BadRequest", `${kind} in version "${version}" cannot be handled as a ${kind}: ${why}`);
    this.why = why;
  }
}

export interface Parsed {
  value: unknown;
  /** Paths of fields that stood there twice. */
  duplicates: string[];
}

/** The same of what `parseJson` gave, which has been looked through. */
export function shape({ value, duplicates }: Parsed, gvk: GroupVersionKind): Decoded {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new StatusError(
      "BadRequest",
      `couldn't get version/kind; json parse error: json: cannot unmarshal ${Array.isArray(value) ? "array" : typeof value} into Go value of type struct`,
    );
  }
  const object = value as KubeObject;
  const apiVersion = apiVersionOf(gvk);
  if (object.apiVersion !== undefined && typeof object.apiVersion !== "string")
    throw new StatusError("BadRequest", "apiVersion must be a string");
  if ((object.apiVersion ?? "") !== "" && object.apiVersion !== apiVersion) {
    throw new StatusError(
      "BadRequest",
      `the API version in the data (${object.apiVersion}) does not match the expected API version (${apiVersion})`,
    );
  }
  if ((object.kind ?? "") !== "" && object.kind !== gvk.kind) {
    throw new StatusError(
      "BadRequest",
      `the object provided is unrecognized (must be of type ${gvk.kind}): kind ${JSON.stringify(object.kind)} was given`,
    );
  }
  object.apiVersion = apiVersion;
  object.kind = gvk.kind;
  const problems: FieldProblem[] = duplicates.map((path) => ({
    kind: "duplicate",
    path,
    message: `duplicate field "${path}"`,
  }));
  const fact = factsFor(gvk);
  try {
    if (fact) checkShape(object, fact, problems);
    else shapeCustom(object, gvk, problems);
  } catch (error) {
    throw error instanceof ShapeError ? new MisfitError(gvk, error.message) : error;
  }
  if (typeof object.metadata !== "object" || object.metadata === null) object.metadata = {};
  return { object, problems };
}

/** Custom resources: their metadata is of a built-in type, the rest of their own schema. */
function shapeCustom(object: KubeObject, gvk: GroupVersionKind, problems: FieldProblem[]): void {
  const meta = typeFact("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");
  const { metadata } = object;
  if (meta && typeof metadata === "object" && metadata !== null)
    checkShape(metadata as Record<string, unknown>, meta, problems, "metadata");
  pruneUnknown(object, customKind(gvk)?.schema, problems, true);
}

export function decodeJson(
  body: Uint8Array | string,
  gvk: GroupVersionKind,
  options: { findDuplicates?: boolean } = {},
): Decoded {
  return shape(parseJson(body, options.findDuplicates ?? true), gvk);
}

export function decodeYaml(body: Uint8Array | string, gvk: GroupVersionKind): Decoded {
  return shape(parseYaml(body), gvk);
}
