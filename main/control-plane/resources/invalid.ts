/** The Invalid status (422) of an object with its causes, in the API server's words. */
import type { StatusCause } from "../../../common/kube/status.ts";
import { StatusError } from "../../../common/kube/status.ts";

/**
 * `Deployment.apps "web" is invalid: spec.replicas: Invalid value: -1: must be …`; several problems in brackets. A kind and
 * name of "" where it is the request that is at fault.
 */
export function invalidError(
  kind: { group: string; kind: string },
  name: string,
  causes: readonly StatusCause[],
): StatusError {
  const qualified = kind.group === "" ? kind.kind : `${kind.kind}.${kind.group}`;
  const problems = [...new Set(causes.map((cause) => `${cause.field ?? ""}: ${cause.message ?? ""}`))];
  const said = problems.length === 1 ? problems[0] : `[${problems.join(", ")}]`;
  return new StatusError("Invalid", `${qualified} ${JSON.stringify(name)} is invalid: ${said}`, {
    ...(name === "" ? {} : { name }),
    ...(kind.group === "" ? {} : { group: kind.group }),
    ...(kind.kind === "" ? {} : { kind: kind.kind }),
    causes: [...causes],
  });
}
