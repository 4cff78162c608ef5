/** Validating and mutating admission policies and their bindings: checked as they are written, run by admission. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import { AUTHORIZER, registerAuthorizer } from "../../cel/functions/authorizer.ts";
import { CelCompileError, celEnvironment } from "../../cel/environment.ts";
import { define, shows, showsAge, statusSubresource, table, withStatus } from "../define.ts";
import type { ResourceDefinition } from "../definition.ts";
import { Problems } from "../validation/problems.ts";
import { validateMatchConditions, validateMatchResources } from "./rules.ts";

interface Expression {
  name?: string;
  expression?: string;
  message?: string;
  messageExpression?: string;
  reason?: string;
}
interface Policy extends KubeObject {
  spec?: {
    paramKind?: { apiVersion?: string; kind?: string };
    matchConstraints?: { resourceRules?: object[] };
    matchConditions?: Expression[];
    variables?: Expression[];
    validations?: Expression[];
    auditAnnotations?: { key?: string; valueExpression?: string }[];
    mutations?: {
      patchType?: string;
      applyConfiguration?: { expression?: string };
      jsonPatch?: { expression?: string };
    }[];
    failurePolicy?: string;
    reinvocationPolicy?: string;
  };
}
interface Binding extends KubeObject {
  spec?: {
    policyName?: string;
    paramRef?: { name?: string; namespace?: string; selector?: object; parameterNotFoundAction?: string };
    matchResources?: object;
    validationActions?: string[];
  };
}

/** Everything a policy may speak of; what is not there when it runs is null. */
const environment = celEnvironment(
  {
    object: "dyn",
    oldObject: "dyn",
    request: "dyn",
    params: "dyn",
    namespaceObject: "dyn",
    variables: "dyn",
    authorizer: AUTHORIZER,
  },
  { extend: registerAuthorizer },
);

/** Says what is wrong with an expression: required, or not to be compiled. */
export function checkExpression(problems: Problems, field: string, text: string | undefined, allowed?: string[]): void {
  if (text === undefined || text.trim() === "") {
    problems.required(field, "expression is not specified");
    return;
  }
  try {
    environment.compile(text, allowed);
  } catch (error) {
    if (!(error instanceof CelCompileError)) throw error;
    problems.invalid(
      field,
      text,
      error.message.startsWith("must") ? error.message : `compilation failed: ${error.message}`,
    );
  }
}

const reasons = ["Unauthorized", "Forbidden", "Invalid", "RequestEntityTooLarge"];

function validateCommon(problems: Problems, { spec = {} }: Policy): void {
  if (!spec.matchConstraints) problems.required("spec.matchConstraints");
  else {
    validateMatchResources(problems, "spec.matchConstraints", spec.matchConstraints);
    if (!spec.matchConstraints.resourceRules?.length) problems.required("spec.matchConstraints.resourceRules");
  }
  if (spec.paramKind) {
    const { apiVersion, kind } = spec.paramKind;
    if (!apiVersion) problems.required("spec.paramKind.apiVersion");
    if (!kind) problems.required("spec.paramKind.kind");
  }
  if (spec.failurePolicy !== undefined) problems.oneOf("spec.failurePolicy", spec.failurePolicy, ["Fail", "Ignore"]);
  validateMatchConditions(problems, "spec.matchConditions", spec.matchConditions ?? []);
  (spec.variables ?? []).forEach(({ name = "", expression }, at) => {
    const field = `spec.variables[${at}]`;
    if (name === "") problems.required(`${field}.name`, "name is not specified");
    else if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      problems.invalid(`${field}.name`, name, "name is not a valid CEL identifier");
    checkExpression(problems, `${field}.expression`, expression);
  });
}

function validateValidating(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const { spec = {} } = object as Policy;
  validateCommon(problems, object as Policy);
  if (!spec.validations?.length && !spec.auditAnnotations?.length) {
    const words = "validations or auditAnnotations must be specified";
    problems.required("spec.validations", words);
    problems.required("spec.auditAnnotations", words);
  }
  (spec.validations ?? []).forEach((validation, at) => {
    const field = `spec.validations[${at}]`;
    checkExpression(problems, `${field}.expression`, validation.expression, ["bool"]);
    if (validation.messageExpression)
      checkExpression(problems, `${field}.messageExpression`, validation.messageExpression, ["string"]);
    if (validation.message !== undefined && validation.message.includes("\n"))
      problems.invalid(`${field}.message`, validation.message, "message must not contain line breaks");
    if (validation.reason !== undefined) problems.oneOf(`${field}.reason`, validation.reason, reasons);
  });
  (spec.auditAnnotations ?? []).forEach(({ key, valueExpression }, at) => {
    const field = `spec.auditAnnotations[${at}]`;
    if (!key) problems.required(`${field}.key`, "key is not specified");
    checkExpression(problems, `${field}.valueExpression`, valueExpression, ["string", "null"]);
  });
  return problems.causes;
}

