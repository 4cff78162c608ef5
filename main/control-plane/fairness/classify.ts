/** Which FlowSchema a request belongs to: the first by precedence whose rules speak of user and request. */
import type { KubeObject } from "../../../common/kube/object.ts";
import type { Attributes } from "../auth/types.ts";
import type { User } from "../resources/definition.ts";

interface Subject {
  kind?: string;
  user?: { name?: string };
  group?: { name?: string };
  serviceAccount?: { name?: string; namespace?: string };
}
interface ResourceRule {
  verbs?: string[];
  apiGroups?: string[];
  resources?: string[];
  clusterScope?: boolean;
  namespaces?: string[];
}
interface PathRule {
  verbs?: string[];
  nonResourceURLs?: string[];
}
interface FlowRule {
  subjects?: Subject[];
  resourceRules?: ResourceRule[];
  nonResourceRules?: PathRule[];
}

export interface FlowSchema {
  name: string;
  uid: string;
  level: string;
  precedence: number;
  distinguisher: string | undefined;
  rules: FlowRule[];
}

export function readFlowSchema({ metadata, ...object }: KubeObject): FlowSchema {
  const spec = (object["spec"] ?? {}) as {
    priorityLevelConfiguration?: { name?: string };
    matchingPrecedence?: number;
    distinguisherMethod?: { type?: string };
    rules?: FlowRule[];
  };
  return {
    name: metadata.name ?? "",
    uid: metadata.uid ?? "",
    level: spec.priorityLevelConfiguration?.name ?? "",
    precedence: spec.matchingPrecedence ?? 1000,
    distinguisher: spec.distinguisherMethod?.type,
    rules: spec.rules ?? [],
  };
}

const has = (list: readonly string[] | undefined, value: string): boolean =>
  list !== undefined && (list.includes("*") || list.includes(value));

function isSubject(user: User, { kind, user: one, group, serviceAccount }: Subject): boolean {
  switch (kind) {
    case "User":
      return one?.name === "*" || one?.name === user.name;
    case "Group":
      return group?.name === "*" || user.groups.includes(group?.name ?? "");
    default: {
      const [, namespace, name] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(user.name) ?? [];
      return (
        namespace !== undefined &&
        serviceAccount?.namespace === namespace &&
        (serviceAccount.name === "*" || serviceAccount.name === name)
      );
    }
  }
}

function pathFits(patterns: readonly string[] | undefined, path: string): boolean {
  return (patterns ?? []).some(
    (pattern) =>
      pattern === "*" || pattern === path || (pattern.endsWith("/*") && path.startsWith(pattern.slice(0, -1))),
  );
}

export function fits({ rules }: FlowSchema, user: User, asked: Attributes): boolean {
  const { verb, group = "", resource = "", subresource, namespace, nonResourcePath } = asked;
  const what = subresource ? `${resource}/${subresource}` : resource;
  return rules.some(
    ({ subjects = [], resourceRules = [], nonResourceRules = [] }) =>
      subjects.some((subject) => isSubject(user, subject)) &&
      (nonResourcePath === undefined
        ? resourceRules.some(
            (rule) =>
              has(rule.verbs, verb) &&
              has(rule.apiGroups, group) &&
              has(rule.resources, what) &&
              (namespace ? has(rule.namespaces, namespace) : rule.clusterScope === true),
          )
        : nonResourceRules.some((rule) => has(rule.verbs, verb) && pathFits(rule.nonResourceURLs, nonResourcePath))),
  );
}

/** Tells one flow of a schema from another. */
export function distinguisherOf({ distinguisher }: FlowSchema, user: User, { namespace = "" }: Attributes): string {
  return distinguisher === "ByUser" ? user.name : distinguisher === "ByNamespace" ? namespace : "";
}
