/** MutatingAdmissionPolicy: apply configurations and JSON patches computed by expressions. */
import { parseApiVersion } from "../../../../common/kube/object.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { serverSideApply } from "../../../../common/kube/patch/apply.ts";
import { applyJsonPatch } from "../../../../common/kube/patch/merge.ts";
import { StatusError } from "../../../../common/kube/status.ts";
import { Budget, CelError, fromCel } from "../../cel/environment.ts";
import { same } from "../../resources/validation/problems.ts";
import { run, scopeOf, withVariables } from "../expressions.ts";
import type { Compiled, Scope } from "../expressions.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../types.ts";
import { replaceContents } from "../webhooks/plugins.ts";
import { evaluationsOf, isExemptFromPolicies } from "./evaluate.ts";
import type { Evaluation, PolicyOptions } from "./evaluate.ts";
import { policies } from "./policies.ts";
import type { Policy } from "./policies.ts";
import { refusal } from "./validating.ts";

/** Which evaluations have run on a request, and whether others changed the object since. */
type Progress = Map<string, boolean>;

export function mutatingPolicies(options: PolicyOptions): AdmissionPlugin {
  const current = policies(options.reader, "mutating");
  const rounds = new WeakMap<AdmissionRequest, Progress>();
  return {
    name: "MutatingAdmissionPolicy",
    intercepts: true,
    mutate(request) {
      const all = current();
      if (all.length === 0 || isExemptFromPolicies(request) || !request.object) return undefined;
      // Neither writes anything, so there is nothing to mutate.
      if (request.operation === "DELETE" || request.operation === "CONNECT") return undefined;
      return mutateAll(all, request, rounds, options);
    },
  };
}

async function mutateAll(
  all: readonly Policy[],
  request: AdmissionRequest,
  rounds: WeakMap<AdmissionRequest, Progress>,
  options: PolicyOptions,
): Promise<void> {
  const before = rounds.get(request);
  const progress: Progress = before ?? new Map();
  rounds.set(request, progress);
  for (const policy of all) {
    if (before && policy.spec.reinvocationPolicy !== "IfNeeded") continue;
    let stale = false;
    for (const one of await evaluationsOf(policy, request, options)) {
      // What a binding or parameter before it changed this one sees.
      const evaluation = stale && "scope" in one ? { ...one, scope: fresh(one, request, options) } : one;
      if (!mutate(evaluation, request, options)) continue;
      stale = true;
      // Policies that ran before this one see the change in the second round.
      if (progress.size > 0 && !before) request.again = true;
    }
    progress.set(policy.name, true);
  }
}

/** True where the object changed. Throws StatusError where the policy fails and must not. */
function mutate(one: Evaluation, request: AdmissionRequest, options: PolicyOptions): boolean {
  const { policy, binding, match } = one;
  const fail = (message: string): false => {
    if (policy.spec.failurePolicy === "Ignore") return false;
    throw refusal(request, { policy, binding, message, reason: "Invalid" }, "MutatingAdmissionPolicy");
  };
  if ("error" in one) return fail(one.error);
  const object = request.object as KubeObject;
  if (match.gvr.version !== request.gvr.version || match.gvr.group !== request.gvr.group) {
    return fail(`the object was written as ${object.apiVersion}, which the policy's rules do not name`);
  }
  let current = object;
  try {
    for (const { patchType, compiled } of policy.mutations) {
      // Each mutation sees what the one before it made.
      const scope = current === object ? one.scope : fresh(one, { ...request, object: current }, options);
      current =
        patchType === "JSONPatch" ? patched(compiled, scope, current, one) : applied(compiled, scope, current, one);
    }
  } catch (error) {
    if (error instanceof CelError || error instanceof StatusError || error instanceof PatchError)
      return fail(error.message);
    throw error;
  }
  if (same(current, object)) return false;
  replaceContents(object, current);
  return true;
}

class PatchError extends Error {}
type Ready = Extract<Evaluation, { scope: Scope }>;

function fresh({ policy, match, params, scope }: Ready, request: AdmissionRequest, options: PolicyOptions): Scope {
  const { decide, reader } = options;
  const made = scopeOf(request, match, { decide, reader, params });
  return withVariables(policy.variables, { ...made, namespaceObject: scope["namespaceObject"] }, new Budget());
}

function patched(compiled: Compiled, scope: Scope, object: KubeObject, { budget }: Ready): KubeObject {
  const operations = fromCel(run(compiled, scope, budget));
  if (!Array.isArray(operations)) throw new PatchError("the expression must evaluate to a list of JSONPatch");
  return applyJsonPatch(structuredClone(object), operations.map(whole));
}

/** Operations as JSON Patch wants them: `value` there where the operation takes one, even a null. */
function whole(operation: unknown): unknown {
  const given = (operation ?? {}) as Record<string, unknown>;
  return ["add", "replace", "test"].includes(String(given["op"])) && !("value" in given)
    ? { ...given, value: null }
    : given;
}

function applied(compiled: Compiled, scope: Scope, object: KubeObject, { budget }: Ready): KubeObject {
  const configuration = fromCel(run(compiled, scope, budget));
  if (typeof configuration !== "object" || configuration === null || Array.isArray(configuration)) {
    throw new PatchError("the expression must evaluate to an Object");
  }
  const { metadata = {} } = configuration as { metadata?: Record<string, unknown> };
  for (const field of ["name", "namespace", "uid", "resourceVersion", "managedFields"]) {
    if (field in metadata) throw new PatchError(`may not set metadata.${field}`);
  }
  const { managedFields, ...kept } = object.metadata;
  const merged = serverSideApply({
    live: { ...object, metadata: kept },
    applied: { ...configuration, apiVersion: object.apiVersion, kind: object.kind, metadata } as KubeObject,
    manager: "admission",
    force: true,
    gvk: { ...parseApiVersion(object.apiVersion), kind: object.kind },
    now: new Date(),
  });
  const { managedFields: _, ...rest } = merged.metadata;
  merged.metadata = { ...rest, ...(managedFields ? { managedFields } : {}) };
  return merged;
}
