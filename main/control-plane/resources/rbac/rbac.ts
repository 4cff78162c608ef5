/** Roles, ClusterRoles and their bindings. Who may grant what is admission's and authorization's business. */
import { dnsSubdomainProblems, pathSegmentProblems } from "../../../../common/kube/names.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import type { ResourceDefinition } from "../definition.ts";
import { column, define, shows, showsAge, table } from "../define.ts";
import { Problems, same } from "../validation/problems.ts";
import { isEmptySelector, validateLabelSelector } from "../validation/selectors.ts";

export const rbacGroup = "rbac.authorization.k8s.io";

export interface PolicyRule {
  verbs?: string[];
  apiGroups?: string[];
  resources?: string[];
  resourceNames?: string[];
  nonResourceURLs?: string[];
}
export interface Subject {
  kind: string;
  apiGroup?: string;
  name: string;
  namespace?: string;
}
export interface RoleRef {
  apiGroup: string;
  kind: string;
  name: string;
}
type Aggregation = { clusterRoleSelectors?: Parameters<typeof validateLabelSelector>[0][] };

export const rulesOf = (object: KubeObject): PolicyRule[] => (object["rules"] ?? []) as PolicyRule[];
export const subjectsOf = (object: KubeObject): Subject[] => (object["subjects"] ?? []) as Subject[];
export const roleRefOf = (object: KubeObject): RoleRef => (object["roleRef"] ?? {}) as RoleRef;

function validateRules(object: KubeObject, namespaced: boolean): StatusCause[] {
  const problems = new Problems();
  rulesOf(object).forEach((rule, index) => {
    const field = `rules[${index}]`;
    const { verbs = [], apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
    if (verbs.length === 0) problems.required(`${field}.verbs`, "verbs must contain at least one value");
    if (nonResourceURLs.length > 0) {
      if (namespaced) {
        problems.invalid(
          `${field}.nonResourceURLs`,
          nonResourceURLs,
          "namespaced rules cannot apply to non-resource URLs",
        );
      }
      if (apiGroups.length + resources.length + resourceNames.length > 0) {
        problems.invalid(
          `${field}.nonResourceURLs`,
          nonResourceURLs,
          "rules cannot apply to both regular resources and non-resource URLs",
        );
      }
      return;
    }
    if (apiGroups.length === 0)
      problems.required(`${field}.apiGroups`, "resource rules must supply at least one api group");
    if (resources.length === 0)
      problems.required(`${field}.resources`, "resource rules must supply at least one resource");
  });
  const aggregation = object["aggregationRule"] as Aggregation | undefined;
  if (aggregation !== undefined) {
    const selectors = aggregation.clusterRoleSelectors ?? [];
    if (selectors.length === 0) {
      problems.required(
        "aggregationRule.clusterRoleSelectors",
        "at least one clusterRoleSelector required if aggregationRule is non-nil",
      );
    }
    selectors.forEach((selector, index) => {
      const field = `aggregationRule.clusterRoleSelectors[${index}]`;
      problems.add(validateLabelSelector(selector, field));
      if (selector && isEmptySelector(selector)) problems.invalid(field, selector, "empty selector is not allowed");
    });
  }
  return problems.causes;
}

function validateBinding(object: KubeObject, kinds: string[]): StatusCause[] {
  const problems = new Problems();
  const role = roleRefOf(object);
  if (role.apiGroup !== rbacGroup) problems.notSupported("roleRef.apiGroup", role.apiGroup ?? "", [rbacGroup]);
  if (!kinds.includes(role.kind)) problems.notSupported("roleRef.kind", role.kind ?? "", kinds);
  if (!role.name) problems.required("roleRef.name");
  else problems.invalidAll("roleRef.name", role.name, pathSegmentProblems(role.name));
  subjectsOf(object).forEach((subject, index) => {
    const field = `subjects[${index}]`;
    if (!subject.name) problems.required(`${field}.name`);
    if (subject.kind === "ServiceAccount") {
      if (subject.name) problems.invalidAll(`${field}.name`, subject.name, dnsSubdomainProblems(subject.name));
      if (subject.apiGroup) problems.notSupported(`${field}.apiGroup`, subject.apiGroup, [""]);
      if (!subject.namespace) problems.required(`${field}.namespace`);
    } else if (subject.kind === "User" || subject.kind === "Group") {
      if (subject.apiGroup !== rbacGroup)
        problems.notSupported(`${field}.apiGroup`, subject.apiGroup ?? "", [rbacGroup]);
    } else problems.notSupported(`${field}.kind`, subject.kind, ["ServiceAccount", "User", "Group"]);
  });
  return problems.causes;
}

const common = { group: rbacGroup, version: "v1", nameProblems: pathSegmentProblems } as const;
const createdAt = { ...column("Created At", "When it was made"), type: "string" };
const roleTable = table({ column: createdAt, cell: (one: KubeObject) => one.metadata.creationTimestamp ?? "" });

function roleStrategy(namespaced: boolean): ResourceDefinition["strategy"] {
  const validate = (object: KubeObject): StatusCause[] => validateRules(object, namespaced);
  return { validate, validateUpdate: validate };
}

export const role: ResourceDefinition = define({
  ...common,
  kind: "Role",
  resource: "roles",
  strategy: roleStrategy(true),
  table: roleTable,
});

export const clusterRole: ResourceDefinition = define({
  ...common,
  kind: "ClusterRole",
  resource: "clusterroles",
  namespaced: false,
  strategy: roleStrategy(false),
  table: roleTable,
});

function bindingStrategy(kinds: string[]): ResourceDefinition["strategy"] {
  return {
    validate: (object) => validateBinding(object, kinds),
    validateUpdate(object, old) {
      const problems = new Problems();
      problems.add(validateBinding(object, kinds));
      if (!same(roleRefOf(object), roleRefOf(old))) {
        problems.invalid("roleRef", roleRefOf(object), "cannot change roleRef");
      }
      return problems.causes;
    },
  };
}

const names = (object: KubeObject, kind: string): string =>
  subjectsOf(object)
    .filter((subject) => subject.kind === kind)
    .map((subject) => (kind === "ServiceAccount" ? `${subject.namespace}/${subject.name}` : subject.name))
    .join(", ");

const bindingTable = table(
  shows("Role", "What is granted", (one) => `${roleRefOf(one).kind}/${roleRefOf(one).name}`),
  showsAge,
  shows("Users", "To which users", (one) => names(one, "User"), { wide: true }),
  shows("Groups", "To which groups", (one) => names(one, "Group"), { wide: true }),
  shows("ServiceAccounts", "To which service accounts", (one) => names(one, "ServiceAccount"), { wide: true }),
);

export const roleBinding: ResourceDefinition = define({
  ...common,
  kind: "RoleBinding",
  resource: "rolebindings",
  strategy: bindingStrategy(["Role", "ClusterRole"]),
  table: bindingTable,
});

export const clusterRoleBinding: ResourceDefinition = define({
  ...common,
  kind: "ClusterRoleBinding",
  resource: "clusterrolebindings",
  namespaced: false,
  strategy: bindingStrategy(["ClusterRole"]),
  table: bindingTable,
});
