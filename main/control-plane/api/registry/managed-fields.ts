/** Who wrote which field: kept in metadata.managedFields with every write, for server-side apply. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import { trackUpdate } from "../../../../common/kube/patch/apply.ts";
import type { WriteRequest } from "./context.ts";

/** Puts `after`'s managedFields right, in place. A client that empties the list resets it. */
export function trackWrite(
  before: KubeObject | undefined,
  after: KubeObject,
  request: Pick<WriteRequest, "fieldManager" | "subresource" | "fieldsTracked">,
  now: Date,
): void {
  if (request.fieldsTracked) return;
  const { subresource, fieldManager } = request;
  trackUpdate({
    ...(before ? { before } : {}),
    after,
    manager: fieldManager,
    ...(subresource ? { subresource: subresource.name } : {}),
    now,
  });
}