function validateMutating(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const { spec = {} } = object as Policy;
  validateCommon(problems, object as Policy);
  if (!spec.mutations?.length) problems.required("spec.mutations", "must contain at least one mutation");
  (spec.mutations ?? []).forEach(({ patchType, applyConfiguration, jsonPatch }, at) => {
    const field = `spec.mutations[${at}]`;
    problems.oneOf(`${field}.patchType`, patchType, ["ApplyConfiguration", "JSONPatch"]);
    // Their object constructors (Object{…}, JSONPatch{…}) are admission's, which compiles them when it runs.
    const own =
      patchType === "JSONPatch"
        ? ([jsonPatch, "jsonPatch"] as const)
        : ([applyConfiguration, "applyConfiguration"] as const);
    if (!own[0]) problems.required(`${field}.${own[1]}`);
    else if (!own[0].expression) problems.required(`${field}.${own[1]}.expression`, "expression is not specified");
  });
  problems.oneOf("spec.reinvocationPolicy", spec.reinvocationPolicy, ["IfNeeded", "Never"]);
  return problems.causes;
}

function validateBinding(actions: boolean): (object: KubeObject) => StatusCause[] {
  return (object) => {
    const problems = new Problems();
    const { policyName, paramRef, matchResources, validationActions } = (object as Binding).spec ?? {};
    if (!policyName) problems.required("spec.policyName");
    if (paramRef) {
      if (paramRef.name !== undefined && paramRef.selector !== undefined)
        problems.forbidden("spec.paramRef.name", "name and selector are mutually exclusive");
      if (paramRef.name === undefined && paramRef.selector === undefined)
        problems.required("spec.paramRef", "one of name or selector must be specified");
      if (paramRef.parameterNotFoundAction === undefined) problems.required("spec.paramRef.parameterNotFoundAction");
      else problems.oneOf("spec.paramRef.parameterNotFoundAction", paramRef.parameterNotFoundAction, ["Allow", "Deny"]);
    }
    if (matchResources) validateMatchResources(problems, "spec.matchResources", matchResources);
    if (actions) {
      if (!validationActions?.length)
        problems.required("spec.validationActions", "at least one validation action is required");
      validationActions?.forEach((action, at) => {
        problems.oneOf(`spec.validationActions[${at}]`, action, ["Audit", "Deny", "Warn"]);
        if (validationActions.indexOf(action) < at) problems.duplicate(`spec.validationActions[${at}]`, action);
      });
      if (validationActions?.includes("Deny") && validationActions.includes("Warn"))
        problems.invalid(
          "spec.validationActions",
          validationActions,
          "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)",
        );
    }
    return problems.causes;
  };
}

const place = { group: "admissionregistration.k8s.io", version: "v1", namespaced: false } as const;

const paramKind = (one: Policy): string => {
  const { apiVersion, kind } = one.spec?.paramKind ?? {};
  return kind ? `${apiVersion ?? ""}/${kind}` : "<unset>";
};
const paramRef = (one: Binding): string => {
  const ref = one.spec?.paramRef;
  if (!ref) return "<unset>";
  return ref.name === undefined ? "<selector>" : ref.namespace ? `${ref.namespace}/${ref.name}` : `*/${ref.name}`;
};
const bindingTable = table<Binding>(
  shows("PolicyName", "The policy it puts to work", (one) => one.spec?.policyName ?? ""),
  shows("ParamRef", "Where its parameters are", paramRef),
  showsAge,
);

export const validatingAdmissionPolicy: ResourceDefinition = define({
  ...place,
  kind: "ValidatingAdmissionPolicy",
  resource: "validatingadmissionpolicies",
  categories: ["api-extensions"],
  hasGeneration: true,
  strategy: withStatus({ validate: validateValidating, validateUpdate: validateValidating }),
  subresources: [statusSubresource()],
  table: table<Policy>(
    shows("Validations", "How many there are", (one) => one.spec?.validations?.length ?? 0, { type: "integer" }),
    shows("ParamKind", "The kind of its parameters", paramKind),
    showsAge,
  ),
});

export const validatingAdmissionPolicyBinding: ResourceDefinition = define({
  ...place,
  kind: "ValidatingAdmissionPolicyBinding",
  resource: "validatingadmissionpolicybindings",
  categories: ["api-extensions"],
  hasGeneration: true,
  strategy: { validate: validateBinding(true), validateUpdate: validateBinding(true) },
  table: bindingTable,
});

export const mutatingAdmissionPolicy: ResourceDefinition = define({
  ...place,
  kind: "MutatingAdmissionPolicy",
  resource: "mutatingadmissionpolicies",
  categories: ["api-extensions"],
  hasGeneration: true,
  strategy: { validate: validateMutating, validateUpdate: validateMutating },
  table: table<Policy>(
    shows("Mutations", "How many there are", (one) => one.spec?.mutations?.length ?? 0, { type: "integer" }),
    shows("ParamKind", "The kind of its parameters", paramKind),
    showsAge,
  ),
});

export const mutatingAdmissionPolicyBinding: ResourceDefinition = define({
  ...place,
  kind: "MutatingAdmissionPolicyBinding",
  resource: "mutatingadmissionpolicybindings",
  categories: ["api-extensions"],
  hasGeneration: true,
  strategy: { validate: validateBinding(false), validateUpdate: validateBinding(false) },
  table: bindingTable,
});
