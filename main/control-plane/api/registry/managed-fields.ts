/** Who wrote which field: kept in metadata.managedFields with every write, for server-side apply. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import { trackSteps } from "../../../../common/kube/patch/apply.ts";
import { atOnce } from "../../../../common/kube/steps.ts";
import { stepwise } from "../slices.ts";
import type { WriteRequest } from "./context.ts";

/** Puts `after`'s managedFields right, in place. A client that empties the list resets it. */
export async function trackWrite(
  before: KubeObject | undefined,
  after: KubeObject,
  request: Pick<WriteRequest, "definition" | "fieldManager" | "subresource" | "fieldsTracked">,
  large: boolean,
  now: Date,
): Promise<void> {
  if (request.fieldsTracked) return;
  const { definition, subresource, fieldManager } = request;
  const hasStatus = !subresource && definition.subresources?.some(({ name }) => name === "status") === true;
  const steps = trackSteps({
    ...(before ? { before } : {}),
    after,
    manager: fieldManager,
    ...(subresource ? { subresource: subresource.name } : {}),
    ...(hasStatus ? { without: "status" } : {}),
    now,
  });
  if (large) await stepwise(steps);
  else atOnce(steps);
}
