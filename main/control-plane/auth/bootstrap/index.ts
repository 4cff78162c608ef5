/** The objects every cluster starts with: namespaces, roles and bindings, priority classes. */
import type { KubeObject, ObjectMeta } from "../../../../common/kube/object.ts";
import { fairnessObjects } from "../../fairness/bootstrap.ts";
import { systemPriorities } from "../../resources/other/coordination.ts";
import { rbacGroup } from "../../resources/rbac/rbac.ts";
import { aggregateRules } from "../rbac/authorizer.ts";
import type { RoleFacts } from "./cluster-roles.ts";
import { clusterRoles } from "./cluster-roles.ts";
import { rules } from "./compact.ts";
import { controllerRoles } from "./controller-roles.ts";
import { namespacedRoles } from "./namespaced-roles.ts";

const apiVersion = `${rbacGroup}/v1`;

function metadata(name: string, extra: Partial<ObjectMeta> = {}): ObjectMeta {
  return {
    name,
    ...extra,
    labels: { "kubernetes.io/bootstrapping": "rbac-defaults", ...extra.labels },
    annotations: { "rbac.authorization.kubernetes.io/autoupdate": "true" },
  };
}

const aggregationLabel = (to: string): Record<string, string> => ({ [`${rbacGroup}/aggregate-to-${to}`]: "true" });

function clusterRole(facts: RoleFacts): KubeObject {
  const labels = facts.aggregateTo ? aggregationLabel(facts.aggregateTo) : {};
  return {
    apiVersion,
    kind: "ClusterRole",
    metadata: metadata(facts.name, { labels }),
    ...(facts.aggregates
      ? { aggregationRule: { clusterRoleSelectors: [{ matchLabels: aggregationLabel(facts.aggregates) }] } }
      : {}),
    rules: rules(facts.rules ?? []),
  };
}

function subject(text: string): Record<string, string> {
  const colon = text.indexOf(":");
  const kind = text.slice(0, colon);
  const name = text.slice(colon + 1);
  if (kind !== "ServiceAccount") return { kind, apiGroup: rbacGroup, name };
  const [namespace = "", account = ""] = name.split("/");
  return { kind, name: account, namespace };
}

function binding(name: string, role: string, subjects: readonly string[], namespace?: string): KubeObject {
  const prefix = namespace === undefined ? "Cluster" : "";
  return {
    apiVersion,
    kind: `${prefix}RoleBinding`,
    metadata: metadata(name, namespace === undefined ? {} : { namespace }),
    roleRef: { apiGroup: rbacGroup, kind: `${prefix}Role`, name: role },
    subjects: subjects.map(subject),
  };
}

/** What every cluster has, from its first moment and again when it is deleted. */
export const systemNamespaces = ["kube-system", "kube-public", "kube-node-lease", "default"] as const;

/** In an order in which they can be created. */
export function bootstrapObjects(): KubeObject[] {
  const namespaces = systemNamespaces.map((name) => ({
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name },
  }));
  const priorities = Object.entries(systemPriorities).map(([name, value]) => ({
    apiVersion: "scheduling.k8s.io/v1",
    kind: "PriorityClass",
    metadata: { name },
    value,
    description:
      name === "system-node-critical"
        ? "For Pods a node cannot do without: they are never moved away from it."
        : "For Pods the cluster cannot do without, though they may run on another node.",
  }));
  const roles: KubeObject[] = [];
  const bindings: KubeObject[] = [];
  for (const facts of clusterRoles) {
    roles.push(clusterRole(facts));
    if (facts.boundTo) bindings.push(binding(facts.binding ?? facts.name, facts.name, facts.boundTo));
  }
  for (const [controller, lines] of Object.entries(controllerRoles)) {
    const name = `system:controller:${controller}`;
    roles.push({ apiVersion, kind: "ClusterRole", metadata: metadata(name), rules: rules(lines) });
    bindings.push(binding(name, name, [`ServiceAccount:kube-system/${controller}`]));
  }
  for (const { namespace, name, rules: lines, boundTo, binding: bound = name } of namespacedRoles) {
    roles.push({ apiVersion, kind: "Role", metadata: metadata(name, { namespace }), rules: rules(lines) });
    bindings.push(binding(bound, name, boundTo, namespace));
  }
  for (const role of roles) if (role["aggregationRule"] !== undefined) role["rules"] = aggregateRules(role, roles);
  return [...namespaces, ...priorities, ...roles, ...bindings, ...fairnessObjects()];
}
