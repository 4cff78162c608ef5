/**
 * Kubernetes' CEL: the library's language with Kubernetes' functions, type-checked against schemas where there
 * are any, and run within a budget.
 *
 *   environment = celEnvironment({ self: schema, oldSelf: schema })
 *   program = environment.compile("self.replicas <= self.max", ["bool"])     throws CelCompileError
 *   program.evaluate({ self: toCel(value, schema) }, new Budget())           throws CelError, CelBudgetError
 */
import { Environment } from "@marcbachmann/cel-js";
import type { ParseResult } from "@marcbachmann/cel-js";
import { Budget, meter } from "./budget.ts";
import type { Meterable } from "./budget.ts";
import { CelBudgetError, CelCompileError, CelError } from "./errors.ts";
import { registerComprehensions } from "./functions/comprehensions.ts";
import { hasMacro } from "./functions/has.ts";
import { registerLists } from "./functions/lists.ts";
import { registerMeasures } from "./functions/measures.ts";
import { registerNetwork } from "./functions/network.ts";
import { registerOptionals } from "./functions/optionals.ts";
import { registerStrings, renamed } from "./functions/strings.ts";
import { declareTypes } from "./types.ts";
import type { ValueSchema } from "./values.ts";

export { Budget } from "./budget.ts";
export { CelBudgetError, CelCompileError, CelError } from "./errors.ts";
export { fromCel, toCel } from "./values.ts";
export type { ValueSchema } from "./values.ts";

/** "dyn", another type of CEL by its name, or what is known of the value. */
export type VariableType = string | ValueSchema;

export interface CelEnvironmentOptions {
  /** Adds types and functions of its own (the policies' `authorizer`). Called for each environment made. */
  extend?: (environment: Environment) => void;
}

export interface Program {
  readonly expression: string;
  /** The expression's tree, for estimates and for finding what it refers to. */
  readonly ast: Meterable;
  /** "bool", "string", "list<string>", "dyn"… as checked against the schemas. */
  readonly type: string;
  /** Throws CelError with cel-go's words, CelBudgetError. */
  evaluate(values: Record<string, unknown>, budget?: Budget): unknown;
}

export interface CelEnvironment {
  /**
   * `allowed`: the types the result may have ("bool"), any when left out. Throws CelCompileError.
   */
  compile(expression: string, allowed?: readonly string[]): Program;
}

function base(extend?: (environment: Environment) => void): Environment {
  const environment = new Environment({
    enableOptionalTypes: true,
    homogeneousAggregateLiterals: false,
    limits: { maxListElements: 10_000, maxMapEntries: 10_000 },
  });
  registerLists(environment);
  registerStrings(environment);
  registerNetwork(environment);
  registerMeasures(environment);
  registerOptionals(environment);
  registerComprehensions(environment);
  extend?.(environment);
  return environment;
}

let plain: Environment | undefined;

export function celEnvironment(
  variables: Readonly<Record<string, VariableType>>,
  options: CelEnvironmentOptions = {},
): CelEnvironment {
  const made = options.extend ? base(options.extend) : (plain ??= base());
  // Values are maps at run time; the types of the schemas are for checking only.
  const running = made.clone();
  const checking = made.clone();
  const declared = new Map<ValueSchema, string>();
  let typed = false;
  for (const [name, type] of Object.entries(variables)) {
    running.registerVariable(name, typeof type === "string" ? type : "dyn");
    if (typeof type !== "string") typed = true;
    checking.registerVariable(name, typeof type === "string" ? type : declareTypes(checking, name, type, declared));
  }
  return { compile: (expression, allowed) => compile(expression, allowed, running, typed ? checking : undefined) };
}

