/** What validating and mutating policies share: for each policy that a request concerns, its bindings and parameters. */
import type { Client } from "../../../../common/kube/client.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { Budget } from "../../cel/environment.ts";
import type { Reader } from "../../resources/reader.ts";
import type { Decide } from "../../cel/functions/authorizer.ts";
import { conditions, scopeOf, withVariables } from "../expressions.ts";
import type { Scope } from "../expressions.ts";
import type { Match, Matcher, Served } from "../matching.ts";
import type { AdmissionRequest } from "../types.ts";
import { isExempt } from "../webhooks/plugins.ts";
import { ParamsError, paramsOf } from "./params.ts";
import type { Binding, Policy } from "./policies.ts";

export interface PolicyOptions {
  reader: Reader;
  matcher: Matcher;
  served: Served | undefined;
  client(): Client;
  decide: Decide | undefined;
}

/** One evaluation to be done, or why it cannot be. */
export type Evaluation = { policy: Policy; binding: Binding; match: Match } & (
  | { scope: Scope; budget: Budget; params: KubeObject | undefined }
  | { error: string }
);

/** Questions about who somebody is and may, whose answers policies themselves may need. */
const REVIEWS = new Set(["authentication.k8s.io", "authorization.k8s.io"]);

export const isExemptFromPolicies = (request: AdmissionRequest): boolean =>
  isExempt(request) || REVIEWS.has(request.gvr.group);

export async function evaluationsOf(
  policy: Policy,
  request: AdmissionRequest,
  options: PolicyOptions,
): Promise<Evaluation[]> {
  const { matcher, reader, decide } = options;
  const match = await matcher.matches(policy.spec.matchConstraints ?? {}, request);
  if (!match || !policy.spec.matchConstraints?.resourceRules?.length) return [];
  await match.prepare?.(request);
  const evaluations: Evaluation[] = [];
  for (const binding of policy.bindings) {
    const { matchResources } = binding.spec;
    if (matchResources && !(await matcher.matches(matchResources, request))) continue;
    const base = { policy, binding, match };
    let found: (KubeObject | undefined)[];
    try {
      found = await paramsOf(policy, binding, request, options.served, options.client());
    } catch (error) {
      if (!(error instanceof ParamsError)) throw error;
      evaluations.push({ ...base, error: `failed to configure binding: ${error.message}` });
      continue;
    }
    const namespace = await matcher.namespaceOf(request);
    for (const params of found) {
      const budget = new Budget();
      const plain = scopeOf(request, match, { decide, reader, params, namespace });
      const result = conditions(policy.conditions, plain, budget);
      if (result === "skip") continue;
      if (result !== "match") evaluations.push({ ...base, error: result.error });
      else evaluations.push({ ...base, scope: withVariables(policy.variables, plain, budget), budget, params });
    }
  }
  return evaluations;
}
