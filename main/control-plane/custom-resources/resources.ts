/** From a CustomResourceDefinition to what the API server serves: one ResourceDefinition a served version. */
import { copyOf } from "../../../common/kube/copy.ts";
import { applySchemaDefaults, hasDefaults } from "../../../common/kube/facts/custom.ts";
import type { StructuralSchema } from "../../../common/kube/facts/custom.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import { apiVersionOf } from "../../../common/kube/object.ts";
import type { StatusCause } from "../../../common/kube/status.ts";
import { StatusError } from "../../../common/kube/status.ts";
import { ageColumn, define, showsAge, statusSubresource, table } from "../resources/define.ts";
import type {
  Cell,
  ResourceDefinition,
  Strategy,
  SubresourceDefinition,
  TableDefinition,
} from "../resources/definition.ts";
import { age } from "../resources/duration.ts";
import { scaleTable } from "../resources/workload/scale.ts";
import { Problems } from "../resources/validation/problems.ts";
import type { Dialler } from "../outbound/services.ts";
import { WebhookConversion } from "./conversion.ts";
import { findPath, setPath } from "./json-path.ts";
import { ruleTree, runRules } from "./rules.ts";
import type { RuleTree } from "./rules.ts";
import { validateSchema } from "./schema-validation.ts";
import type { CustomResourceDefinition, PrinterColumn, Version } from "./types.ts";
import { isTerminating } from "./types.ts";

/** Everything that is served of the definition. Rules are compiled here, which takes a moment. */
export function customResources(crd: CustomResourceDefinition, dialler: Dialler): ResourceDefinition[] {
  return crd.spec.versions.filter(({ served }) => served).map((version) => ofVersion(crd, version, dialler));
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
  const checks = new Checks(schema);
  const fields = version.selectableFields ?? [];
  const hasStatus = version.subresources?.status !== undefined;
  const warning = version.deprecated
    ? (version.deprecationWarning ?? `${group}/${version.name} ${names.kind} is deprecated`)
    : undefined;
  const needsView = versions.length > 1 || hasDefaults(schema);
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
  { spec: { group, names, versions, conversion } }: CustomResourceDefinition,
  version: Version,
  storage: Version,
  schema: StructuralSchema,
  dialler: Dialler,
): { conversion?: WebhookConversion } {
  if (conversion?.strategy !== "Webhook" || !conversion.webhook || versions.length === 1) return {};
  const place = { group, kind: names.kind, version: version.name, storageVersion: storage.name };
  return { conversion: new WebhookConversion({ webhook: conversion.webhook, ...place, schema, dialler }) };
}

/** The schema's demands and its rules. */
class Checks {
  readonly #schema: StructuralSchema;
  readonly #rules: RuleTree | undefined;

  constructor(schema: StructuralSchema) {
    this.#schema = schema;
    this.#rules = ruleTree(schema, true);
  }

  of(object: KubeObject, old?: KubeObject): StatusCause[] {
    const bare = (one: KubeObject): object => {
      const { apiVersion: _a, kind: _k, metadata: _m, ...rest } = one;
      return this.#schema.properties?.["metadata"] ? { ...rest, metadata: namesOf(one) } : rest;
    };
    const required = (this.#schema.required ?? []).filter((name) => !["apiVersion", "kind", "metadata"].includes(name));
    const causes = validateSchema(bare(object), { ...this.#schema, required }, "", old && bare(old));
    // Rules may rely on the types that the schema promises.
    if (causes.length > 0 || !this.#rules) return causes;
    return runRules(this.#rules, object, old);
  }
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
        throw new StatusError("MethodNotAllowed", "create not allowed while custom resource definition is terminating");
      }
      if (hasStatus) delete object["status"];
    },
    prepareForUpdate(object, old) {
      if (!hasStatus) return;
      if (old["status"] === undefined) delete object["status"];
      else object["status"] = old["status"];
    },
    validate: (object) => checks.of(object),
    validateUpdate: (object, old) => checks.of(object, old),
  };
}

function statusOf(checks: Checks): SubresourceDefinition {
  return statusSubresource({ validate: (object, old) => checks.of(object, old) });
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
    validateUpdate: (object, old) => checks.of(object, old),
  };
}

function textAt(object: KubeObject, path: string): string {
  const [found] = findPath(object, path);
  return typeof found === "string" || typeof found === "number" || typeof found === "boolean" ? String(found) : "";
}

/** Without columns of its own a kind shows its age. */
function tableOf(columns: PrinterColumn[] | undefined): TableDefinition {
  if (!columns?.length) return table(showsAge);
  return {
    columns: columns.map(({ name, type, format, description, priority }) => ({
      name,
      type: type === "date" ? "date" : type,
      ...(format ? { format } : {}),
      description:
        description ??
        (name === ageColumn.name
          ? ageColumn.description
          : `Custom resource definition column (in JSONPath format): ${columns.find((one) => one.name === name)?.jsonPath ?? ""}`),
      priority: priority ?? 0,
    })),
    cells: (object, now) => [object.metadata.name ?? "", ...columns.map((column) => cellOf(object, column, now))],
  };
}

function cellOf(object: KubeObject, { type, jsonPath }: PrinterColumn, now: Date): Cell {
  const found = findPath(object, jsonPath);
  const [first] = found;
  if (first === undefined || first === null)
    return type === "date" && jsonPath.endsWith("Timestamp") ? "<unknown>" : null;
  switch (type) {
    case "integer":
      return typeof first === "number" ? Math.trunc(first) : null;
    case "number":
      return typeof first === "number" ? first : null;
    case "boolean":
      return typeof first === "boolean" ? first : null;
    case "date":
      return typeof first === "string" ? (Number.isNaN(Date.parse(first)) ? "<invalid>" : age(first, now)) : null;
    default:
      return found
        .map((one) => (typeof one === "object" ? JSON.stringify(one) : String(one as string | number)))
        .join(" ");
  }
}