function compile(
  expression: string,
  allowed: readonly string[] | undefined,
  running: Environment,
  checking: Environment | undefined,
): Program {
  const type = checked(expression, checking ?? running).type;
  const { parsed } = checked(expression, running);
  if (allowed && type !== "dyn" && !allowed.includes(type)) {
    const wanted = allowed.length === 1 ? allowed[0] : `one of ${allowed.join(", ")}`;
    throw new CelCompileError(`must evaluate to ${wanted === "bool" ? "a bool" : wanted}`);
  }
  const ast = parsed.ast as unknown as Meterable;
  meter(ast);
  return {
    expression,
    ast,
    type,
    evaluate(values, budget = new Budget()) {
      try {
        return budget.run(() => parsed(values) as unknown);
      } catch (error) {
        if (error instanceof CelBudgetError || error instanceof CelError) throw error;
        throw new CelError(runtimeWords(error));
      }
    },
  };
}

function checked(expression: string, environment: Environment): { parsed: ParseResult; type: string } {
  let parsed: ParseResult;
  try {
    parsed = environment.parse(expression);
  } catch (error) {
    throw compileError(expression, error, "Syntax error: ");
  }
  rename(parsed.ast as unknown as Meterable);
  const result = parsed.check();
  if (!result.valid) throw compileError(expression, result.error, "");
  return { parsed, type: result.type ?? "dyn" };
}

interface ParsedNode {
  setMeta(name: "macro", value: unknown): void;
}

/** Our functions in the place of the library's own. */
function rename(node: unknown): void {
  if (Array.isArray(node)) node.forEach(rename);
  else if (typeof node === "object" && node !== null) {
    const { op, args } = node as Meterable;
    if (op === undefined) return;
    if (op === "call" || op === "rcall") {
      const list = args as unknown[];
      list[0] = renamed.get(list[0] as string) ?? list[0];
      if (op === "call" && list[0] === "has")
        (node as ParsedNode).setMeta("macro", hasMacro(list[1] as Parameters<typeof hasMacro>[0]));
    }
    rename(args);
  }
}

interface LibraryError {
  code?: string;
  summary?: string;
  message?: string;
  range?: { start: number };
}

/** `ERROR: <input>:1:5: undefined field 'x'` with the line it stands in, as cel-go shows it. */
function compileError(expression: string, error: unknown, prefix: string): CelCompileError {
  const { code, summary, message = "", range } = error as LibraryError;
  // cel-go points at the dot before a field.
  const start = Math.max(0, (range?.start ?? 0) - (code === "no_such_key" ? 1 : 0));
  const before = expression.slice(0, start);
  const line = before.split("\n").length;
  const column = start - (before.lastIndexOf("\n") + 1);
  const text = expression.split("\n")[line - 1] ?? "";
  const said = prefix + compileWords(code, summary ?? message);
  return new CelCompileError(`ERROR: <input>:${line}:${column + 1}: ${said}\n | ${text}\n | ${".".repeat(column)}^`);
}

function compileWords(code: string | undefined, words: string): string {
  const last = words.slice(words.lastIndexOf(": ") + 2);
  if (code === "no_such_key") return `undefined field '${last}'`;
  if (code === "unknown_variable") return `undeclared reference to '${last}' (in container '')`;
  const call = /^found no matching overload for '(?:(.+)\.)?(\w+)\((.*)\)'$/.exec(words);
  if (call) {
    const [, receiver, name, parameters] = call;
    return `found no matching overload for '${name}' applied to '${receiver ? `${receiver}.` : ""}(${parameters})'`;
  }
  const operator = /^no such overload: (.+) (\S+) (\S.*)$/.exec(words);
  if (operator)
    return `found no matching overload for '_${operator[2]}_' applied to '(${operator[1]}, ${operator[3]})'`;
  return words;
}

function runtimeWords(error: unknown): string {
  const { code, summary, message = String(error) } = error as LibraryError;
  const words = summary ?? message;
  if (code === "no_such_key") return `no such key: ${words.slice(words.lastIndexOf(": ") + 2)}`;
  if (code === "index_out_of_bounds") return `index out of bounds: ${/index (-?\d+)/.exec(words)?.[1] ?? ""}`;
  if (code === "no_such_overload" || code === "no_matching_overload") return "no such overload";
  return words;
}
