/** RestartAllContainers (KEP-5532, on since 1.36): what a Pod's conditions say of it. Shared as restart.ts is. Pure. */
import type { Container, Pod } from "../kube/types.ts";
import type { PodCondition } from "./pod-status.ts";

const CONDITION = "AllContainersRestarting";

/** The containers that are started once more: all but the ephemeral ones, in their order. */
export const containersOf = ({ spec }: Pod): Container[] => [
  ...(spec?.initContainers ?? []),
  ...(spec?.containers ?? []),
];

export function mayRestartAll(pod: Pod): boolean {
  return containersOf(pod).some(({ restartPolicyRules = [] }: { restartPolicyRules?: { action: string }[] }) =>
    restartPolicyRules.some(({ action }) => action === "RestartAllContainers"),
  );
}

/** The condition that tells of it; only of Pods that have such a rule. */
export function restartCondition(
  pod: Pod,
  restarting: boolean,
  phase: string,
): Omit<PodCondition, "lastTransitionTime">[] {
  if (!mayRestartAll(pod)) return [];
  if (restarting)
    return [
      {
        type: CONDITION,
        status: "True",
        reason: "RestartAllContainersStarted",
        message: "container exited with restart policy rule",
      },
    ];
  const reason = phase === "Succeeded" ? "PodCompleted" : phase === "Failed" ? "PodFailed" : undefined;
  return [{ type: CONDITION, status: "False", ...(reason ? { reason } : {}) }];
}

/** Whether that is going on, by the conditions of a status. */
export const isRestartingAll = (conditions: readonly { type: string; status: string }[] | undefined): boolean =>
  conditions?.some(({ type, status }) => type === CONDITION && status === "True") ?? false;
