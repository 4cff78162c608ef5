/** What a rule allows, whether rules cover another, and how they are shown. Pure. */
import type { PolicyRule } from "../../resources/rbac/rbac.ts";
import type { Attributes } from "../types.ts";

const has = (list: readonly string[] | undefined, value: string): boolean =>
  list !== undefined && (list.includes(value) || list.includes("*"));

function hasResource(list: readonly string[] | undefined, resource: string): boolean {
  if (has(list, resource)) return true;
  const slash = resource.indexOf("/");
  return slash > 0 && (list?.includes(`*${resource.slice(slash)}`) ?? false);
}

function hasPath(list: readonly string[] | undefined, path: string): boolean {
  return (
    list?.some((one) => one === "*" || one === path || (one.endsWith("*") && path.startsWith(one.slice(0, -1)))) ??
    false
  );
}

/** True when the rule allows the request. */
export function ruleAllows(rule: PolicyRule, attributes: Attributes): boolean {
  if (!has(rule.verbs, attributes.verb)) return false;
  if (attributes.nonResourcePath !== undefined) return hasPath(rule.nonResourceURLs, attributes.nonResourcePath);
  const { group = "", resource = "", subresource, name = "" } = attributes;
  return (
    has(rule.apiGroups, group) &&
    hasResource(rule.resources, subresource ? `${resource}/${subresource}` : resource) &&
    (!rule.resourceNames?.length || rule.resourceNames.includes(name))
  );
}

/** Splits a rule into rules of one verb, one group, one resource, one name each. */
export function breakdown(rule: PolicyRule): PolicyRule[] {
  const single: PolicyRule[] = [];
  for (const verb of rule.verbs ?? []) {
    for (const url of rule.nonResourceURLs ?? []) single.push({ verbs: [verb], nonResourceURLs: [url] });
    for (const group of rule.apiGroups ?? []) {
      for (const resource of rule.resources ?? []) {
        const one = { verbs: [verb], apiGroups: [group], resources: [resource] };
        if (!rule.resourceNames?.length) single.push(one);
        for (const name of rule.resourceNames ?? []) single.push({ ...one, resourceNames: [name] });
      }
    }
  }
  return single;
}

/** True when one of `held` allows all that the single rule `wanted` (see breakdown) does. */
function covers(held: PolicyRule, wanted: PolicyRule): boolean {
  if (!has(held.verbs, wanted.verbs?.[0] ?? "")) return false;
  const url = wanted.nonResourceURLs?.[0];
  if (url !== undefined) return hasPath(held.nonResourceURLs, url);
  const [name] = wanted.resourceNames ?? [];
  return (
    has(held.apiGroups, wanted.apiGroups?.[0] ?? "") &&
    hasResource(held.resources, wanted.resources?.[0] ?? "") &&
    (!held.resourceNames?.length || (name !== undefined && held.resourceNames.includes(name)))
  );
}

/** What of `wanted` the holder of `held` could not do himself. */
export function notCovered(held: readonly PolicyRule[], wanted: readonly PolicyRule[]): PolicyRule[] {
  return wanted.flatMap(breakdown).filter((single) => !held.some((rule) => covers(rule, single)));
}

/** {APIGroups:[""], Resources:["pods"], Verbs:["get"]} */
export function showRule(rule: PolicyRule): string {
  const parts: string[] = [];
  const add = (name: string, list: readonly string[] | undefined): void => {
    if (list?.length) parts.push(`${name}:[${list.map((one) => JSON.stringify(one)).join(" ")}]`);
  };
  add("APIGroups", rule.apiGroups);
  add("Resources", rule.resources);
  add("ResourceNames", rule.resourceNames);
  add("NonResourceURLs", rule.nonResourceURLs);
  add("Verbs", rule.verbs);
  return `{${parts.join(", ")}}`;
}
