/** From an HTTP write to what the registry is asked: options of the query, the object in the body. */
import { decodeJson, parseJson, shape, shapeObject } from "../../../../common/kube/codec/json.ts";
import type { Decoded } from "../../../../common/kube/codec/json.ts";
import { duplicateKeys } from "../../../../common/kube/codec/duplicates.ts";
import { decodeProtobuf } from "../../../../common/kube/codec/protobuf.ts";
import { WireError } from "../../../../common/kube/codec/wire.ts";
import type { GroupVersionKind, KubeObject } from "../../../../common/kube/object.ts";
import { StatusError } from "../../../../common/kube/status.ts";
import type { ResourceDefinition } from "../../resources/definition.ts";
import { invalidError } from "../../resources/invalid.ts";
import type { DeleteBody } from "../registry/delete.ts";
import { reportFields } from "../registry/context.ts";
import type { Target, WriteRequest } from "../registry/context.ts";
import { readYaml } from "../yaml/reading.ts";
import type { Exchange } from "./exchange.ts";
import { isLarge, turn } from "../slices.ts";

const JSON_TYPES = new Set(["application/json", "", "text/plain"]);
const LONGEST_MANAGER = 128;

/** Of a query's option that cannot be so. `reason`: of the cause, FieldValueInvalid and the like. */
export function invalidOption(kind: string, field: string, reason: string, message: string): StatusError {
  return invalidError({ group: "meta.k8s.io", kind }, "", [{ reason, message, field }]);
}

/** Throws StatusError on options that are none. */
export function writeRequest(exchange: Exchange, target: Target, optionsKind: string): WriteRequest {
  const { query } = exchange.info;
  return {
    ...target,
    user: exchange.user,
    dryRun: readDryRun(query.getAll("dryRun"), optionsKind),
    fieldManager: readManager(query.get("fieldManager"), optionsKind) ?? managerOf(exchange),
    fieldValidation: readValidation(query.get("fieldValidation"), optionsKind),
    warn: (message) => exchange.warn(message),
    ...(exchange.audit ? { annotate: (key: string, value: string) => exchange.audit?.annotate(key, value) } : {}),
  };
}

function readDryRun(values: string[], kind: string): boolean {
  if (values.length === 0 || (values.length === 1 && values[0] === "")) return false;
  if (values.every((value) => value === "All")) return true;
  const message = `Unsupported value: ${JSON.stringify(values)}: supported values: "All"`;
  throw invalidOption(kind, "dryRun", "FieldValueNotSupported", message);
}

function readManager(value: string | null, kind: string): string | undefined {
  if (value === null || value === "") return undefined;
  if (Buffer.byteLength(value) > LONGEST_MANAGER) {
    const message = `Too long: may not be more than ${LONGEST_MANAGER} bytes`;
    throw invalidOption(kind, "fieldManager", "FieldValueTooLong", message);
  }
  const odd = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.exec(value);
  if (odd) {
    const code = odd[0].codePointAt(0)?.toString(16).toUpperCase().padStart(4, "0");
    const message = `Invalid value: ${JSON.stringify(value)}: invalid character U+${code} (at position ${odd.index})`;
    throw invalidOption(kind, "fieldManager", "FieldValueInvalid", message);
  }
  return value;
}

/** Without a name of its own a manager is known by its program: what stands before the "/" of its User-Agent. */
function managerOf(exchange: Exchange): string {
  const agent = exchange.request.headers["user-agent"] ?? "unknown";
  return agent.split("/")[0]?.slice(0, LONGEST_MANAGER) || "unknown";
}

function readValidation(value: string | null, kind: string): WriteRequest["fieldValidation"] {
  if (value === null || value === "") return "Warn";
  if (value === "Strict" || value === "Warn" || value === "Ignore") return value;
  throw invalidOption(
    kind,
    "fieldValidation",
    "FieldValueNotSupported",
    `Unsupported value: ${JSON.stringify(value)}: supported values: "Ignore", "Strict", "Warn"`,
  );
}

/** The object in the body, of this kind, unknown fields reported as the request wants. Throws StatusError. */
export async function readObject(
  exchange: Exchange,
  gvk: GroupVersionKind,
  request: WriteRequest,
): Promise<KubeObject> {
  const bytes = await exchange.body();
  request.large = isLarge(bytes.length);
  const { object, problems } = await decode(bytes, exchange.contentType(), gvk, request.fieldValidation !== "Ignore");
  reportFields(
    problems,
    request,
    (words) =>
      new StatusError(
        "BadRequest",
        `${gvk.kind} in version "${gvk.version}" cannot be handled as a ${gvk.kind}: ${words}`,
      ),
  );
  if (request.large) await turn();
  return object;
}

