/** Kubernetes' list functions of CEL, and cel-go's sets: isSorted, sum, min, max, indexOf, lastIndexOf, sets.*. */
import type { Environment } from "@marcbachmann/cel-js";
import { CelError } from "../errors.ts";
import { registerNamespace } from "./namespace.ts";
import { sameValue } from "../values.ts";

type Ordered = string | number | bigint | boolean | Date;

function compare(left: unknown, right: unknown): number {
  const [a, b] = [left as Ordered, right as Ordered];
  return a < b ? -1 : a > b ? 1 : 0;
}

function extreme(list: unknown[], sign: number, name: string): unknown {
  if (list.length === 0) throw new CelError(`${name} called on empty list`);
  return list.reduce((best, item) => (compare(item, best) * sign > 0 ? item : best));
}

function sum(list: unknown[]): unknown {
  if (list.length === 0) return 0n;
  return list.reduce((total, item) => (total as number) + (item as number));
}

const contains = (list: unknown[], item: unknown): boolean => list.some((one) => sameValue(one, item));
const containsAll = (list: unknown[], part: unknown[]): boolean => part.every((item) => contains(list, item));

export function registerLists(environment: Environment): void {
  registerNamespace(environment, "sets", "SetsNamespace");
  const functions: [string, (...args: never[]) => unknown][] = [
    [
      "list.isSorted(): bool",
      (list: unknown[]) => list.every((item, at) => at === 0 || compare(list[at - 1], item) <= 0),
    ],
    ["list<A>.sum(): A", sum],
    ["list<A>.min(): A", (list: unknown[]) => extreme(list, -1, "min")],
    ["list<A>.max(): A", (list: unknown[]) => extreme(list, 1, "max")],
    [
      "list.indexOf(dyn): int",
      (list: unknown[], item: unknown) => BigInt(list.findIndex((one) => sameValue(one, item))),
    ],
    [
      "list.lastIndexOf(dyn): int",
      (list: unknown[], item: unknown) => BigInt(list.findLastIndex((one) => sameValue(one, item))),
    ],
    [
      "SetsNamespace.contains(list, list): bool",
      (_: unknown, list: unknown[], part: unknown[]) => containsAll(list, part),
    ],
    [
      "SetsNamespace.equivalent(list, list): bool",
      (_: unknown, a: unknown[], b: unknown[]) => containsAll(a, b) && containsAll(b, a),
    ],
    [
      "SetsNamespace.intersects(list, list): bool",
      (_: unknown, a: unknown[], b: unknown[]) => b.some((item) => contains(a, item)),
    ],
  ];
  for (const [signature, handler] of functions) environment.registerFunction(signature, handler, { async: false });
}
