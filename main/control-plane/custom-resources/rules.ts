/** x-kubernetes-validations: the CEL rules of a schema, compiled once and run over each object and what it was. */
import type { StructuralSchema, ValidationRule } from "../../../common/kube/facts/custom.ts";
import type { StatusCause } from "../../../common/kube/status.ts";
import { Budget, CelBudgetError, CelCompileError, CelError, celEnvironment, toCel } from "../cel/environment.ts";
import type { Program } from "../cel/environment.ts";
import { optionalOf } from "../cel/functions/optionals.ts";
import { Problems, same } from "../resources/validation/problems.ts";
import { itemKey } from "./schema-validation.ts";

export interface CompiledRule {
  rule: ValidationRule;
  program: Program;
  message?: Program;
  /** It speaks of oldSelf: it runs only where there is one. */
  transition: boolean;
}

export interface RuleProblem {
  /** Which rule of the schema. */
  index: number;
  field: "rule" | "messageExpression";
  message: string;
}

const textSchema: StructuralSchema = { type: "string" };

/** The schema as rules see the root: with the parts that every object has. */
export function withObjectMeta(schema: StructuralSchema): StructuralSchema {
  return {
    ...schema,
    properties: {
      ...schema.properties,
      apiVersion: textSchema,
      kind: textSchema,
      metadata: { type: "object", properties: { name: textSchema, generateName: textSchema } },
    },
  };
}

/** `mentions(ast, "oldSelf")` */
function mentions(node: unknown, name: string): boolean {
  if (Array.isArray(node)) return node.some((one) => mentions(one, name));
  if (typeof node !== "object" || node === null) return false;
  // What a macro was made into is not looked at: it is made of the same parts.
  const { op, args } = node as { op?: string; args?: unknown };
  return op !== undefined && ((op === "id" && args === name) || mentions(args, name));
}

/** Throws nothing: what does not compile is told in `problems`. */
export function compileRules(schema: StructuralSchema): { rules: CompiledRule[]; problems: RuleProblem[] } {
  const rules: CompiledRule[] = [];
  const problems: RuleProblem[] = [];
  const list = schema["x-kubernetes-validations"] ?? [];
  if (list.length === 0) return { rules, problems };
  const plain = celEnvironment({ self: schema, oldSelf: schema });
  list.forEach((rule, index) => {
    const environment = rule.optionalOldSelf ? celEnvironment({ self: schema, oldSelf: "optional" }) : plain;
    const attempt = (field: RuleProblem["field"], text: string, type: string): Program | undefined => {
      try {
        return environment.compile(text, [type]);
      } catch (error) {
        if (!(error instanceof CelCompileError)) throw error;
        const message = error.message.startsWith("must evaluate")
          ? field === "rule"
            ? "cel expression must evaluate to a bool"
            : "messageExpression must evaluate to a string"
          : `${field === "rule" ? "" : "messageExpression "}compilation failed: ${error.message}`;
        problems.push({ index, field, message });
        return undefined;
      }
    };
    const program = attempt("rule", rule.rule, "bool");
    const message = rule.messageExpression ? attempt("messageExpression", rule.messageExpression, "string") : undefined;
    if (program)
      rules.push({ rule, program, ...(message ? { message } : {}), transition: mentions(program.ast, "oldSelf") });
  });
  return { rules, problems };
}

/** A schema's own rules and those of what is in it. */
export interface RuleTree {
  schema: StructuralSchema;
  rules: CompiledRule[];
  properties: Map<string, RuleTree>;
  items?: RuleTree;
  values?: RuleTree;
  allOf: RuleTree[];
}

/** undefined where there is no rule at all. Rules that do not compile are left out: the definition was refused. */
export function ruleTree(schema: StructuralSchema, root = false): RuleTree | undefined {
  const properties = new Map<string, RuleTree>();
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const tree = ruleTree(property);
    if (tree) properties.set(name, tree);
  }
  const items = schema.items && ruleTree(schema.items);
  const others = schema.additionalProperties;
  const values = typeof others === "object" ? ruleTree(others) : undefined;
  const allOf = (schema.allOf ?? []).flatMap(
    (one) => ruleTree({ ...one, ...(schema.type ? { type: schema.type } : {}) }) ?? [],
  );
  const own = root ? withObjectMeta(schema) : schema;
  const { rules } = compileRules(own);
  if (rules.length + properties.size + allOf.length === 0 && !items && !values) return undefined;
  return { schema: own, rules, properties, allOf, ...(items ? { items } : {}), ...(values ? { values } : {}) };
}

