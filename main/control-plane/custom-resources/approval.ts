/** Groups of the community's own (*.k8s.io, *.kubernetes.io) must say who approved them. */
import type { Problems } from "../resources/validation/problems.ts";
import type { CustomResourceDefinition } from "./types.ts";

const APPROVED = "api-approved.kubernetes.io";
const SEE = "see https://github.com/kubernetes/enhancements/pull/1111";

export interface Approval {
  state: "missing" | "invalid" | "bypassed" | "approved";
  /** What the condition KubernetesAPIApprovalPolicyConformant says of it. */
  message: string;
}

export const isProtectedGroup = (group: string): boolean => /(^|\.)(k8s\.io|kubernetes\.io)$/.test(group);

export function approvalOf({ metadata }: CustomResourceDefinition): Approval {
  const value = metadata.annotations?.[APPROVED] ?? "";
  if (value === "")
    return { state: "missing", message: `protected groups must have approval annotation "${APPROVED}", ${SEE}` };
  if (value.startsWith("unapproved")) return { state: "bypassed", message: `not approved: ${JSON.stringify(value)}` };
  if (URL.canParse(value) && new URL(value).host !== "") return { state: "approved", message: `approved in ${value}` };
  return {
    state: "invalid",
    message: `protected groups must have approval annotation "${APPROVED}" with either a URL or a reason starting with "unapproved", ${SEE}`,
  };
}

/** What was so before may stay so. */
export function validateApproval(
  problems: Problems,
  crd: CustomResourceDefinition,
  old: CustomResourceDefinition | undefined,
): void {
  if (!isProtectedGroup(crd.spec?.group ?? "")) return;
  const { state, message } = approvalOf(crd);
  if (old && approvalOf(old).state === state) return;
  const field = `metadata.annotations[${APPROVED}]`;
  if (state === "missing") problems.required(field, message);
  else if (state === "invalid") problems.invalid(field, crd.metadata.annotations?.[APPROVED], message);
}