async function decode(bytes: Buffer, type: string, gvk: GroupVersionKind, findDuplicates: boolean): Promise<Decoded> {
  if (bytes.length === 0) throw new StatusError("BadRequest", "EOF");
  if (type === "application/vnd.kubernetes.protobuf") {
    try {
      return shapeObject({ value: decodeProtobuf(bytes), duplicates: [] }, gvk);
    } catch (error) {
      if (!(error instanceof WireError) && !(error instanceof RangeError) && !(error instanceof SyntaxError))
        throw error;
      throw new StatusError("BadRequest", error.message);
    }
  }
  if (type === "application/yaml") return shapeObject(await readYaml(bytes), gvk);
  if (JSON_TYPES.has(type))
    return isLarge(bytes.length) ? decodeLarge(bytes, gvk, findDuplicates) : decodeJson(bytes, gvk, { findDuplicates });
  throw unsupported(["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"]);
}

/** decodeJson, others let in between. */
async function decodeLarge(bytes: Buffer, gvk: GroupVersionKind, findDuplicates: boolean): Promise<Decoded> {
  const { value } = parseJson(bytes, false);
  await turn();
  const duplicates = findDuplicates ? duplicateKeys(bytes.toString()) : [];
  await turn();
  return shape({ value, duplicates }, gvk);
}

export function unsupported(accepted: readonly string[]): StatusError {
  return new StatusError(
    "UnsupportedMediaType",
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(", ")}`,
  );
}

/** DeleteOptions: in the body, or in the query of clients that send none. */
export async function readDelete(
  exchange: Exchange,
  target: Target,
): Promise<{ request: WriteRequest; body: DeleteBody }> {
  const { query } = exchange.info;
  const request = writeRequest(exchange, target, "DeleteOptions");
  const bytes = await exchange.body();
  const given: Record<string, unknown> =
    bytes.length > 0 ? await deleteOptions(bytes, exchange.contentType(), target.definition) : {};
  const grace =
    given["gracePeriodSeconds"] ??
    (query.has("gracePeriodSeconds") ? Number(query.get("gracePeriodSeconds")) : undefined);
  const policy = given["propagationPolicy"] ?? query.get("propagationPolicy") ?? undefined;
  const orphan =
    given["orphanDependents"] ?? (query.has("orphanDependents") ? query.get("orphanDependents") === "true" : undefined);
  const dryRun = Array.isArray(given["dryRun"])
    ? readDryRun(given["dryRun"] as string[], "DeleteOptions")
    : request.dryRun;
  return {
    request: { ...request, dryRun },
    body: {
      ...(typeof grace === "number" && Number.isInteger(grace) ? { gracePeriodSeconds: grace } : {}),
      ...(typeof policy === "string" && policy !== "" ? { propagationPolicy: policy } : {}),
      ...(typeof orphan === "boolean" ? { orphanDependents: orphan } : {}),
      ...(given["preconditions"]
        ? { preconditions: given["preconditions"] as NonNullable<DeleteBody["preconditions"]> }
        : {}),
    },
  };
}

/** Its apiVersion may be v1, meta.k8s.io/v1 or the resource's own group version. */
async function deleteOptions(
  bytes: Buffer,
  type: string,
  definition: ResourceDefinition,
): Promise<Record<string, unknown>> {
  const gvk = { group: "meta.k8s.io", version: "v1", kind: "DeleteOptions" };
  if (type === "application/vnd.kubernetes.protobuf") {
    return (await decode(retyped(bytes), type, gvk, false)).object;
  }
  const value =
    type === "application/yaml" ? shapeObject(await readYaml(bytes), { ...definition, kind: "" }).object : parse(bytes);
  return decodeJson(JSON.stringify({ ...value, apiVersion: "meta.k8s.io/v1", kind: "DeleteOptions" }), gvk, {
    findDuplicates: false,
  }).object;
}

function parse(bytes: Buffer): Record<string, unknown> {
  try {
    const { value } = parseJson(bytes, false);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Refused below, in the same words.
  }
  throw new StatusError("BadRequest", "couldn't get version/kind; json parse error: DeleteOptions must be an object");
}

/**
 * The envelope says which group the options are of (any that is served); the message is the same for all.
 * Rewritten so that the codec finds its facts under meta.k8s.io.
 */
function retyped(bytes: Buffer): Buffer {
  const raw = rawOf(bytes);
  const apiVersion = Buffer.from("meta.k8s.io/v1");
  const kind = Buffer.from("DeleteOptions");
  const typeMeta = Buffer.concat([
    Buffer.from([0x0a, apiVersion.length]),
    apiVersion,
    Buffer.from([0x12, kind.length]),
    kind,
  ]);
  return Buffer.concat([
    Buffer.from("k8s\0"),
    Buffer.from([0x0a, typeMeta.length]),
    typeMeta,
    Buffer.from([0x12]),
    varint(raw.length),
    raw,
  ]);
}

/** Field 2 (raw) of runtime.Unknown. */
function rawOf(bytes: Buffer): Buffer {
  let at = 4;
  while (at < bytes.length) {
    const tag = bytes[at++] ?? 0;
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined || shift > 28) throw new StatusError("BadRequest", "unexpected EOF");
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    if (tag === 0x12) return bytes.subarray(at, at + length);
    at += length;
  }
  return Buffer.alloc(0);
}

function varint(value: number): Buffer {
  const out: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...out, rest]);
    out.push((rest & 0x7f) | 0x80);
  }
}
