/** CEL in admission: what expressions may speak of, compiled once, and conditions decided. */
import type { KubeObject } from "../../../common/kube/object.ts";
import { Budget, CelBudgetError, CelCompileError, CelError, celEnvironment, toCel } from "../cel/environment.ts";
import type { Program } from "../cel/environment.ts";
import type { Reader } from "../resources/reader.ts";
import type { User } from "../resources/definition.ts";
import { AUTHORIZER, CelAuthorizer, registerAuthorizer } from "../cel/functions/authorizer.ts";
import type { Decide } from "../cel/functions/authorizer.ts";
import type { Match } from "./matching.ts";
import { reviewRequest } from "./review.ts";
import { withConstructors } from "./policies/constructors.ts";
import type { AdmissionRequest } from "./types.ts";

const environment = celEnvironment(
  {
    object: "dyn",
    oldObject: "dyn",
    request: "dyn",
    params: "dyn",
    namespaceObject: "dyn",
    variables: "dyn",
    authorizer: AUTHORIZER,
  },
  { extend: registerAuthorizer },
);

export interface NamedExpression {
  name?: string;
  expression?: string;
}

/** A program, or why there is none: what does not compile fails when it is run, as failurePolicy says. */
export type Compiled = { program: Program } | { error: string };

export function compileExpression(expression = ""): Compiled {
  try {
    return { program: environment.compile(withConstructors(expression)) };
  } catch (error) {
    if (!(error instanceof CelCompileError)) throw error;
    return { error: `compilation error: ${error.message}` };
  }
}

/** The values of one evaluation. Throws CelError where an expression fails, is too dear or does not compile. */
export type Scope = Record<string, unknown>;

export function run(compiled: Compiled, scope: Scope, budget: Budget): unknown {
  if ("error" in compiled) throw new CelError(compiled.error);
  try {
    return compiled.program.evaluate(scope, budget);
  } catch (error) {
    if (error instanceof CelBudgetError) {
      throw new CelError(
        error.perCall
          ? "operation cancelled: actual cost limit exceeded"
          : "validation failed due to running out of cost budget, no further validation rules will be run",
      );
    }
    throw error;
  }
}

export interface ScopeOptions {
  decide: Decide | undefined;
  reader: Reader;
  params?: KubeObject | undefined;
  namespace?: KubeObject | undefined;
}

export function scopeOf(request: AdmissionRequest, match: Match, options: ScopeOptions): Scope {
  const shown = (object: KubeObject | undefined): KubeObject | undefined => object && match.convert(object);
  const object = shown(request.object);
  const old = shown(request.old);
  return {
    object: toCel(object),
    oldObject: toCel(old),
    request: toCel(reviewRequest(request, match, object ?? old)),
    params: toCel(options.params),
    namespaceObject: toCel(options.namespace && strippedNamespace(options.namespace)),
    variables: new Map(),
    authorizer: authorizerFor(request.user, request, options.decide),
  };
}

function authorizerFor(user: User, request: AdmissionRequest, decide: Decide | undefined): CelAuthorizer {
  const { gvr, subresource, namespace, name, object } = request;
  return new CelAuthorizer(decide ?? (() => ({ allowed: false, reason: "" })), user, {
    group: gvr.group,
    version: gvr.version,
    resource: gvr.resource,
    ...(subresource ? { subresource } : {}),
    ...(namespace ? { namespace } : {}),
    ...(name || object?.metadata?.name ? { name: name || (object?.metadata?.name ?? "") } : {}),
  });
}

/** Of a namespace, expressions see no more than its identity, labels, spec and status. */
function strippedNamespace({ metadata, ...rest }: KubeObject): object {
  const { managedFields: _, ...kept } = metadata;
  return { ...rest, metadata: kept };
}

/** Lazily computed `variables`: each is evaluated when first asked for, and then remembered. */
export function withVariables(
  variables: readonly { name: string; compiled: Compiled }[],
  scope: Scope,
  budget: Budget,
): Scope {
  if (variables.length === 0) return scope;
  const results = new Map<string, { value: unknown } | { error: CelError }>();
  const own: Scope = { ...scope };
  const byName = new Map(variables.map(({ name, compiled }) => [name, compiled]));
  // CEL takes only what is exactly a Map for one, hence no class of our own.
  const values = new Map<string, unknown>(variables.map(({ name }) => [name, undefined]));
  values.get = (name) => {
    const compiled = byName.get(name);
    if (!compiled) return undefined;
    let result = results.get(name);
    if (!result) {
      try {
        result = { value: run(compiled, own, budget) };
      } catch (error) {
        if (!(error instanceof CelError)) throw error;
        result = {
          error: new CelError(`composited variable ${JSON.stringify(name)} fails to evaluate: ${error.message}`),
        };
      }
      results.set(name, result);
    }
    if ("error" in result) throw result.error;
    return result.value;
  };
  own["variables"] = values;
  return own;
}

export interface CompiledExpression {
  name: string;
  expression: string;
  compiled: Compiled;
}

/** "match"; "skip" where one is false; or the errors of those that failed, where none was false. */
export function conditions(
  list: readonly CompiledExpression[],
  scope: Scope,
  budget: Budget,
): "match" | "skip" | { error: string } {
  const failed: string[] = [];
  for (const { name, expression, compiled } of list) {
    try {
      const result = run(compiled, scope, budget);
      if (result === false) return "skip";
      if (result !== true) failed.push(`cel evaluation error: condition ${name} must evaluate to a bool`);
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      failed.push(`expression '${expression}' resulted in error: ${error.message}`);
    }
  }
  if (failed.length === 0) return "match";
  return { error: failed.length === 1 ? (failed[0] as string) : `[${failed.join(", ")}]` };
}

export const compileAll = (list: readonly NamedExpression[] | undefined): CompiledExpression[] =>
  (list ?? []).map(({ name = "", expression = "" }) => ({ name, expression, compiled: compileExpression(expression) }));
