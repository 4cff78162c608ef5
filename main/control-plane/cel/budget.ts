/**
 * What an evaluation may cost. A unit is one step of the tree (reading a name or a field, a call, one turn of
 * a comprehension); functions over texts and lists cost by their length. Limits: Kubernetes' own.
 */
import { CelBudgetError } from "./errors.ts";

/** One expression on one value. */
export const PER_CALL_LIMIT = 1_000_000;
/** All expressions of one object. */
export const RUNTIME_BUDGET = 10_000_000;
/** Texts cost a tenth of their length. */
const PER_CHARACTER = 0.1;

/** Keeps the expressions of one request within its means. */
export class Budget {
  #left: number;
  readonly #perCall: number;

  constructor(total: number = RUNTIME_BUDGET, perCall: number = PER_CALL_LIMIT) {
    this.#left = total;
    this.#perCall = perCall;
  }

  get left(): number {
    return this.#left;
  }

  /** Throws CelBudgetError where one of the limits is passed, and what `evaluate` throws. */
  run<T>(evaluate: () => T): T {
    const before = account;
    const mine = (account = {
      spent: 0,
      limit: Math.min(this.#perCall, this.#left),
      perCall: this.#perCall <= this.#left,
    });
    try {
      const result = evaluate();
      // What || and && forgive of other errors they do not of this one.
      if (mine.spent > mine.limit) throw new CelBudgetError(mine.perCall);
      return result;
    } catch (error) {
      throw mine.spent > mine.limit ? new CelBudgetError(mine.perCall) : error;
    } finally {
      this.#left -= mine.spent;
      account = before;
      if (before) before.spent += mine.spent;
    }
  }
}

interface Account {
  spent: number;
  limit: number;
  perCall: boolean;
}

/** Of the evaluation that runs now: it is synchronous. */
let account: Account | undefined;

function charge(cost: number): void {
  if (!account) return;
  account.spent += cost;
  if (account.spent > account.limit) throw new CelBudgetError(account.perCall);
}

/** A node of the library's tree. */
export interface Meterable {
  op: string;
  args: unknown;
  evaluate?: (evaluator: unknown, node: unknown, scope: unknown) => unknown;
}

/** Nodes that cost one for each time they are evaluated. */
const COUNTED = new Set([
  "id",
  ".",
  ".?",
  "[]",
  "[?]",
  "call",
  "rcall",
  "==",
  "!=",
  "<",
  "<=",
  ">",
  ">=",
  "+",
  "-",
  "*",
  "/",
  "%",
  "in",
  "!_",
  "-_",
  "?:",
  "list",
  "map",
]);
/** What they make or compare is as long as it is. */
const BY_LENGTH = new Set(["call", "rcall", "+", "list", "map"]);

const lengthOf = (value: unknown): number => {
  if (typeof value === "string") return value.length * PER_CHARACTER;
  return Array.isArray(value) ? value.length * PER_CHARACTER : 0;
};

const metered = new WeakSet<object>();

/** Puts a meter on every node, once. */
export function meter(node: unknown): void {
  if (Array.isArray(node)) {
    node.forEach(meter);
    return;
  }
  if (typeof node !== "object" || node === null || metered.has(node)) return;
  metered.add(node);
  const one = node as Meterable;
  // What a macro was made into is made of the same nodes as the macro.
  if (typeof one.evaluate !== "function") return;
  meter(one.args);
  if (!COUNTED.has(one.op)) return;
  // The library replaces a node's method by a quicker one when it first runs.
  let own = one.evaluate;
  let settling = false;
  const counted: NonNullable<Meterable["evaluate"]> = (evaluator, at, scope) => {
    if (settling) return own.call(one, evaluator, at, scope);
    settling = true;
    try {
      charge(1);
      const first = own;
      const result = first.call(one, evaluator, at, scope);
      if (BY_LENGTH.has(one.op)) charge(lengthOf(result));
      return result;
    } finally {
      settling = false;
    }
  };
  Object.defineProperty(one, "evaluate", {
    get: () => counted,
    set(next: NonNullable<Meterable["evaluate"]>) {
      own = next;
    },
  });
}
