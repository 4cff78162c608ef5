/**
 * Whether a kubelet starts a container again that has ended: its rules for exit codes, its own policy, the Pod's, in this
 * order. Rules and a policy of a container's own: KEP-5307 (ContainerRestartRules, on since 1.35). Shared by the kubelet in a
 * node and by the nodes that only pretend. Pure.
 */
import type { Container } from "../kube/types.ts";

export type ContainerKind = "init" | "sidecar" | "regular" | "ephemeral";

interface Rule {
  action: string;
  exitCodes?: { operator: string; values?: number[] };
}

function rulesOf(spec: Container): Rule[] {
  // Without a policy of its own beside them they count for nothing.
  return spec.restartPolicy ? ((spec as { restartPolicyRules?: Rule[] }).restartPolicyRules ?? []) : [];
}

/** The policy that holds for the container where none of its rules does. */
function policyOf(spec: Container, kind: ContainerKind, podPolicy: string): string {
  return kind === "ephemeral" ? "Never" : kind === "sidecar" ? "Always" : (spec.restartPolicy ?? podPolicy);
}

function ruleFor(spec: Container, exitCode: number): Rule | undefined {
  return rulesOf(spec).find(
    ({ exitCodes }) =>
      exitCodes !== undefined && (exitCodes.values ?? []).includes(exitCode) === (exitCodes.operator === "In"),
  );
}

/** Whether an end with this exit code asks for all containers of the Pod to be started again (KEP-5532, on since 1.36). */
export function restartsAll(spec: Container, exitCode: number): boolean {
  return ruleFor(spec, exitCode)?.action === "RestartAllContainers";
}

/** After an end with this exit code. Init containers that succeeded have done their part whatever the policy. */
export function shouldRestart(spec: Container, kind: ContainerKind, podPolicy: string, exitCode: number): boolean {
  if (kind === "init" && exitCode === 0) return false;
  const rule = ruleFor(spec, exitCode);
  if (rule?.action === "Restart") return true;
  const policy = policyOf(spec, kind, podPolicy);
  return policy === "Always" || (policy === "OnFailure" && exitCode !== 0);
}

/** Whether there is an end after which it is started again. */
export function mayRestart(spec: Container, kind: ContainerKind, podPolicy: string): boolean {
  return policyOf(spec, kind, podPolicy) !== "Never" || rulesOf(spec).some(({ action }) => action === "Restart");
}
