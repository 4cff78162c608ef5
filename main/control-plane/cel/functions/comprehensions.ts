/**
 * Macros that the library lacks: cel-go's two-variable comprehensions (`list.all(i, v, …)`,
 * `map.transformMap(k, v, …)`) and the optionals' optMap and optFlatMap.
 */
import type { Environment } from "@marcbachmann/cel-js";
import { CelError } from "../errors.ts";
import type { Checker, Macro, MacroInput, Node, Scope, Type } from "./macro.ts";
import { isOptional, optionalOf } from "./optionals.ts";

const nameOf = (node: Node | undefined): string => {
  if (node?.op !== "id") throw new CelError("argument must be a simple name");
  return node.args as string;
};

function entriesOf(value: unknown): [unknown, unknown][] {
  if (Array.isArray(value)) return value.map((item, at) => [BigInt(at), item]);
  if (value instanceof Map) return [...value];
  if (typeof value === "object" && value !== null) return Object.entries(value);
  throw new CelError("no such overload");
}

type Evaluate = (
  each: (node: Node | undefined, key: unknown, value: unknown) => unknown,
  entries: [unknown, unknown][],
  args: Node[],
) => unknown;

function bool(value: unknown): boolean {
  if (typeof value !== "boolean") throw new CelError("no such overload");
  return value;
}

/** Two variables, key or index and value, over what the receiver holds. */
function over(result: (checker: Checker, key: Type, body: Type) => Type, evaluate: Evaluate) {
  return ({ args, receiver }: MacroInput): Macro => ({
    args,
    receiver,
    async: false,
    typeCheck(checker, macro, scope) {
      const range = checker.check(receiver, scope);
      const dyn = checker.getType("dyn");
      const key = range.kind === "list" ? checker.getType("int") : (range.keyType ?? dyn);
      if (!["list", "map", "dyn"].includes(range.kind))
        throw checker.createError(
          "invalid_comprehension_range",
          "expression cannot be range of a comprehension",
          receiver,
        );
      macro.outer = scope.forkWithVariable(nameOf(args[0]), key);
      macro.inner = macro.outer.forkWithVariable(nameOf(args[1]), range.valueType ?? dyn);
      let body = dyn;
      for (const node of args.slice(2)) body = checker.check(node, macro.inner);
      return result(checker, key, body);
    },
    evaluate(evaluator, macro, scope) {
      const entries = entriesOf(evaluator.run(receiver, scope));
      const each = (node: Node | undefined, key: unknown, value: unknown): unknown => {
        const outer = (macro.outer as Scope).reuse(scope).setIterValue(key, evaluator);
        const inner = (macro.inner as Scope).reuse(outer).setIterValue(value, evaluator);
        return evaluator.run(node as Node, inner);
      };
      return evaluate(each, entries, args);
    },
  });
}

const all: Evaluate = (each, entries, args) => entries.every(([key, value]) => bool(each(args[2], key, value)));
const exists: Evaluate = (each, entries, args) => entries.some(([key, value]) => bool(each(args[2], key, value)));
const one: Evaluate = (each, entries, args) =>
  entries.filter(([key, value]) => bool(each(args[2], key, value))).length === 1;
const kept = (each: Parameters<Evaluate>[0], entries: [unknown, unknown][], args: Node[]): [unknown, unknown][] =>
  args.length === 4 ? entries.filter(([key, value]) => bool(each(args[2], key, value))) : entries;
const toList: Evaluate = (each, entries, args) =>
  kept(each, entries, args).map(([key, value]) => each(args.at(-1), key, value));
const toMap: Evaluate = (each, entries, args) =>
  new Map(kept(each, entries, args).map(([key, value]) => [key, each(args.at(-1), key, value)]));
const toEntries: Evaluate = (each, entries, args) => {
  const result = new Map<unknown, unknown>();
  for (const [key, value] of kept(each, entries, args)) {
    for (const [name, made] of entriesOf(each(args.at(-1), key, value))) {
      if (result.has(name)) throw new CelError(`insert failed: key '${String(name)}' already exists`);
      result.set(name, made);
    }
  }
  return result;
};

/** optMap(v, expression): the expression of what the optional holds, or none. */
function optional(flat: boolean) {
  return ({ args, receiver }: MacroInput): Macro => ({
    args,
    receiver,
    async: false,
    typeCheck(checker, macro, scope) {
      const type = checker.check(receiver, scope);
      macro.inner = scope.forkWithVariable(nameOf(args[0]), type.valueType ?? checker.getType("dyn"));
      const body = checker.check(args[1] as Node, macro.inner);
      return flat ? body : checker.registry.getOptionalType(body);
    },
    evaluate(evaluator, macro, scope) {
      const value = evaluator.run(receiver, scope);
      if (!isOptional(value)) throw new CelError("no such overload");
      if (!value.hasValue()) return value;
      const inner = (macro.inner as Scope).reuse(scope).setIterValue(value.value(), evaluator);
      const made = evaluator.run(args[1] as Node, inner);
      return flat ? made : optionalOf(made);
    },
  });
}

export function registerComprehensions(environment: Environment): void {
  const toBool = (checker: Checker): Type => checker.getType("bool");
  const listOf = (checker: Checker, _: Type, body: Type): Type => checker.registry.getListType(body);
  const mapOf = (checker: Checker, key: Type, body: Type): Type => checker.registry.getMapType(key, body);
  const same = (_: Checker, _key: Type, body: Type): Type => body;
  const macros: [string, (input: MacroInput) => Macro][] = [
    ["list.all(ast, ast, ast): bool", over(toBool, all)],
    ["list.exists(ast, ast, ast): bool", over(toBool, exists)],
    ["list.existsOne(ast, ast, ast): bool", over(toBool, one)],
    ["list.transformList(ast, ast, ast): list<dyn>", over(listOf, toList)],
    ["list.transformList(ast, ast, ast, ast): list<dyn>", over(listOf, toList)],
    ["list.transformMap(ast, ast, ast): map", over(mapOf, toMap)],
    ["list.transformMap(ast, ast, ast, ast): map", over(mapOf, toMap)],
    ["list.transformMapEntry(ast, ast, ast): map", over(same, toEntries)],
    ["list.transformMapEntry(ast, ast, ast, ast): map", over(same, toEntries)],
    ["optional.optMap(ast, ast): optional<dyn>", optional(false)],
    ["optional.optFlatMap(ast, ast): optional<dyn>", optional(true)],
  ];
  for (const [signature, macro] of macros) environment.registerFunction(signature, macro as never);
}
