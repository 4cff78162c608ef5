/** Annotations of Pods that mean something to Kubernetes. */
import type { StatusCause } from "../../../../../common/kube/status.ts";
import { Problems } from "../problems.ts";

const DELETION_COST = "controller.kubernetes.io/pod-deletion-cost";
const most32 = 2_147_483_647;

const isInt32 = (text: string): boolean => {
  const value = Number(text);
  return /^(0|-?[1-9]\d*|-0)$/.test(text) && value <= most32 && value >= -most32 - 1;
};

/** What was wrong before an update may stay. */
export function validatePodAnnotations(
  annotations: Record<string, string> | undefined,
  field: string,
  before?: Record<string, string>,
): StatusCause[] {
  const problems = new Problems();
  const cost = annotations?.[DELETION_COST];
  const old = before?.[DELETION_COST];
  if (cost !== undefined && !isInt32(cost) && (old === undefined || isInt32(old)))
    problems.invalid(`${field}[${DELETION_COST}]`, cost, "must be a 32bit integer");
  return problems.causes;
}
