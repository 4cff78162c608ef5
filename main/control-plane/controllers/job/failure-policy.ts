/** Which rule of a Job's podFailurePolicy fits a Pod that has failed, and by what. */
import type { Pod } from "../../../../common/kube/types.ts";
import type { FailureRule } from "./model.ts";

/** The first rule of the failure policy that fits. */
export function ruleFor(rules: readonly FailureRule[], pod: Pod): FailureRule | undefined {
  return rules.find((rule) => whatFits(rule, pod) !== undefined);
}

/** What of the Pod a rule fits: a container that failed, or a condition. Init containers are looked at last. */
function whatFits({ onExitCodes, onPodConditions }: FailureRule, pod: Pod): string | undefined {
  const { namespace, name } = pod.metadata;
  if (onExitCodes) {
    const { containerName, operator, values } = onExitCodes;
    for (const { name: container, state } of [
      ...(pod.status?.containerStatuses ?? []),
      ...(pod.status?.initContainerStatuses ?? []),
    ]) {
      const code = state?.terminated?.exitCode;
      if (code === undefined || code === 0 || (containerName !== undefined && containerName !== container)) continue;
      if (values.includes(code) === (operator === "In"))
        return `Container ${container} for pod ${namespace}/${name} failed with exit code ${code}`;
    }
    return undefined;
  }
  const condition = onPodConditions?.find(({ type, status = "True" }) =>
    pod.status?.conditions?.some((one) => one.type === type && one.status === status),
  );
  return condition && `Pod ${namespace}/${name} has condition ${condition.type}`;
}

/** What a Job's condition says when this rule fails it. */
export function describeFailure(pod: Pod, rule: FailureRule, index: number): string {
  return `${whatFits(rule, pod)} matching ${rule.action} rule at index ${index}`;
}
