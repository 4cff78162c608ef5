/**
 * OpenAPI documents: version 3 one a group and version, version 2 one for everything. Made when first asked
 * for and kept until the catalog changes.
 */
import { createHash } from "node:crypto";
import { customKind } from "../../../../common/kube/facts/custom.ts";
import type { ResourceDefinition } from "../../resources/definition.ts";
import type { Catalog } from "../catalog.ts";
import { turn } from "../slices.ts";
import { serverVersion } from "../version.ts";
import { pieces } from "./gnostic.ts";
import type { Operation, Parameter, PathOperations } from "./operations.ts";
import { pathsOf, rootOf } from "./operations.ts";
import type { Dialect, Schema } from "./schemas.ts";
import { closure, root, sorted, typeSchema } from "./schemas.ts";

const json = "application/json";
const contentTypes = [json, "application/yaml", "application/vnd.kubernetes.protobuf"];
const patchTypes = [
  "application/apply-patch+yaml",
  "application/json-patch+json",
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
];

/** Custom resources have no strategic merge: kubectl reads here which patch it may send. */
function patchTypesOf({ gvk }: Operation): string[] {
  return gvk && customKind(gvk) ? patchTypes.filter((type) => !type.includes("strategic")) : patchTypes;
}

interface Documents {
  version: number;
  v2: Map<V2Form, Promise<Buffer>>;
  v3: Map<string, Buffer>;
  /** Of each place's document. */
  hashes: Map<string, string>;
}

const kept = new WeakMap<Catalog, Documents>();

function documentsOf(catalog: Catalog): Documents {
  let documents = kept.get(catalog);
  if (documents?.version !== catalog.version) {
    documents = { version: catalog.version, v2: new Map(), v3: new Map(), hashes: new Map() };
    kept.set(catalog, documents);
  }
  return documents;
}

/** "api/v1", "apis/apps/v1" → the definitions there. */
function places(catalog: Catalog): Map<string, ResourceDefinition[]> {
  return Map.groupBy(catalog.all(), (definition) => rootOf(definition).slice(1));
}

/**
 * The root document: where each group and version's own document is, with its hash. `others`: the places that other
 * servers answer for, whose documents may change unseen and so have no hash.
 */
export function openapiV3Index(catalog: Catalog, others: readonly string[] = []): Buffer {
  const known = [...places(catalog).keys()];
  return Buffer.from(
    JSON.stringify({
      paths: Object.fromEntries(
        [...new Set([...known, ...others])].toSorted().map((place) => {
          const hash = others.includes(place) ? undefined : openapiV3Hash(catalog, place);
          return [place, { serverRelativeURL: `/openapi/v3/${place}${hash ? `?hash=${hash}` : ""}` }];
        }),
      ),
    }),
  );
}

/** Of what a document is made of: making all documents only to hash them would take too long. undefined: there is none. */
export function openapiV3Hash(catalog: Catalog, place: string): string | undefined {
  const { hashes } = documentsOf(catalog);
  if (hashes.size === 0) {
    for (const [each, definitions] of places(catalog)) {
      const made = JSON.stringify([serverVersion.gitVersion, each, definitions.map(facts)]);
      hashes.set(each, createHash("sha256").update(made).digest("hex").slice(0, 64).toUpperCase());
    }
  }
  return hashes.get(place);
}

/** What of a definition shows in its document. */
function facts(definition: ResourceDefinition): unknown {
  const { resource, kind, verbs, subresources, namespaced } = definition;
  const schema = customKind(definition)?.schema;
  return [resource, kind, verbs, namespaced, subresources?.map(({ name, verbs: allowed }) => [name, allowed]), schema];
}

/** The document of "api/v1" or "apis/apps/v1"; undefined where nothing is served. */
export function openapiV3(catalog: Catalog, place: string): Buffer | undefined {
  const { v3 } = documentsOf(catalog);
  const known = v3.get(place);
  if (known) return known;
  const definitions = places(catalog).get(place);
  if (!definitions) return undefined;
  const paths = definitions.flatMap(pathsOf);
  const document = {
    openapi: "3.0.0",
    info: { title: "Kubernetes", version: serverVersion.gitVersion },
    paths: renderPaths(paths, "v3"),
    components: { schemas: closure(typesIn(paths), "v3") },
  };
  const bytes = Buffer.from(JSON.stringify(document));
  v3.set(place, bytes);
  return bytes;
}

export type V2Form = "json" | "protobuf";

/** Everything in one Swagger 2.0 document, made piece by piece: others have their turn in between. */
export function openapiV2(catalog: Catalog, form: V2Form): Promise<Buffer> {
  const documents = documentsOf(catalog);
  const making = documents.v2.get(form) ?? makeV2(catalog, form);
  documents.v2.set(form, making);
  making.catch(() => documents.v2.delete(form));
  return making;
}

/** Paths or types that are rendered in one turn. */
const AT_ONCE = 20;

