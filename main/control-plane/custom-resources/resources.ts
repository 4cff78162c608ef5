/** From a CustomResourceDefinition to what the API server serves: one ResourceDefinition a served version. */
import { copyOf } from "../../../common/kube/copy.ts";
import { applySchemaDefaults, hasDefaults } from "../../../common/kube/facts/custom.ts";
import type { StructuralSchema } from "../../../common/kube/facts/custom.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import { apiVersionOf } from "../../../common/kube/object.ts";
import type { StatusCause } from "../../../common/kube/status.ts";
import { StatusError } from "../../../common/kube/status.ts";
import { define, showsAge, statusSubresource, table } from "../resources/define.ts";
import type {
  Cell,
  RequestContext,
  ResourceDefinition,
  Strategy,
  SubresourceDefinition,
  TableDefinition,
} from "../resources/definition.ts";
import { age } from "../resources/duration.ts";
import { scaleTable } from "../resources/workload/scale.ts";
import { Problems } from "../resources/validation/problems.ts";
import { finalizerWarnings } from "../resources/validation/metadata.ts";
import type { Dialler } from "../outbound/services.ts";
import { WebhookConversion } from "./conversion.ts";
import { embeddedCauses } from "./embedded.ts";
import { JsonPathError, findPath, setPath } from "./json-path.ts";
import type { Lifetime } from "./lifetime.ts";
import { listTypeCauses } from "./list-types.ts";
import { ruleTree, runRules } from "./rules.ts";
import type { RuleTree } from "./rules.ts";
import { validateSchema, validateSchemaBelow } from "./schema-validation.ts";
import type { CustomResourceDefinition, PrinterColumn, Version } from "./types.ts";
import { isTerminating } from "./types.ts";

/** Everything that is served of the definition. Rules are compiled here, which takes a moment. */
export function customResources(
  crd: CustomResourceDefinition,
  dialler: Dialler,
  lifetime?: Lifetime,
): ResourceDefinition[] {
  return crd.spec.versions
    .filter(({ served }) => served)
    .map((version) => ({ ...ofVersion(crd, version, dialler), ...(lifetime ? { lifetime } : {}) }));
}

