/** What is refused of a CustomResourceDefinition: names, versions, conversion, and schemas that are not structural. */
import type { StructuralSchema } from "../../../common/kube/facts/custom.ts";
import { dns1035LabelProblems, dnsSubdomainProblems } from "../../../common/kube/names.ts";
import type { StatusCause } from "../../../common/kube/status.ts";
import { validateClientConfig } from "../resources/admission/webhooks.ts";
import { Problems, same } from "../resources/validation/problems.ts";
import { JsonPathError, findPath } from "./json-path.ts";
import { SchemaCheck } from "./structural.ts";
import type { CustomResourceDefinition, Names, Version } from "./types.ts";

const columnTypes = ["boolean", "date", "integer", "number", "string"];

export function validateDefinition(crd: CustomResourceDefinition, old?: CustomResourceDefinition): StatusCause[] {
  const problems = new Problems();
  const { spec } = crd;
  const { group = "", names, versions = [] } = spec ?? {};
  const wanted = `${names?.plural ?? ""}.${group}`;
  if (crd.metadata.name !== wanted)
    problems.invalid("metadata.name", crd.metadata.name, `must be spec.names.plural+"."+spec.group`);
  if (group === "") problems.required("spec.group");
  else {
    const wrong = dnsSubdomainProblems(group);
    if (wrong.length > 0) problems.invalid("spec.group", group, wrong.join(","));
    else if (!group.includes(".")) problems.invalid("spec.group", group, "should be a domain with at least one dot");
  }
  problems.oneOf("spec.scope", spec?.scope, ["Cluster", "Namespaced"]);
  if (spec?.preserveUnknownFields)
    problems.invalid(
      "spec.preserveUnknownFields",
      true,
      "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
    );
  validateNames(problems, names);
  if (new Set(versions.map(({ name }) => name)).size < versions.length)
    problems.invalid("spec.versions", versions, "must contain unique version names");
  if (versions.filter(({ storage }) => storage).length !== 1)
    problems.invalid("spec.versions", versions, "must have exactly one version marked as storage version");
  versions.forEach((version, at) =>
    validateVersion(
      problems,
      `spec.versions[${at}]`,
      version,
      old?.spec?.versions?.find(({ name }) => name === version.name),
    ),
  );
  validateConversion(problems, crd);
  if (/(^|\.)(k8s\.io|kubernetes\.io)$/.test(group)) approval(problems, crd);
  (crd.status?.storedVersions ?? []).forEach((version, at) => {
    if (!versions.some(({ name }) => name === version))
      problems.invalid(
        `status.storedVersions[${at}]`,
        version,
        `missing from spec.versions; ${version} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${version} and removes ${version} from status.storedVersions`,
      );
  });
  if (old) {
    const established = old.status?.conditions?.some(({ type, status }) => type === "Established" && status === "True");
    problems.immutable("spec.group", group, old.spec.group);
    problems.immutable("spec.names.plural", names?.plural, old.spec.names.plural);
    if (established) {
      problems.immutable("spec.scope", spec?.scope, old.spec.scope);
      problems.immutable("spec.names.kind", names?.kind, old.spec.names.kind);
    }
  }
  return problems.causes;
}

const APPROVED = "api-approved.kubernetes.io";

/** Groups of the community's own must say who approved them. */
function approval(problems: Problems, crd: CustomResourceDefinition): void {
  const value = crd.metadata.annotations?.[APPROVED];
  const field = `metadata.annotations[${APPROVED}]`;
  if (value === undefined || value === "")
    problems.required(
      field,
      'protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111',
    );
  else if (!value.startsWith("unapproved") && !URL.canParse(value))
    problems.invalid(
      field,
      value,
      'protected groups must have approval annotation "api-approved.kubernetes.io" with either a URL or a reason starting with "unapproved", see https://github.com/kubernetes/enhancements/pull/1111',
    );
}

function validateNames(problems: Problems, names: Names | undefined): void {
  const { plural = "", singular = "", kind = "", listKind = "", shortNames = [], categories = [] } = names ?? {};
  const check = (field: string, value: string, mixed = false): void => {
    if (value === "") {
      problems.required(`spec.names.${field}`);
      return;
    }
    const wrong = dns1035LabelProblems(mixed ? value.toLowerCase() : value).join(",");
    if (wrong === "") return;
    problems.invalid(
      `spec.names.${field}`,
      value,
      mixed ? `may have mixed case, but should otherwise match: ${wrong}` : wrong,
    );
  };
  check("plural", plural);
  check("singular", singular);
  check("kind", kind, true);
  check("listKind", listKind, true);
  shortNames.forEach((name, at) => check(`shortNames[${at}]`, name));
  categories.forEach((name, at) => check(`categories[${at}]`, name));
  if (kind !== "" && kind === listKind)
    problems.invalid("spec.names.listKind", listKind, "kind and listKind may not be the same");
}

