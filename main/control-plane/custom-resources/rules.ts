/** x-kubernetes-validations: the CEL rules of a schema, compiled once and run over each object and what it was. */
import type { StructuralSchema, ValidationRule } from "../../../common/kube/facts/custom.ts";
import type { StatusCause } from "../../../common/kube/status.ts";
import { Budget, CelBudgetError, CelCompileError, CelError, celEnvironment, toCel } from "../cel/environment.ts";
import type { Program } from "../cel/environment.ts";
import { optionalOf } from "../cel/functions/optionals.ts";
import { Problems, same } from "../resources/validation/problems.ts";
import { FieldPathError, fieldPathOf } from "./field-path.ts";
import { itemKey } from "./list-types.ts";

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
export function mentions(node: unknown, name: string): boolean {
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
  const own = root || schema["x-kubernetes-embedded-resource"] ? withObjectMeta(schema) : schema;
  const { rules } = compileRules(own);
  if (rules.length + properties.size === 0 && !items && !values) return undefined;
  return { schema: own, rules, properties, ...(items ? { items } : {}), ...(values ? { values } : {}) };
}

type Struct = Record<string, unknown>;
const isStruct = (value: unknown): value is Struct =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export interface RuleOptions {
  path?: string;
  /** Told of rules that are broken by what has not changed: it is let be. */
  warn?: (message: string) => void;
}

/** What the rules say of the value. `old` undefined: it is new. */
export function runRules(tree: RuleTree, value: unknown, old: unknown, options: RuleOptions = {}): StatusCause[] {
  const run = new Run(options.warn ?? (() => {}));
  try {
    run.walk(tree, value, old, old !== undefined && same(value, old), options.path ?? "");
  } catch (error) {
    if (!(error instanceof OutOfBudget)) throw error;
  }
  return run.problems.causes;
}

/** No further rule is run. */
class OutOfBudget extends Error {}

class Run {
  readonly problems = new Problems();
  readonly #budget = new Budget();
  readonly #warn: (message: string) => void;

  constructor(warn: (message: string) => void) {
    this.#warn = warn;
  }

  /** `unchanged`: it, or the nearest value around it that is told from others, is as it was. */
  walk(tree: RuleTree, value: unknown, old: unknown, unchanged: boolean, path: string): void {
    if (value === null || value === undefined) return;
    const before = old ?? undefined;
    this.#runOwn(tree, value, before, unchanged, path);
    if (Array.isArray(value) && tree.items) {
      const { items } = tree;
      const keyOf = tree.schema["x-kubernetes-list-type"] === "map" ? itemKey(tree.schema) : undefined;
      const then = keyOf && Array.isArray(before) ? new Map(before.map((item) => [keyOf(item).text, item])) : undefined;
      value.forEach((item, at) => {
        const was = keyOf && then?.get(keyOf(item).text);
        this.walk(items, item, was, keyOf ? was !== undefined && same(item, was) : unchanged, `${path}[${at}]`);
      });
    } else if (isStruct(value)) {
      const told = tree.schema["x-kubernetes-map-type"] !== "atomic";
      const then = told && isStruct(before) ? before : {};
      for (const [name, one] of Object.entries(value)) {
        const property = tree.properties.get(name);
        const below = property ?? tree.values;
        if (!below) continue;
        const was = then[name];
        const place = property ? (path === "" ? name : `${path}.${name}`) : `${path}[${name}]`;
        this.walk(below, one, was, told ? was !== undefined && same(one, was) : unchanged, place);
      }
    }
  }

  #runOwn(tree: RuleTree, value: unknown, old: unknown, unchanged: boolean, path: string): void {
    if (tree.rules.length === 0) return;
    const { schema } = tree;
    const values = { self: toCel(value, schema), oldSelf: old === undefined ? null : toCel(old, schema) };
    const place = path === "" ? "<nil>" : path;
    for (const compiled of tree.rules) {
      const { rule, program, message, transition } = compiled;
      if (transition && old === undefined && !rule.optionalOldSelf) continue;
      const own = rule.optionalOldSelf
        ? { ...values, oldSelf: optionalOf(old === undefined ? undefined : values.oldSelf) }
        : values;
      const passed = this.#evaluate(rule, schema, place, () => program.evaluate(own, this.#budget));
      if (passed !== false) continue;
      const causes = failure(schema, rule, value, place, detailOf(rule, message, own, this.#budget));
      if (transition || !unchanged) this.problems.add(causes);
      else for (const cause of causes) this.#warn(`${cause.field ?? ""}: ${cause.message ?? ""}`);
    }
  }

  /** undefined where it could not be said. */
  #evaluate(
    rule: ValidationRule,
    schema: StructuralSchema,
    place: string,
    evaluate: () => unknown,
  ): boolean | undefined {
    const words = (rule.message || rule.rule).trim();
    const invalid = (detail: string): void => this.problems.invalid(place, schema.type ?? "", detail);
    try {
      return evaluate() === true;
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
      return undefined;
    }
  }
}

const MOST_MESSAGE_BYTES = 5 * 1024;

function detailOf(rule: ValidationRule, message: Program | undefined, values: Struct, budget: Budget): string {
  const plain = rule.message ? rule.message.trim() : `failed rule: ${rule.rule.trim()}`;
  if (!message) return plain;
  try {
    const made = message.evaluate(values, budget);
    const text = typeof made === "string" ? made.trim() : "";
    return text === "" || text.includes("\n") || Buffer.byteLength(text) > MOST_MESSAGE_BYTES ? plain : text;
  } catch (error) {
    // A message that cannot be made gives way to the one that needs no making.
    if (error instanceof CelError || error instanceof CelBudgetError) return plain;
    throw error;
  }
}

function failure(
  schema: StructuralSchema,
  rule: ValidationRule,
  value: unknown,
  path: string,
  detail: string,
): StatusCause[] {
  const problems = new Problems();
  const below = rule.fieldPath ? normal(rule.fieldPath, schema) : "";
  const field = below === "" ? path : path === "<nil>" ? below : `${path}.${below}`;
  // Of a whole object or list the value is not shown.
  const whole = schema.type === "object" || schema.type === "array";
  if (rule.reason === "FieldValueForbidden") problems.forbidden(field, detail);
  else if (rule.reason === "FieldValueRequired") problems.required(field, detail);
  else if (rule.reason === "FieldValueDuplicate" && whole)
    problems.add([{ reason: "FieldValueDuplicate", message: "Duplicate value", field }]);
  else if (rule.reason === "FieldValueDuplicate") problems.duplicate(field, value);
  else if (whole) problems.add([{ reason: "FieldValueInvalid", message: `Invalid value: ${detail}`, field }]);
  else problems.invalid(field, value, detail);
  return problems.causes;
}

function normal(path: string, schema: StructuralSchema): string {
  try {
    return fieldPathOf(path, schema, true).text;
  } catch (error) {
    // It was taken when the schema was another.
    if (error instanceof FieldPathError) return path.replace(/^\./, "");
    throw error;
  }
}