async function makeV2(catalog: Catalog, form: V2Form): Promise<Buffer> {
  const paths = catalog.all().flatMap(pathsOf);
  const parts: { paths: Uint8Array[]; definitions: Uint8Array[] } = { paths: [], definitions: [] };
  const add = (kind: keyof typeof parts, name: string, value: unknown): void => {
    const piece =
      form === "json"
        ? Buffer.from(`${parts[kind].length > 0 ? "," : ""}${JSON.stringify(name)}:${JSON.stringify(value)}`)
        : pieces[kind === "paths" ? "path" : "definition"](name, value);
    parts[kind].push(piece);
  };
  for (const [at, one] of paths.toSorted((a, b) => (a.path < b.path ? -1 : 1)).entries()) {
    if (at % AT_ONCE === 0) await turn();
    for (const [name, value] of Object.entries(renderPaths([one], "v2"))) add("paths", name, value);
  }
  const seen = new Set<string>();
  const schemas = new Map<string, Schema>();
  const waiting = [...typesIn(paths)];
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    if (seen.has(id)) continue;
    if (seen.size % AT_ONCE === 0) await turn();
    seen.add(id);
    const used = new Set<string>();
    schemas.set(id, typeSchema(id, "v2", used));
    waiting.push(...used);
  }
  for (const [at, id] of [...schemas.keys()].toSorted().entries()) {
    if (at % AT_ONCE === 0) await turn();
    add("definitions", id, schemas.get(id));
  }
  const title = "Kubernetes";
  const version = serverVersion.gitVersion;
  if (form === "protobuf") {
    return Buffer.concat([
      pieces.head(title, version),
      pieces.paths(Buffer.concat(parts.paths)),
      pieces.definitions(Buffer.concat(parts.definitions)),
    ]);
  }
  return Buffer.concat([
    Buffer.from(`{"swagger":"2.0","info":${JSON.stringify({ title, version })},"paths":{`),
    ...parts.paths,
    Buffer.from('},"definitions":{'),
    ...parts.definitions,
    Buffer.from("}}"),
  ]);
}

function typesIn(paths: readonly PathOperations[]): Set<string> {
  const types = new Set<string>();
  for (const { operations } of paths) {
    for (const { body, answer } of operations) {
      if (body) types.add(body);
      if (answer) types.add(answer);
    }
  }
  return types;
}

function renderPaths(paths: readonly PathOperations[], dialect: Dialect): Record<string, Schema> {
  return sorted(
    Object.fromEntries(
      paths.map(({ path, parameters, operations }) => [
        path,
        {
          ...Object.fromEntries(operations.map((one) => [one.method, dialect === "v2" ? swagger(one) : openapi(one)])),
          parameters: parameters.map((one) => renderParameter(one, dialect)),
        },
      ]),
    ),
  );
}

function renderParameter({ name, in: where, type, description }: Parameter, dialect: Dialect): Schema {
  const required = where === "path" ? { required: true } : {};
  const shape = dialect === "v2" ? { type, uniqueItems: true } : { schema: { type, uniqueItems: true } };
  return { name, in: where, description, ...required, ...shape };
}

const codes = (operation: Operation): string[] => (operation.created ? ["200", "201"] : ["200"]);
const said: Record<string, string> = { "200": "OK", "201": "Created" };

function extensions({ action, gvk }: Operation): Schema {
  return { "x-kubernetes-action": action, ...(gvk ? { "x-kubernetes-group-version-kind": gvk } : {}) };
}

function openapi(operation: Operation): Schema {
  const { id, tag, description, body, answer, patch } = operation;
  const reference = (type: string): Schema => ({ schema: { $ref: root("v3") + type } });
  const answers = answer
    ? { content: Object.fromEntries(contentTypes.map((type) => [type, reference(answer)])) }
    : { content: { "*/*": { schema: { type: "string" } } } };
  return {
    tags: [tag],
    description,
    operationId: id,
    parameters: operation.parameters.map((one) => renderParameter(one, "v3")),
    ...(body
      ? {
          requestBody: {
            content: Object.fromEntries(
              (patch ? patchTypesOf(operation) : ["*/*"]).map((type) => [type, reference(body)]),
            ),
            ...(patch || operation.method !== "delete" ? { required: true } : {}),
          },
        }
      : {}),
    responses: {
      ...Object.fromEntries(codes(operation).map((code) => [code, { description: said[code], ...answers }])),
      "401": { description: "Unauthorized" },
    },
    ...extensions(operation),
  };
}

function swagger(operation: Operation): Schema {
  const { id, tag, description, body, answer, patch } = operation;
  const bodyParameter = body
    ? [
        {
          name: "body",
          in: "body",
          ...(operation.method === "delete" ? {} : { required: true }),
          schema: { $ref: root("v2") + body },
        },
      ]
    : [];
  return {
    tags: [tag],
    description,
    operationId: id,
    consumes: patch ? patchTypesOf(operation) : ["*/*"],
    produces: contentTypes,
    schemes: ["https"],
    parameters: [...bodyParameter, ...operation.parameters.map((one) => renderParameter(one, "v2"))],
    responses: {
      ...Object.fromEntries(
        codes(operation).map((code) => [
          code,
          { description: said[code], schema: answer ? { $ref: root("v2") + answer } : { type: "string" } },
        ]),
      ),
      "401": { description: "Unauthorized" },
    },
    ...extensions(operation),
  };
}