/** The schema of a version; without one everything is kept. */
export function schemaOf(crd: CustomResourceDefinition, version: Version): StructuralSchema {
  const schema = version.schema?.openAPIV3Schema ?? { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  return crd.spec.preserveUnknownFields ? { ...schema, "x-kubernetes-preserve-unknown-fields": true } : schema;
}

function ofVersion(crd: CustomResourceDefinition, version: Version, dialler: Dialler): ResourceDefinition {
  const { group, names, scope, versions } = crd.spec;
  const schema = schemaOf(crd, version);
  const storage = versions.find((one) => one.storage) ?? version;
  const checks = new Checks(schema, version.subresources?.scale);
  const fields = version.selectableFields ?? [];
  const hasStatus = version.subresources?.status !== undefined;
  const warning = version.deprecated
    ? (version.deprecationWarning ?? `${group}/${version.name} ${names.kind} is deprecated`)
    : undefined;
  // What was stored before the definition changed may be of a version that there is no more.
  const needsView = versions.length > 1 || hasDefaults(schema) || (crd.metadata.generation ?? 1) > 1;
  return define({
    group,
    version: version.name,
    resource: names.plural,
    singular: names.singular,
    kind: names.kind,
    listKind: names.listKind,
    ...(names.shortNames?.length ? { shortNames: names.shortNames } : {}),
    ...(names.categories?.length ? { categories: names.categories } : {}),
    namespaced: scope === "Namespaced",
    hasGeneration: true,
    anyFinalizer: true,
    ...(warning === undefined ? {} : { deprecation: warning }),
    strategy: strategyOf(crd, checks, hasStatus),
    table: tableOf(version.additionalPrinterColumns),
    selectableFields: Object.fromEntries(
      fields.map(({ jsonPath }) => [jsonPath.replace(/^\./, ""), (object) => textAt(object, jsonPath)]),
    ),
    subresources: [
      ...(hasStatus ? [statusOf(checks)] : []),
      ...(version.subresources?.scale ? [scaleOf(version.subresources.scale, checks)] : []),
    ],
    ...(needsView
      ? {
          storedAs: {
            ...viewOf(group, names.plural, storage, version, schema),
            ...conversionOf(crd, version, storage, schema, dialler),
          },
        }
      : {}),
  });
}

/** What is stored in the storage version, seen in this one: conversion "None" changes the apiVersion alone. */
function viewOf(
  group: string,
  resource: string,
  storage: Version,
  version: Version,
  schema: StructuralSchema,
): NonNullable<ResourceDefinition["storedAs"]> {
  const own = apiVersionOf({ group, version: version.name });
  const stored = apiVersionOf({ group, version: storage.name });
  const defaults = hasDefaults(schema);
  return {
    group,
    version: storage.name,
    resource,
    toStored: (object) => (object.apiVersion === stored ? object : { ...object, apiVersion: stored }),
    fromStored(object) {
      if (!defaults) return object.apiVersion === own ? object : { ...object, apiVersion: own };
      const copy = { ...copyOf(object), apiVersion: own };
      applySchemaDefaults(copy, schema);
      return copy;
    },
  };
}

function conversionOf(
  { spec: { group, names, conversion } }: CustomResourceDefinition,
  version: Version,
  storage: Version,
  schema: StructuralSchema,
  dialler: Dialler,
): { conversion?: WebhookConversion } {
  if (conversion?.strategy !== "Webhook" || !conversion.webhook) return {};
  const place = { group, kind: names.kind, version: version.name, storageVersion: storage.name };
  return { conversion: new WebhookConversion({ webhook: conversion.webhook, ...place, schema, dialler }) };
}

/** The schema's demands and its rules. */
class Checks {
  readonly #schema: StructuralSchema;
  readonly #rules: RuleTree | undefined;
  readonly #scale: ScalePaths | undefined;

  constructor(schema: StructuralSchema, scale: ScalePaths | undefined) {
    this.#schema = schema;
    this.#rules = ruleTree(schema, true);
    this.#scale = scale;
  }

  of(object: KubeObject, old: KubeObject | undefined, context: RequestContext): StatusCause[] {
    const bare = (one: KubeObject): object => {
      const { apiVersion: _a, kind: _k, metadata: _m, ...rest } = one;
      return this.#schema.properties?.["metadata"] ? { ...rest, metadata: namesOf(one) } : rest;
    };
    const required = (this.#schema.required ?? []).filter((name) => !["apiVersion", "kind", "metadata"].includes(name));
    const causes = validateSchema(bare(object), { ...this.#schema, required }, "", old && bare(old));
    if (this.#scale) causes.push(...replicaCauses(object, this.#scale.specReplicasPath));
    return this.#rest(causes, object, old, context);
  }

  /** Of an object whose status alone was written. */
  ofStatus(object: KubeObject, old: KubeObject, context: RequestContext): StatusCause[] {
    const schema = this.#schema.properties?.["status"];
    const causes = schema ? validateSchemaBelow("status", object["status"], schema, old["status"] ?? undefined) : [];
    if (object["status"] === undefined) causes.length = 0;
    if (this.#scale) {
      causes.push(...replicaCauses(object, this.#scale.statusReplicasPath));
      if (this.#scale.labelSelectorPath) causes.push(...selectorCauses(object, this.#scale.labelSelectorPath));
    }
    return this.#rest(causes, object, old, context);
  }

  #rest(
    causes: StatusCause[],
    object: KubeObject,
    old: KubeObject | undefined,
    context: RequestContext,
  ): StatusCause[] {
    const embedded = { ...this.#schema, "x-kubernetes-embedded-resource": false };
    causes.push(...embeddedCauses(object, embedded));
    // Lists that were wrong before may stay so.
    if (!old || listTypeCauses(old, this.#schema).length === 0) causes.push(...listTypeCauses(object, this.#schema));
    if (!this.#rules) return causes;
    // Rules may rely on the shape that the schema promises.
    if (causes.some(({ reason }) => blocking.has(reason ?? ""))) return [...causes, notChecked];
    return [...causes, ...runRules(this.#rules, object, old, { warn: (message) => context.warn(message) })];
  }
}

const blocking = new Set([
  "FieldValueNotSupported",
  "FieldValueRequired",
  "FieldValueTooLong",
  "FieldValueTooMany",
  "FieldValueTypeInvalid",
]);

const notChecked: StatusCause = {
  reason: "FieldValueInvalid",
  message:
    "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
  field: "<nil>",
};

const MOST_REPLICAS = 2_147_483_647;

function replicaCauses(object: KubeObject, path: string): StatusCause[] {
  const problems = new Problems();
  const [found] = findPath(object, path);
  if (found === undefined) return [];
  if (typeof found !== "bigint" && !Number.isInteger(found))
    problems.invalid(path, 0, `${path} accessor error: ${goValue(found)}, expected int64`);
  else if (Number(found) < 0) problems.invalid(path, found, "should be a non-negative integer");
  else if (Number(found) > MOST_REPLICAS)
    problems.invalid(path, found, `should be less than or equal to ${MOST_REPLICAS}`);
  return problems.causes;
}

function selectorCauses(object: KubeObject, path: string): StatusCause[] {
  const problems = new Problems();
  const [found] = findPath(object, path);
  if (found !== undefined && typeof found !== "string")
    problems.invalid(path, "", `${path} accessor error: ${goValue(found)}, expected string`);
  return problems.causes;
}

/** "x is of the type string", as Go shows values and names their types. */
function goValue(value: unknown): string {
  if (value === null) return "<nil> is of the type <nil>";
  if (typeof value === "string") return `${value} is of the type string`;
  if (typeof value === "number") return `${value} is of the type ${Number.isInteger(value) ? "int64" : "float64"}`;
  if (typeof value === "boolean") return `${value} is of the type bool`;
  return `${JSON.stringify(value)} is of the type ${Array.isArray(value) ? "[]interface {}" : "map[string]interface {}"}`;
}

const namesOf = ({ metadata }: KubeObject): object => ({
  ...(metadata.name === undefined ? {} : { name: metadata.name }),
  ...(metadata.generateName === undefined ? {} : { generateName: metadata.generateName }),
});

function strategyOf(crd: CustomResourceDefinition, checks: Checks, hasStatus: boolean): Strategy {
  return {
    allowUnconditionalUpdate: false,
    prepareForCreate(object) {
      if (isTerminating(crd)) {
        const { group, names } = crd.spec;
        throw new StatusError(
          "MethodNotAllowed",
          "create not allowed while custom resource definition is terminating",
          { group, kind: names.plural },
        );
      }
      if (hasStatus) delete object["status"];
    },
    prepareForUpdate(object, old) {
      if (!hasStatus) return;
      if (old["status"] === undefined) delete object["status"];
      else object["status"] = old["status"];
    },
    validate(object, context) {
      for (const warning of finalizerWarnings(object.metadata)) context.warn(warning);
      return checks.of(object, undefined, context);
    },
    validateUpdate(object, old, context) {
      for (const warning of finalizerWarnings(object.metadata, old.metadata)) context.warn(warning);
      return checks.of(object, old, context);
    },
  };
}

function statusOf(checks: Checks): SubresourceDefinition {
  return statusSubresource({ validate: (object, old, context) => checks.ofStatus(object, old, context) });
}

type ScalePaths = NonNullable<NonNullable<Version["subresources"]>["scale"]>;

function scaleOf(paths: ScalePaths, checks: Checks): SubresourceDefinition {
  const numberAt = (object: KubeObject, path: string): number => {
    const [found] = findPath(object, path);
    return typeof found === "number" ? found : 0;
  };
  return {
    name: "scale",
    kind: { group: "autoscaling", version: "v1", kind: "Scale" },
    verbs: ["get", "patch", "update"],
    table: scaleTable,
    read(parent) {
      const { name, namespace, uid, resourceVersion, creationTimestamp } = parent.metadata;
      const selector = paths.labelSelectorPath ? textAt(parent, paths.labelSelectorPath) : "";
      return {
        apiVersion: "autoscaling/v1",
        kind: "Scale",
        metadata: Object.fromEntries(
          Object.entries({ name, namespace, uid, resourceVersion, creationTimestamp }).filter(
            ([, v]) => v !== undefined,
          ),
        ),
        spec: { replicas: numberAt(parent, paths.specReplicasPath) },
        status: {
          replicas: numberAt(parent, paths.statusReplicasPath),
          ...(selector === "" ? {} : { selector }),
        },
      };
    },
    validate(scale) {
      const problems = new Problems();
      problems.nonNegative("spec.replicas", (scale["spec"] as { replicas?: number } | undefined)?.replicas);
      return problems.causes;
    },
    prepareForUpdate(scale, old) {
      const updated = copyOf(old);
      setPath(updated, paths.specReplicasPath, (scale["spec"] as { replicas?: number } | undefined)?.replicas ?? 0);
      if (scale.metadata.resourceVersion) updated.metadata.resourceVersion = scale.metadata.resourceVersion;
      return updated;
    },
    validateUpdate: (object, old, context) => checks.of(object, old, context),
    readable(parent) {
      if (findPath(parent, paths.specReplicasPath).length > 0) return;
      throw new StatusError(
        "InternalError",
        `Internal error occurred: the spec replicas field ${JSON.stringify(paths.specReplicasPath)} does not exist`,
      );
    },
  };
}

function textAt(object: KubeObject, path: string): string {
  const [found] = findPath(object, path);
  return typeof found === "string" || typeof found === "number" || typeof found === "boolean" ? String(found) : "";
}

/** Without columns of its own, or with one whose path cannot be read, a kind shows its age. */
function tableOf(columns: PrinterColumn[] | undefined): TableDefinition {
  if (!columns?.length || !columns.every(({ jsonPath }) => isPath(jsonPath))) return table(showsAge);
  return {
    columns: columns.map(({ name, type, format, description, priority, jsonPath }) => ({
      name,
      type,
      ...(format ? { format } : {}),
      description: description || `Custom resource definition column (in JSONPath format): ${jsonPath}`,
      priority: priority ?? 0,
    })),
    cells: (object, now) => [object.metadata.name ?? "", ...columns.map((column) => cellOf(object, column, now))],
  };
}

function isPath(path: string): boolean {
  try {
    findPath({}, path);
    return true;
  } catch (error) {
    if (error instanceof JsonPathError) return false;
    throw error;
  }
}

/** Of all that a path leads to the first is shown. */
function cellOf(object: KubeObject, { type, jsonPath }: PrinterColumn, now: Date): Cell {
  const [found] = findPath(object, jsonPath);
  if (found === undefined || found === null) return null;
  switch (type) {
    case "integer":
      return typeof found === "number" ? Math.trunc(found) : null;
    case "number":
      return typeof found === "number" ? found : null;
    case "boolean":
      return typeof found === "boolean" ? found : null;
    case "date":
      if (typeof found !== "string") return null;
      if (found === "") return "<unknown>";
      return Number.isNaN(Date.parse(found)) ? "<invalid>" : age(found, now);
    default:
      return typeof found === "object" ? JSON.stringify(found) : String(found as string | number);
  }
}
