/** Refusals of admission plug-ins. */
import { StatusError } from "../../../common/kube/status.ts";
import { groupResource } from "../resources/reader.ts";
import type { AdmissionRequest } from "./types.ts";

/** `pods "web" is forbidden: …` */
export function forbid(request: AdmissionRequest, why: string): StatusError {
  const { gvr, object } = request;
  const name = request.name || object?.metadata.name || object?.metadata.generateName || "";
  const subject = name === "" ? groupResource(gvr) : `${groupResource(gvr)} ${JSON.stringify(name)}`;
  return new StatusError("Forbidden", `${subject} is forbidden: ${why}`, {
    ...(name ? { name } : {}),
    ...(gvr.group ? { group: gvr.group } : {}),
    kind: gvr.resource,
  });
}

/** True for a write of the resource itself (no subresource), e.g. on(request, "CREATE", "pods"). */
export function on(request: AdmissionRequest, operation: string, resource: string): boolean {
  return request.operation === operation && !request.subresource && groupResource(request.gvr) === resource;
}
