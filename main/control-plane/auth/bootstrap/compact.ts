/** Rules written in one line each: "get,list,watch pods,services", "create leases.coordination.k8s.io", "get /healthz". */
import type { PolicyRule } from "../../resources/rbac/rbac.ts";

export const read = "get,list,watch";
export const write = "create,delete,deletecollection,patch,update";
export const all = "create,delete,deletecollection,get,list,patch,update,watch";

/**
 * Verbs, then resources (or paths), then maybe "= name,name". A resource is "pods", "pods/log" (core) or
 * "jobs/status.batch": all resources of a line are of the group of the last.
 */
export function rule(line: string): PolicyRule {
  const [head = "", names] = line.split(" = ");
  const [verbs = "", targets = ""] = head.split(" ");
  if (targets.startsWith("/")) {
    return { verbs: verbs.split(","), nonResourceURLs: targets === "/*" ? ["*"] : targets.split(",") };
  }
  const at = targets.indexOf(".");
  const group = at < 0 ? "" : targets.slice(at + 1);
  const resources = (at < 0 ? targets : targets.slice(0, at)).split(",");
  return {
    verbs: verbs.split(","),
    apiGroups: group.split("|").map((one) => (one === "core" ? "" : one)),
    resources,
    ...(names ? { resourceNames: names.split(",") } : {}),
  };
}

export const rules = (lines: readonly string[]): PolicyRule[] => lines.map(rule);
export const events = "create,patch,update events.core|events.k8s.io";
