/** What is refused of a CustomResourceDefinition: names, versions, conversion, and schemas that are not structural. */
import type { StructuralSchema } from "../../../common/kube/facts/custom.ts";
import { dns1035LabelProblems, dnsSubdomainProblems } from "../../../common/kube/names.ts";
import type { StatusCause } from "../../../common/kube/status.ts";
import { validateClientConfig } from "../resources/admission/webhooks.ts";
import { Problems, same } from "../resources/validation/problems.ts";
import { validateApproval } from "./approval.ts";
import { FieldPathError, fieldPathOf } from "./field-path.ts";
import { schemaCauses } from "./schema-definition.ts";
import type { CustomResourceDefinition, Names, Version } from "./types.ts";

const columnTypes = ["boolean", "date", "integer", "number", "string"];
const columnFormats = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];
const MOST_SELECTABLE = 8;

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
  versions.forEach((version, at) =>
    validateVersion(
      problems,
      `spec.versions[${at}]`,
      version,
      old?.spec?.versions?.find(({ name }) => name === version.name),
    ),
  );
  if (new Set(versions.map(({ name }) => name)).size < versions.length)
    problems.invalid("spec.versions", versions, "must contain unique version names");
  if (versions.filter(({ storage }) => storage).length !== 1)
    problems.invalid("spec.versions", versions, "must have exactly one version marked as storage version");
  validateNames(problems, names);
  validateConversion(problems, crd);
  const stored = crd.status?.storedVersions ?? [];
  if (stored.length === 0) problems.invalid("status.storedVersions", stored, "must have at least one stored version");
  stored.forEach((version, at) => {
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
  validateApproval(problems, crd, old);
  if (spec?.preserveUnknownFields)
    problems.invalid(
      "spec.preserveUnknownFields",
      true,
      "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
    );
  return problems.causes;
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
  const root = schema?.openAPIV3Schema;
  const place = `${field}.schema.openAPIV3Schema`;
  if (!root) problems.required(place, "schemas are required");
  const wrong = dns1035LabelProblems(name);
  if (wrong.length > 0) problems.invalid(`${field}.name`, name, wrong.join(","));
  validateDeprecation(problems, field, version);
  // What was taken before is not judged again by rules that may have become stricter.
  if (root && !same(root, old?.schema?.openAPIV3Schema))
    problems.add(schemaCauses(root, place, subresources?.status !== undefined));
  if (subresources?.scale) validateScale(problems, `${field}.subresources.scale`, subresources.scale);
  additionalPrinterColumns.forEach((column, at) => {
    const here = `${field}.additionalPrinterColumns[${at}]`;
    if (!column.name) problems.required(`${here}.name`);
    const words = `must be one of ${columnTypes.join(",")}`;
    if (!column.type) problems.required(`${here}.type`, words);
    else if (!columnTypes.includes(column.type)) problems.invalid(`${here}.type`, column.type, words);
    if (column.format && !columnFormats.includes(column.format))
      problems.invalid(`${here}.format`, column.format, `must be one of ${columnFormats.join(",")}`);
    if (!column.jsonPath) problems.required(`${here}.JSONPath`);
    else validateSimplePath(problems, `${here}.JSONPath`, column.jsonPath);
  });
  if (root) validateSelectable(problems, `${field}.selectableFields`, selectableFields, root);
}

function validateDeprecation(problems: Problems, field: string, { deprecated, deprecationWarning }: Version): void {
  if (deprecationWarning === undefined) return;
  const wrong: string[] = [];
  if (!deprecated) wrong.push("can only be set for deprecated versions");
  else {
    if (Buffer.byteLength(deprecationWarning) > 256) wrong.push("must be <= 256 characters long");
    if (deprecationWarning === "") wrong.push("must not be an empty string");
    const odd = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.exec(deprecationWarning);
    if (odd) {
      const at = Buffer.byteLength(deprecationWarning.slice(0, odd.index));
      wrong.push(`must only contain printable UTF-8 characters; non-printable character found at index ${at}`);
    }
  }
  problems.invalidAll(`${field}.deprecationWarning`, deprecationWarning, wrong);
}

function validateSelectable(
  problems: Problems,
  field: string,
  selectable: readonly { jsonPath: string }[],
  root: StructuralSchema,
): void {
  const seen = new Set<string>();
  selectable.forEach(({ jsonPath }, at) => {
    const here = `${field}[${at}].jsonPath`;
    if (!jsonPath) {
      problems.required(here);
      return;
    }
    try {
      const { text, first, schema } = fieldPathOf(jsonPath, root, false);
      if (first === "metadata") problems.invalid(here, jsonPath, "must not point to fields in metadata");
      if (!["boolean", "integer", "string"].includes(schema.type ?? ""))
        problems.invalid(
          here,
          jsonPath,
          "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.",
        );
      if (seen.has(text)) problems.duplicate(here, jsonPath);
      seen.add(text);
    } catch (error) {
      if (!(error instanceof FieldPathError)) throw error;
      problems.invalid(here, jsonPath, `is an invalid path: ${error.message}`);
    }
  });
  if (seen.size > MOST_SELECTABLE) problems.tooMany(field, seen.size, MOST_SELECTABLE);
}

type Scale = NonNullable<NonNullable<Version["subresources"]>["scale"]>;

function validateScale(problems: Problems, field: string, scale: Scale): void {
  const { specReplicasPath, statusReplicasPath, labelSelectorPath } = scale;
  const paths = [
    ["specReplicasPath", specReplicasPath, /^\.spec\./, ".spec"],
    ["statusReplicasPath", statusReplicasPath, /^\.status\./, ".status"],
    ["labelSelectorPath", labelSelectorPath, /^\.(spec|status)\./, "either .spec or .status"],
  ] as const;
  for (const [key, path, form, words] of paths) {
    const here = `${field}.${key}`;
    if (!path) {
      if (key !== "labelSelectorPath") problems.required(here);
    } else if (validateSimplePath(problems, here, path) && !form.test(path))
      problems.invalid(here, path, `should be a json path under ${words}`);
  }
}

function validateSimplePath(problems: Problems, field: string, path: string): boolean {
  if (path.startsWith(".")) return true;
  problems.invalid(field, path, "must be a simple json path starting with .");
  return false;
}

function validateConversion(problems: Problems, { spec }: CustomResourceDefinition): void {
  const { strategy, webhook } = spec?.conversion ?? { strategy: "None" };
  problems.oneOf("spec.conversion.strategy", strategy, ["None", "Webhook"]);
  const reviews = webhook?.conversionReviewVersions ?? [];
  const place = "spec.conversion.conversionReviewVersions";
  if (strategy !== "Webhook") {
    const words = "should not be set when strategy is not set to Webhook";
    if (webhook?.clientConfig) problems.forbidden("spec.conversion.webhookClientConfig", words);
    if (reviews.length > 0) problems.forbidden(place, words);
    return;
  }
  if (!webhook?.clientConfig)
    problems.required("spec.conversion.webhookClientConfig", "required when strategy is set to Webhook");
  else validateClientConfig(problems, "spec.conversion.webhookClientConfig", webhook.clientConfig);
  if (reviews.length === 0) problems.required(place);
  else {
    reviews.forEach((review, at) => {
      if (reviews.indexOf(review) < at) problems.invalid(`${place}[${at}]`, review, "duplicate version");
      else problems.invalidAll(`${place}[${at}]`, review, dns1035LabelProblems(review));
    });
    if (!reviews.includes("v1") && !reviews.includes("v1beta1"))
      problems.invalid(place, reviews, "must include at least one of v1, v1beta1");
  }
}
