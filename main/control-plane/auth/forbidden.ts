/** Saying no, in the API server's words. */
import { StatusError } from "../../../common/kube/status.ts";
import type { User } from "../resources/definition.ts";
import type { Attributes } from "./types.ts";

/** `pods "web" is forbidden: User "ann" cannot get resource "pods" in API group "" in the namespace "default"` */
export function forbiddenMessage(user: User, attributes: Attributes, reason = ""): string {
  const because = reason === "" ? "" : `: ${reason}`;
  const who = `User ${JSON.stringify(user.name)}`;
  if (attributes.nonResourcePath !== undefined) {
    return `forbidden: ${who} cannot ${attributes.verb} path ${JSON.stringify(attributes.nonResourcePath)}${because}`;
  }
  const { group = "", resource = "", subresource, namespace, name, verb } = attributes;
  const qualified = group === "" ? resource : `${resource}.${group}`;
  const what = subresource ? `${resource}/${subresource}` : resource;
  const where = namespace ? `in the namespace ${JSON.stringify(namespace)}` : "at the cluster scope";
  const subject = name ? `${qualified} ${JSON.stringify(name)}` : qualified;
  return `${subject} is forbidden: ${who} cannot ${verb} resource ${JSON.stringify(what)} in API group ${JSON.stringify(group)} ${where}${because}`;
}

export function forbiddenError(user: User, attributes: Attributes, reason = ""): StatusError {
  const { group, resource, name } = attributes;
  return new StatusError("Forbidden", forbiddenMessage(user, attributes, reason), {
    ...(name ? { name } : {}),
    ...(group ? { group } : {}),
    ...(resource ? { kind: resource } : {}),
  });
}
