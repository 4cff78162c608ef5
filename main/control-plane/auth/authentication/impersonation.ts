/** Acting as somebody else: `kubectl --as`. Allowed to whoever may `impersonate` each part of the other's identity. */
import { StatusError } from "../../../../common/kube/status.ts";
import type { User } from "../../resources/definition.ts";
import { forbiddenMessage } from "../forbidden.ts";
import type { Attributes, Authorizer, Impersonation } from "../types.ts";

const accountPrefix = "system:serviceaccount:";

/** The user to be. Throws StatusError Forbidden when `user` may not. */
export async function impersonate(user: User, wanted: Impersonation, authorizer: Authorizer): Promise<User> {
  for (const attributes of partsOf(wanted)) {
    const { allowed, reason } = await authorizer.authorize(user, attributes);
    if (!allowed) {
      throw new StatusError("Forbidden", forbiddenMessage(user, attributes, reason), {
        ...(attributes.name ? { name: attributes.name } : {}),
        ...(attributes.group ? { group: attributes.group } : {}),
        kind: attributes.resource ?? "",
      });
    }
  }
  const groups = [...wanted.groups];
  if (wanted.user.startsWith(accountPrefix) && groups.length === 0) {
    const [namespace = ""] = wanted.user.slice(accountPrefix.length).split(":");
    groups.push("system:serviceaccounts", `system:serviceaccounts:${namespace}`);
  }
  if (wanted.user === "system:anonymous") {
    if (!groups.includes("system:unauthenticated")) groups.push("system:unauthenticated");
  } else if (!groups.includes("system:authenticated") && !groups.includes("system:unauthenticated")) {
    groups.push("system:authenticated");
  }
  return {
    name: wanted.user,
    groups,
    ...(wanted.uid ? { uid: wanted.uid } : {}),
    ...(Object.keys(wanted.extra).length > 0 ? { extra: wanted.extra } : {}),
  };
}

function partsOf({ user, groups, uid, extra }: Impersonation): Attributes[] {
  const verb = "impersonate";
  const authentication = { verb, group: "authentication.k8s.io", version: "v1" };
  const core = { verb, group: "", version: "v1" };
  const parts: Attributes[] = [];
  const [namespace, name, ...more] = user.startsWith(accountPrefix) ? user.slice(accountPrefix.length).split(":") : [];
  if (namespace && name && more.length === 0) parts.push({ ...core, resource: "serviceaccounts", namespace, name });
  else parts.push({ ...core, resource: "users", name: user });
  for (const group of groups) parts.push({ ...core, resource: "groups", name: group });
  if (uid) parts.push({ ...authentication, resource: "uids", name: uid });
  for (const [key, values] of Object.entries(extra)) {
    for (const value of values)
      parts.push({ ...authentication, resource: "userextras", subresource: key, name: value });
  }
  return parts;
}
