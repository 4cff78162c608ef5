/** The audit policy: how much is written of which request. The first rule that fits decides; none means nothing. */
import { parse } from "yaml";
import type { Attributes } from "../auth/types.ts";
import type { User } from "../resources/definition.ts";

export const LEVELS = ["None", "Metadata", "Request", "RequestResponse"] as const;
export type Level = (typeof LEVELS)[number];
export const STAGES = ["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"] as const;
export type Stage = (typeof STAGES)[number];

interface Rule {
  level: Level;
  users?: string[];
  userGroups?: string[];
  verbs?: string[];
  resources?: { group?: string; resources?: string[]; resourceNames?: string[] }[];
  namespaces?: string[];
  nonResourceURLs?: string[];
  omitStages?: Stage[];
  omitManagedFields?: boolean;
}

export interface Policy {
  rules: Rule[];
  omitStages: Stage[];
  omitManagedFields: boolean;
}

export interface Decision {
  level: Level;
  omitStages: ReadonlySet<Stage>;
  omitManagedFields: boolean;
}

/** Throws Error on a file that is no audit policy. */
export function readPolicy(text: string): Policy {
  const given = parse(text) as Partial<Policy> & { apiVersion?: string; kind?: string };
  if (given?.kind !== "Policy" || given.apiVersion !== "audit.k8s.io/v1") {
    throw new Error("not an audit policy: apiVersion audit.k8s.io/v1 and kind Policy are wanted");
  }
  const { rules = [], omitStages = [], omitManagedFields = false } = given;
  if (!Array.isArray(rules) || rules.length === 0) throw new Error("the audit policy has no rules");
  rules.forEach((rule, at) => {
    if (!LEVELS.includes(rule.level))
      throw new Error(`rules[${at}].level: ${rule.level}: not one of ${LEVELS.join(", ")}`);
    for (const stage of rule.omitStages ?? []) checkStage(stage);
    if (rule.nonResourceURLs?.length && (rule.resources?.length || rule.namespaces?.length)) {
      throw new Error(`rules[${at}]: nonResourceURLs apply to no resources or namespaces`);
    }
  });
  for (const stage of omitStages) checkStage(stage);
  return { rules, omitStages, omitManagedFields };
}

function checkStage(stage: Stage): void {
  if (!STAGES.includes(stage)) throw new Error(`omitStages: ${stage}: not one of ${STAGES.join(", ")}`);
}

/** `user` is undefined where nobody could be made of the credentials. */
export function decide(policy: Policy, user: User | undefined, asked: Attributes): Decision {
  const rule = policy.rules.find((one) => fits(one, user, asked));
  return {
    level: rule?.level ?? "None",
    omitStages: new Set([...policy.omitStages, ...(rule?.omitStages ?? [])]),
    omitManagedFields: rule?.omitManagedFields ?? policy.omitManagedFields,
  };
}

function fits(rule: Rule, user: User | undefined, asked: Attributes): boolean {
  const { users, userGroups, verbs, namespaces, resources, nonResourceURLs } = rule;
  if (users?.length && !users.includes(user?.name ?? "")) return false;
  if (userGroups?.length && !userGroups.some((group) => user?.groups.includes(group))) return false;
  if (verbs?.length && !verbs.includes(asked.verb)) return false;
  if (namespaces?.length || resources?.length) {
    if (asked.nonResourcePath !== undefined) return false;
    if (namespaces?.length && !namespaces.includes(asked.namespace ?? "")) return false;
    return !resources?.length || resources.some((one) => resourceFits(one, asked));
  }
  if (!nonResourceURLs?.length) return true;
  const path = asked.nonResourcePath;
  return path !== undefined && nonResourceURLs.some((pattern) => pathFits(pattern, path));
}

function resourceFits(
  { group = "", resources, resourceNames }: NonNullable<Rule["resources"]>[number],
  asked: Attributes,
): boolean {
  if (group !== (asked.group ?? "")) return false;
  if (!resources?.length) return true;
  const { resource = "", subresource, name = "" } = asked;
  const whole = subresource ? `${resource}/${subresource}` : resource;
  if (resourceNames?.length && !resourceNames.includes(name)) return false;
  return resources.some(
    (pattern) =>
      pattern === "*" ||
      pattern === whole ||
      (subresource !== undefined && (pattern === `*/${subresource}` || pattern === `${resource}/*`)),
  );
}

function pathFits(pattern: string, path: string): boolean {
  return pattern === "*" || pattern === path || (pattern.endsWith("*") && path.startsWith(pattern.slice(0, -1)));
}