type Struct = Record<string, unknown>;
const isStruct = (value: unknown): value is Struct =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** What the rules say of the value. `old` undefined: it is new. */
export function runRules(tree: RuleTree, value: unknown, old: unknown, path = ""): StatusCause[] {
  const problems = new Problems();
  const budget = new Budget();
  try {
    walk(tree, value, old, path, problems, budget);
  } catch (error) {
    if (!(error instanceof OutOfBudget)) throw error;
  }
  return problems.causes;
}

/** No further rule is run. */
class OutOfBudget extends Error {}

function walk(tree: RuleTree, value: unknown, old: unknown, path: string, problems: Problems, budget: Budget): void {
  if (value === null || value === undefined) return;
  const before = old ?? undefined;
  runOwn(tree, value, before, path, problems, budget);
  for (const one of tree.allOf) walk(one, value, before, path, problems, budget);
  if (Array.isArray(value) && tree.items) {
    const { items } = tree;
    const keyOf = tree.schema["x-kubernetes-list-type"] === "map" ? itemKey(tree.schema) : undefined;
    const then = keyOf && Array.isArray(before) ? new Map(before.map((item) => [keyOf(item).text, item])) : undefined;
    value.forEach((item, at) =>
      walk(items, item, keyOf ? then?.get(keyOf(item).text) : undefined, `${path}[${at}]`, problems, budget),
    );
  } else if (isStruct(value)) {
    const then = isStruct(before) ? before : {};
    for (const [name, one] of Object.entries(value)) {
      const property = tree.properties.get(name);
      if (property) walk(property, one, then[name], path === "" ? name : `${path}.${name}`, problems, budget);
      else if (tree.values) walk(tree.values, one, then[name], `${path}[${name}]`, problems, budget);
    }
  }
}

function runOwn(tree: RuleTree, value: unknown, old: unknown, path: string, problems: Problems, budget: Budget): void {
  if (tree.rules.length === 0) return;
  const { schema } = tree;
  const values = { self: toCel(value, schema), oldSelf: old === undefined ? null : toCel(old, schema) };
  const place = path === "" ? "<nil>" : path;
  for (const compiled of tree.rules) {
    const { rule, program, message, transition } = compiled;
    if (transition && old === undefined && !rule.optionalOldSelf) continue;
    // What was wrong before and has not changed is let be.
    if (!transition && old !== undefined && same(value, old)) continue;
    const own = rule.optionalOldSelf
      ? { ...values, oldSelf: optionalOf(old === undefined ? undefined : values.oldSelf) }
      : values;
    const words = JSON.stringify(rule.rule);
    const invalid = (detail: string): void => problems.invalid(place, schema.type ?? "", detail);
    let passed: unknown;
    try {
      passed = program.evaluate(own, budget);
    } catch (error) {
      if (error instanceof CelBudgetError) {
        invalid(
          error.perCall
            ? `'${error.message}': no further validation rules will be run due to call cost exceeds limit for rule: ${words}`
            : "validation failed due to running out of cost budget, no further validation rules will be run",
        );
        throw new OutOfBudget();
      }
      if (!(error instanceof CelError)) throw error;
      invalid(
        error.message.startsWith("no such overload")
          ? `'${error.message}': call arguments did not match a supported operator, function or macro signature for rule: ${words}`
          : `${error.message} evaluating rule: ${words}`,
      );
      continue;
    }
    if (passed === true) continue;
    fail(problems, schema, rule, value, place, detailOf(rule, message, own, budget));
  }
}

function detailOf(rule: ValidationRule, message: Program | undefined, values: Struct, budget: Budget): string {
  const plain = rule.message?.trim() ? rule.message.trim() : `failed rule: ${rule.rule.trim()}`;
  if (!message) return plain;
  try {
    const text = message.evaluate(values, budget);
    return typeof text === "string" && text.trim() !== "" && !text.includes("\n") ? text.trim() : plain;
  } catch (error) {
    // A message that cannot be made gives way to the one that needs no making.
    if (error instanceof CelError || error instanceof CelBudgetError) return plain;
    throw error;
  }
}

function fail(
  problems: Problems,
  schema: StructuralSchema,
  rule: ValidationRule,
  value: unknown,
  path: string,
  detail: string,
): void {
  const below = rule.fieldPath?.replace(/^\./, "");
  const field = below ? (path === "<nil>" ? below : `${path}.${below}`) : path;
  if (rule.reason === "FieldValueForbidden") problems.forbidden(field, detail);
  else if (rule.reason === "FieldValueRequired") problems.required(field, detail);
  else if (rule.reason === "FieldValueDuplicate") problems.duplicate(field, value);
  else if (schema.type === "object" || schema.type === "array")
    problems.add([{ reason: "FieldValueInvalid", message: `Invalid value: ${detail}`, field }]);
  else problems.invalid(field, value, detail);
}
