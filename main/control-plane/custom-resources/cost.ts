/**
 * What a rule may cost at most, estimated from the largest values its schema allows, so that a definition whose
 * rules could hold up the server is refused. Coarser than cel-go's estimate, in the same units.
 */
import type { StructuralSchema } from "../../../common/kube/facts/custom.ts";
import type { Meterable } from "../cel/budget.ts";

/** A request's body is never larger. */
const LARGEST_REQUEST = 3 * 1024 * 1024;
/** Texts cost a tenth of their length. */
const PER_CHARACTER = 0.1;

type Known = StructuralSchema | undefined;
type Scope = ReadonlyMap<string, Known>;

/** The shortest such a value can be written, with the comma after it. */
function smallest(schema: Known): number {
  switch (schema?.type) {
    case "object": {
      const required = schema.required ?? [];
      return required.reduce((sum, name) => sum + name.length + 4 + smallest(schema.properties?.[name]), 3);
    }
    case "boolean":
      return 5;
    case "string":
      return 3 + (schema.minLength ?? 0);
    case "array":
      return 3 + Number(schema.minItems ?? 0) * smallest(schema.items);
    default:
      return 2;
  }
}

function itemsIn(schema: Known): number {
  if (schema?.type === "array") return Number(schema.maxItems ?? Math.floor(LARGEST_REQUEST / smallest(schema.items)));
  return Number(schema?.maxProperties ?? Math.floor(LARGEST_REQUEST / 8));
}

function lengthOf(schema: Known): number {
  if (schema?.enum) return Math.max(0, ...schema.enum.map((one) => String(one as string).length));
  if (schema?.format === "date" || schema?.format === "date-time" || schema?.format === "duration") return 32;
  return Number(schema?.maxLength ?? LARGEST_REQUEST);
}

/** What is known of the value an expression has: only of paths through the schema. */
function schemaOf(node: Meterable, scope: Scope): Known {
  const args = node.args as unknown[];
  if (node.op === "id") return scope.get(node.args as unknown as string);
  if (node.op === "." || node.op === ".?") {
    const parent = schemaOf(args[0] as Meterable, scope);
    return parent?.properties?.[args[1] as string] ?? valuesOf(parent);
  }
  if (node.op === "[]" || node.op === "[?]") {
    const parent = schemaOf(args[0] as Meterable, scope);
    return parent?.items ?? valuesOf(parent);
  }
  return undefined;
}

const valuesOf = (schema: Known): Known =>
  typeof schema?.additionalProperties === "object" ? schema.additionalProperties : undefined;

/** Functions that look through all of a text, or of two. */
const OF_TEXT = new Set([
  "contains",
  "startsWith",
  "endsWith",
  "k8s_matches",
  "find",
  "findAll",
  "replace",
  "split",
  "indexOf",
  "lastIndexOf",
  "k8s_lowerAscii",
  "k8s_upperAscii",
  "trim",
]);
/** Unknown lists that an expression makes itself are taken to be short. */
const MADE = 10;

function cost(node: unknown, scope: Scope): number {
  if (Array.isArray(node)) return node.reduce((sum: number, one) => sum + cost(one, scope), 0);
  if (typeof node !== "object" || node === null) return 0;
  const one = node as Meterable;
  const macro = comprehension(one, scope);
  if (macro !== undefined) return macro;
  if (one.op === undefined) return 0;
  const own = one.op === "value" ? 0 : 1;
  if (one.op === "rcall" || one.op === "call") {
    const [name, receiver] = one.args as [string, unknown];
    const subject = one.op === "rcall" ? (receiver as Meterable) : undefined;
    const known = subject && schemaOf(subject, scope);
    const text =
      OF_TEXT.has(name) && known?.type === "string"
        ? lengthOf(known) * PER_CHARACTER * (name.includes("match") || name.startsWith("find") ? 2.5 : 1)
        : 0;
    return own + text + cost(one.args, scope);
  }
  if (one.op === "==" || one.op === "!=" || one.op === "+") {
    const [left, right] = (one.args as Meterable[]).map((side) => schemaOf(side, scope));
    const both = [left, right].filter((side) => side?.type === "string").map(lengthOf);
    const literal = (one.args as Meterable[]).some(({ op }) => op === "value");
    return own + (both.length > 0 && !literal ? Math.min(...both) * PER_CHARACTER : 0) + cost(one.args, scope);
  }
  return own + cost(one.args, scope);
}

/** `list.all(x, …)` and its like: once for every item. */
function comprehension(node: Meterable, scope: Scope): number | undefined {
  if (node.op !== "rcall") return undefined;
  const [name, receiver, args] = node.args as [string, Meterable, Meterable[]];
  const isMacro = [
    "all",
    "exists",
    "exists_one",
    "existsOne",
    "map",
    "filter",
    "transformList",
    "transformMap",
    "transformMapEntry",
  ].includes(name);
  if (!isMacro || args[0]?.op !== "id" || args.length < 2) return undefined;
  const range = schemaOf(receiver, scope);
  const times = range ? itemsIn(range) : MADE;
  const first = args[0].args as unknown as string;
  const two = args.length > 2 && args[1]?.op === "id" && !["map", "filter"].includes(name);
  const inner = new Map(scope);
  if (two) {
    inner.set(first, { type: range?.type === "array" ? "integer" : "string" });
    inner.set(args[1]?.args as unknown as string, range?.items ?? valuesOf(range));
  } else inner.set(first, range?.type === "array" ? range.items : { type: "string", maxLength: 253 });
  const body = cost(args.slice(two ? 2 : 1), inner);
  return cost(receiver, scope) + times * (body + 2);
}

export const costOf = {
  mostPerRule: 10_000_000,
  unboundedMap: Math.floor(LARGEST_REQUEST / 8),
  unboundedList: (items: StructuralSchema): number => Math.floor(LARGEST_REQUEST / smallest(items)),
  expression: (ast: Meterable, schema: StructuralSchema): number =>
    cost(
      ast,
      new Map([
        ["self", schema],
        ["oldSelf", schema],
      ]),
    ),
};

/** "estimated rule cost exceeds budget by factor of 1.6x (try …)" */
export function tooExpensive(name: string, actual: number, most: number): string {
  const factor = actual / most;
  const shown = factor > 100 ? "more than 100x" : factor < 1.5 ? `${factor.toFixed(6)}x` : `${factor.toFixed(1)}x`;
  return `${name} exceeds budget by factor of ${shown} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)`;
}
