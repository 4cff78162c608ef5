/** ValidatingAdmissionPolicy: expressions that must hold of what is written, and what follows where they do not. */
import type { StatusReason } from "../../../../common/kube/status.ts";
import { StatusError } from "../../../../common/kube/status.ts";
import { CelError } from "../../cel/environment.ts";
import type { Budget } from "../../cel/environment.ts";
import { run } from "../expressions.ts";
import type { Scope } from "../expressions.ts";
import { forbid } from "../forbid.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../types.ts";
import { evaluationsOf, isExemptFromPolicies } from "./evaluate.ts";
import type { PolicyOptions } from "./evaluate.ts";
import { policies } from "./policies.ts";
import type { Binding, Policy } from "./policies.ts";

interface Failure {
  policy: Policy;
  binding: Binding;
  message: string;
  reason: string;
  expressionIndex: number;
}

const LONGEST_MESSAGE = 5 * 1024;
const FAILURES = "validation.policy.admission.k8s.io/validation_failure";

export function validatingPolicies(options: PolicyOptions): AdmissionPlugin {
  const current = policies(options.reader, "validating");
  return {
    name: "ValidatingAdmissionPolicy",
    intercepts: true,
    validate(request) {
      const all = current();
      if (all.length === 0 || isExemptFromPolicies(request)) return undefined;
      return validateAll(all, request, options);
    },
  };
}

async function validateAll(all: readonly Policy[], request: AdmissionRequest, options: PolicyOptions): Promise<void> {
  const failures: Failure[] = [];
  const annotations = new Map<string, string[]>();
  for (const policy of all) {
    for (const one of await evaluationsOf(policy, request, options)) {
      if ("error" in one) {
        const { error, binding } = one;
        failures.push(...unlessIgnored(policy, binding, error, 0));
        continue;
      }
      failures.push(...validate(policy, one.binding, one.scope, one.budget));
      annotate(policy, one.binding, one.scope, one.budget, annotations, failures);
    }
  }
  for (const [key, values] of annotations) request.annotate?.(key, [...new Set(values)].join(", "));
  settle(failures, request);
}

const unlessIgnored = (policy: Policy, binding: Binding, message: string, expressionIndex: number): Failure[] =>
  policy.spec.failurePolicy === "Ignore" ? [] : [{ policy, binding, message, reason: "Invalid", expressionIndex }];

function validate(policy: Policy, binding: Binding, scope: Scope, budget: Budget): Failure[] {
  return policy.validations.flatMap(({ of, compiled, message }, expressionIndex) => {
    let holds: unknown;
    try {
      holds = run(compiled, scope, budget);
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      const why = `expression '${of.expression ?? ""}' resulted in error: ${error.message}`;
      return unlessIgnored(policy, binding, why, expressionIndex);
    }
    if (holds === true) return [];
    const said = message && messageOf(() => run(message, scope, budget));
    return [
      {
        policy,
        binding,
        message: said ?? (of.message?.trim() || `failed expression: ${(of.expression ?? "").trim()}`),
        reason: of.reason || "Invalid",
        expressionIndex,
      },
    ];
  });
}

/** undefined where the expression gives no proper message: the fixed one is taken then. */
function messageOf(evaluate: () => unknown): string | undefined {
  try {
    const text = evaluate();
    if (typeof text !== "string") return undefined;
    const trimmed = text.trim();
    return trimmed === "" || trimmed.includes("\n") || trimmed.length > LONGEST_MESSAGE ? undefined : trimmed;
  } catch (error) {
    if (error instanceof CelError) return undefined;
    throw error;
  }
}

function annotate(
  policy: Policy,
  binding: Binding,
  scope: Scope,
  budget: Budget,
  annotations: Map<string, string[]>,
  failures: Failure[],
): void {
  for (const { key, compiled } of policy.audits) {
    try {
      const value = run(compiled, scope, budget);
      if (typeof value !== "string" || value === "") continue;
      const full = `${policy.name}/${key}`;
      annotations.set(full, [...(annotations.get(full) ?? []), value]);
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      failures.push(...unlessIgnored(policy, binding, error.message, 0));
    }
  }
}

/** Warnings, notes for the audit log, and the refusal. Throws StatusError. */
function settle(failures: readonly Failure[], request: AdmissionRequest): void {
  const denials: Failure[] = [];
  const audited: object[] = [];
  for (const failure of failures) {
    const { policy, binding, message, expressionIndex } = failure;
    const actions = binding.spec.validationActions ?? [];
    if (actions.includes("Deny")) denials.push(failure);
    if (actions.includes("Warn")) {
      request.warn(
        `Validation failed for ValidatingAdmissionPolicy '${policy.name}' with binding '${binding.name}': ${message}`,
      );
    }
    if (actions.includes("Audit")) {
      audited.push({
        message,
        policy: policy.name,
        binding: binding.name,
        expressionIndex,
        validationActions: actions,
      });
    }
  }
  if (audited.length > 0) request.annotate?.(FAILURES, JSON.stringify(audited));
  const [first] = denials;
  if (first) throw refusal(request, first);
}

export function refusal(
  request: AdmissionRequest,
  { policy, binding, message, reason }: Pick<Failure, "policy" | "binding" | "message" | "reason">,
  kind = "ValidatingAdmissionPolicy",
): StatusError {
  const words = `${kind} '${policy.name}' with binding '${binding.name}' denied request: ${message}`;
  const { message: full, status } = forbid(request, words);
  return new StatusError(reason as StatusReason, full, {
    ...status.details,
    causes: [{ reason: "" as never, message: words }],
  });
}
