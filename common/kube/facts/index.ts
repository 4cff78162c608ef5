/**
 * The schema facts of every stable kind: what fields a type has, their types, protobuf numbers, list
 * types and merge keys. Generated data (`generate.mjs`) behind a small typed door; one file per API
 * group, so a bundle takes what it needs.
 */
import type { GroupVersionKind } from "../object.ts";
import { parseApiVersion } from "../object.ts";
import admissionregistration from "./data/admissionregistration.json" with { type: "json" };
import apiextensions from "./data/apiextensions.json" with { type: "json" };
import apiregistration from "./data/apiregistration.json" with { type: "json" };
import apps from "./data/apps.json" with { type: "json" };
import authentication from "./data/authentication.json" with { type: "json" };
import authorization from "./data/authorization.json" with { type: "json" };
import autoscaling from "./data/autoscaling.json" with { type: "json" };
import batch from "./data/batch.json" with { type: "json" };
import certificates from "./data/certificates.json" with { type: "json" };
import coordination from "./data/coordination.json" with { type: "json" };
import core from "./data/core.json" with { type: "json" };
import discovery from "./data/discovery.json" with { type: "json" };
import events from "./data/events.json" with { type: "json" };
import explain from "./data/explain.json" with { type: "json" };
import flowcontrol from "./data/flowcontrol.json" with { type: "json" };
import meta from "./data/meta.json" with { type: "json" };
import metrics from "./data/metrics.json" with { type: "json" };
import networking from "./data/networking.json" with { type: "json" };
import node from "./data/node.json" with { type: "json" };
import policy from "./data/policy.json" with { type: "json" };
import rbac from "./data/rbac.json" with { type: "json" };
import resource from "./data/resource.json" with { type: "json" };
import scheduling from "./data/scheduling.json" with { type: "json" };
import storage from "./data/storage.json" with { type: "json" };

/** Types that are no structs: JSON scalars, and the API's special ones. */
export type ScalarType =
  | "string"
  | "int32"
  | "int64"
  | "boolean"
  | "double"
  | "bytes"
  | "byte"
  | "Time"
  | "MicroTime"
  | "Duration"
  | "Quantity"
  | "IntOrString"
  | "RawExtension"
  | "FieldsV1";

export interface FieldFact {
  /** The protobuf field number. */
  number: number;
  /** A ScalarType, or the id of a struct ("io.k8s.api.core.v1.Container"). */
  type: string;
  list?: boolean;
  /** A list type with a name of its own: in protobuf a message whose field 1 repeats. */
  namedList?: boolean;
  map?: boolean;
  /** The map's values are lists (Map of []string). */
  listValues?: boolean;
  /** The zero value differs from absence. */
  pointer?: boolean;
  omitempty?: boolean;
  required?: boolean;
  enum?: string[];
  default?: unknown;
  listType?: "atomic" | "map" | "set";
  listMapKeys?: string[];
  /** For maps and structs: server-side apply owns them whole. */
  atomic?: boolean;
  /** "merge", "replace", "retainKeys" or "merge,retainKeys". */
  patchStrategy?: string;
  patchMergeKey?: string;
  /** Set for a field that JSON shows here and protobuf keeps in an embedded message: that message's field number. */
  embeddedIn?: number;
}

export interface TypeFact {
  id: string;
  /** JSON name → field, those of embedded structs included. */
  fields: Map<string, FieldFact>;
  /** It has apiVersion and kind. */
  kind: boolean;
  atomic: boolean;
}

export interface KindFact extends GroupVersionKind {
  /** The type's id. */
  type: string;
}

interface RawType {
  fields: Record<string, FieldFact>;
  inline?: { number: number; type: string }[];
  kind?: boolean;
  atomic?: boolean;
}

interface RawFile {
  kinds: KindFact[];
  types: Record<string, RawType>;
}

const files = [
  core,
  apps,
  batch,
  autoscaling,
  networking,
  policy,
  rbac,
  storage,
  scheduling,
  coordination,
  discovery,
  events,
  explain,
  node,
  certificates,
  admissionregistration,
  apiextensions,
  apiregistration,
  authentication,
  authorization,
  flowcontrol,
  resource,
  metrics,
  meta,
] as unknown as RawFile[];

const rawTypes = new Map<string, RawType>();
const kinds: KindFact[] = [];
const kindTypes = new Map<string, string>();
for (const file of files) {
  for (const [id, type] of Object.entries(file.types)) rawTypes.set(id, type);
  for (const kind of file.kinds) {
    kinds.push(kind);
    kindTypes.set(`${kind.group}/${kind.version}/${kind.kind}`, kind.type);
  }
}

const cache = new Map<string, TypeFact>();

/** The facts of a struct by its id; undefined for scalars and unknown ids. */
export function typeFact(id: string): TypeFact | undefined {
  const known = cache.get(id);
  if (known) return known;
  const raw = rawTypes.get(id);
  if (!raw) return undefined;
  const fields = new Map(Object.entries(raw.fields));
  for (const embedded of raw.inline ?? []) {
    for (const [name, field] of typeFact(embedded.type)?.fields ?? []) {
      fields.set(name, embedded.number > 0 ? { ...field, embeddedIn: embedded.number } : field);
    }
  }
  const fact = { id, fields, kind: raw.kind === true, atomic: raw.atomic === true };
  cache.set(id, fact);
  return fact;
}

/** The embedded messages of a type, for the protobuf codec. */
export function embeddedMessages(id: string): { number: number; type: string }[] {
  return (rawTypes.get(id)?.inline ?? []).filter((embedded) => embedded.number > 0);
}

/** The facts of a built-in kind; undefined for custom resources. */
export function factsFor(gvk: GroupVersionKind): TypeFact | undefined {
  const id = kindTypes.get(`${gvk.group}/${gvk.version}/${gvk.kind}`);
  return id === undefined ? undefined : typeFact(id);
}

/** The facts of an object by its own apiVersion and kind. */
export function factsOf(object: { apiVersion?: unknown; kind?: unknown }): TypeFact | undefined {
  if (typeof object.apiVersion !== "string" || typeof object.kind !== "string") return undefined;
  return factsFor({ ...parseApiVersion(object.apiVersion), kind: object.kind });
}

/** Every built-in kind with facts, lists included. */
export function allKinds(): readonly KindFact[] {
  return kinds;
}