function validateVersion(problems: Problems, field: string, version: Version, old: Version | undefined): void {
  const { name = "", schema, subresources, additionalPrinterColumns = [], selectableFields = [] } = version;
  const wrong = dns1035LabelProblems(name);
  if (wrong.length > 0) problems.invalid(`${field}.name`, name, wrong.join(","));
  const place = `${field}.schema.openAPIV3Schema`;
  const root = schema?.openAPIV3Schema;
  if (!root) problems.required(place, "schemas are required");
  // What was taken before is not judged again by rules that may have become stricter.
  else if (!same(root, old?.schema?.openAPIV3Schema)) new SchemaCheck(problems).root(root, place);
  additionalPrinterColumns.forEach((column, at) => {
    const here = `${field}.additionalPrinterColumns[${at}]`;
    if (!column.name) problems.required(`${here}.name`);
    const words = `must be one of ${columnTypes.join(",")}`;
    if (!column.type) problems.required(`${here}.type`, words);
    else if (!columnTypes.includes(column.type)) problems.invalid(`${here}.type`, column.type, words);
    if (!column.jsonPath) problems.required(`${here}.JSONPath`);
    else checkPath(problems, `${here}.jsonPath`, column.jsonPath);
  });
  selectableFields.forEach(({ jsonPath }, at) => {
    const here = `${field}.selectableFields[${at}].jsonPath`;
    if (!jsonPath) problems.required(here);
    else if (jsonPath.startsWith(".metadata")) problems.invalid(here, jsonPath, "must not point to fields in metadata");
    else {
      const target = root && schemaAt(root, jsonPath);
      if (!target) problems.invalid(here, jsonPath, `is an invalid path: does not refer to a valid field`);
      else if (!["boolean", "integer", "string"].includes(target.type ?? ""))
        problems.invalid(
          here,
          jsonPath,
          "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.",
        );
    }
    if (selectableFields.findIndex((one) => one.jsonPath === jsonPath) < at) problems.duplicate(here, jsonPath);
  });
  const scale = subresources?.scale;
  if (!scale) return;
  const paths = [
    ["specReplicasPath", scale.specReplicasPath, [".spec."], "should be a json path under .spec"],
    ["statusReplicasPath", scale.statusReplicasPath, [".status."], "should be a json path under .status"],
  ] as const;
  for (const [key, path, prefixes, words] of paths) {
    const here = `${field}.subresources.scale.${key}`;
    if (!path) problems.required(here);
    else if (!prefixes.some((prefix) => path.startsWith(prefix))) problems.invalid(here, path, words);
  }
  if (scale.labelSelectorPath && !/^\.(spec|status)\./.test(scale.labelSelectorPath))
    problems.invalid(
      `${field}.subresources.scale.labelSelectorPath`,
      scale.labelSelectorPath,
      "should be a json path under either .spec or .status",
    );
}

function schemaAt(root: StructuralSchema, path: string): StructuralSchema | undefined {
  let at: StructuralSchema | undefined = root;
  for (const name of path.replace(/^\./, "").split(".")) at = at?.properties?.[name];
  return at;
}

function checkPath(problems: Problems, field: string, path: string): void {
  try {
    findPath({}, path);
  } catch (error) {
    if (!(error instanceof JsonPathError)) throw error;
    problems.invalid(field, path, `is an invalid path: ${error.message}`);
  }
}

function validateConversion(problems: Problems, { spec }: CustomResourceDefinition): void {
  const { strategy, webhook } = spec?.conversion ?? { strategy: "None" };
  problems.oneOf("spec.conversion.strategy", strategy, ["None", "Webhook"]);
  if (strategy !== "Webhook") {
    if (webhook?.clientConfig)
      problems.forbidden(
        "spec.conversion.webhookClientConfig",
        "should not be set when strategy is not set to Webhook",
      );
    return;
  }
  if (!webhook?.clientConfig)
    problems.required("spec.conversion.webhookClientConfig", "required when strategy is set to Webhook");
  else validateClientConfig(problems, "spec.conversion.webhookClientConfig", webhook.clientConfig);
  const versions = webhook?.conversionReviewVersions ?? [];
  if (versions.length === 0) problems.required("spec.conversion.conversionReviewVersions");
  else if (!versions.includes("v1") && !versions.includes("v1beta1"))
    problems.invalid("spec.conversion.conversionReviewVersions", versions, "must include at least one of v1, v1beta1");
}
