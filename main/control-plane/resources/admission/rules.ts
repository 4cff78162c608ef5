/** What webhooks and policies have in common: which requests they are asked about. */
import type { LabelSelectorObject } from "../../../../common/kube/selector.ts";
import { validateLabelSelector } from "../validation/selectors.ts";
import type { Problems } from "../validation/problems.ts";
import { AUTHORIZER, registerAuthorizer } from "../../cel/functions/authorizer.ts";
import { CelCompileError, celEnvironment } from "../../cel/environment.ts";

interface Rule {
  operations?: string[];
  apiGroups?: string[];
  apiVersions?: string[];
  resources?: string[];
  scope?: string;
}

const operations = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];

function oneStarOnly(problems: Problems, field: string, list: readonly string[] | undefined): void {
  if (!list?.length) problems.required(field);
  else if (list.length > 1 && list.includes("*"))
    problems.invalid(field, list, "if '*' is present, must not specify other values");
}

export function validateRule(problems: Problems, field: string, rule: Rule): void {
  oneStarOnly(problems, `${field}.operations`, rule.operations);
  rule.operations?.forEach((operation, at) => problems.oneOf(`${field}.operations[${at}]`, operation, operations));
  oneStarOnly(problems, `${field}.apiGroups`, rule.apiGroups);
  oneStarOnly(problems, `${field}.apiVersions`, rule.apiVersions);
  rule.apiVersions?.forEach((version, at) => {
    if (version === "") problems.required(`${field}.apiVersions[${at}]`);
  });
  if (!rule.resources?.length) problems.required(`${field}.resources`);
  rule.resources?.forEach((resource, at) => {
    if (resource === "") problems.required(`${field}.resources[${at}]`);
  });
  if (rule.scope !== undefined) problems.oneOf(`${field}.scope`, rule.scope, ["*", "Cluster", "Namespaced"]);
}

export function validateMatchResources(problems: Problems, field: string, match: object): void {
  const { resourceRules, excludeResourceRules, namespaceSelector, objectSelector, matchPolicy } = match as {
    resourceRules?: Rule[];
    excludeResourceRules?: Rule[];
    namespaceSelector?: object;
    objectSelector?: object;
    matchPolicy?: string;
  };
  resourceRules?.forEach((rule, at) => validateRule(problems, `${field}.resourceRules[${at}]`, rule));
  excludeResourceRules?.forEach((rule, at) => validateRule(problems, `${field}.excludeResourceRules[${at}]`, rule));
  if (matchPolicy !== undefined) problems.oneOf(`${field}.matchPolicy`, matchPolicy, ["Equivalent", "Exact"]);
  if (namespaceSelector)
    problems.add(validateLabelSelector(namespaceSelector as LabelSelectorObject, `${field}.namespaceSelector`));
  if (objectSelector)
    problems.add(validateLabelSelector(objectSelector as LabelSelectorObject, `${field}.objectSelector`));
}

const conditionEnvironment = celEnvironment(
  {
    object: "dyn",
    oldObject: "dyn",
    request: "dyn",
    params: "dyn",
    authorizer: AUTHORIZER,
  },
  { extend: registerAuthorizer },
);

const MOST_CONDITIONS = 64;

export function validateMatchConditions(
  problems: Problems,
  field: string,
  conditions: readonly { name?: string; expression?: string }[],
): void {
  if (conditions.length > MOST_CONDITIONS) problems.tooMany(field, conditions.length, MOST_CONDITIONS);
  const seen = new Set<string>();
  conditions.forEach(({ name = "", expression = "" }, at) => {
    if (name === "") problems.required(`${field}[${at}].name`);
    else if (seen.has(name)) problems.duplicate(`${field}[${at}].name`, name);
    seen.add(name);
    if (expression.trim() === "") {
      problems.required(`${field}[${at}].expression`);
      return;
    }
    try {
      conditionEnvironment.compile(expression, ["bool"]);
    } catch (error) {
      if (!(error instanceof CelCompileError)) throw error;
      problems.invalid(
        `${field}[${at}].expression`,
        expression,
        error.message.startsWith("must") ? error.message : `compilation failed: ${error.message}`,
      );
    }
  });
}
