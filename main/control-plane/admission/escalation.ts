/** Nobody grants what he has not: roles and bindings hold only rights that their author has, or may `escalate` or `bind`. */
import { StatusError } from "../../../common/kube/status.ts";
import { forbid } from "./forbid.ts";
import type { Attributes } from "../auth/types.ts";
import { superusers } from "../auth/types.ts";
import type { RbacAuthorizer } from "../auth/rbac/authorizer.ts";
import { aggregateRules } from "../auth/rbac/authorizer.ts";
import { notCovered, showRule } from "../auth/rbac/rules.ts";
import type { PolicyRule } from "../resources/rbac/rbac.ts";
import { rbacGroup, roleRefOf, rulesOf, subjectsOf } from "../resources/rbac/rbac.ts";
import type { Reader } from "../resources/reader.ts";
import { same } from "../resources/validation/problems.ts";
import type { AdmissionPlugin, AdmissionRequest } from "./types.ts";

const bindings = new Set(["rolebindings", "clusterrolebindings"]);

export function rbacEscalation(reader: Reader, rbac: RbacAuthorizer): AdmissionPlugin {
  return {
    name: "RBACEscalation",
    async validate(request) {
      const { gvr, operation, object, old, user, subresource } = request;
      if (gvr.group !== rbacGroup || subresource || !object || user.groups.includes(superusers)) return;
      if (operation !== "CREATE" && operation !== "UPDATE") return;
      const binding = bindings.has(gvr.resource);
      if (old) {
        const unchanged = binding
          ? same(subjectsOf(object), subjectsOf(old)) && same(roleRefOf(object), roleRefOf(old))
          : same(rulesOf(object), rulesOf(old)) && same(object["aggregationRule"], old["aggregationRule"]);
        if (unchanged) return;
      }
      if (binding) await mayBind(request, rbac, reader);
      else mayWrite(request, rbac, reader);
    },
  };
}

function attributes(request: AdmissionRequest, verb: string, resource: string, name: string): Attributes {
  const { namespace } = request;
  return { verb, group: rbacGroup, version: "v1", resource, name, ...(namespace ? { namespace } : {}) };
}

async function mayBind(request: AdmissionRequest, rbac: RbacAuthorizer, reader: Reader): Promise<void> {
  const { kind, name } = roleRefOf(request.object as NonNullable<typeof request.object>);
  const resource = kind === "Role" ? "roles" : "clusterroles";
  if (rbac.decide(request.user, attributes(request, "bind", resource, name)).allowed) return;
  // What a role that is not there will hold nobody knows.
  const plural = `${resource}.${rbacGroup}`;
  const namespace = kind === "Role" ? request.namespace : undefined;
  if (!reader.get(plural, namespace, name) && !(await reader.live(plural, namespace, name))) {
    const details = { name, group: rbacGroup, kind: resource };
    throw new StatusError("NotFound", `${plural} ${JSON.stringify(name)} not found`, details);
  }
  hold(request, rbac, rbac.rulesOfRole(kind, request.namespace ?? "", name));
}

function mayWrite(request: AdmissionRequest, rbac: RbacAuthorizer, reader: Reader): void {
  const object = request.object as NonNullable<typeof request.object>;
  const name = object.metadata.name ?? "";
  if (rbac.decide(request.user, attributes(request, "escalate", request.gvr.resource, name)).allowed) return;
  const rules = [...rulesOf(object)];
  if (object["aggregationRule"] !== undefined) {
    rules.push(...aggregateRules(object, reader.list(`clusterroles.${rbacGroup}`)));
    const everything: PolicyRule[] = [
      { verbs: ["*"], apiGroups: ["*"], resources: ["*"] },
      { verbs: ["*"], nonResourceURLs: ["*"] },
    ];
    // What an aggregating role will hold tomorrow nobody knows.
    if (notCovered(rbac.rulesFor(request.user), everything).length > 0) {
      throw forbid(request, "must have cluster-admin privileges to use an aggregationRule");
    }
  }
  hold(request, rbac, rules);
}

function hold(request: AdmissionRequest, rbac: RbacAuthorizer, wanted: readonly PolicyRule[]): void {
  const missing = notCovered(rbac.rulesFor(request.user, request.namespace), wanted);
  if (missing.length === 0) return;
  const groups = request.user.groups.map((group) => JSON.stringify(group)).join(" ");
  throw forbid(
    request,
    `user ${JSON.stringify(request.user.name)} (groups=[${groups}]) is attempting to grant RBAC permissions not currently held:\n${missing.map(showRule).join("\n")}`,
  );
}
