/** Exact sums of quantities by name, for what quotas count. */
import {
  addQuantity,
  compareQuantity,
  formatQuantity,
  isQuantity,
  parseQuantity,
} from "../../../common/kube/quantity.ts";
import type { Quantity } from "../../../common/kube/quantity.ts";

/** As objects carry them: "cpu": "500m". */
export type Quantities = Readonly<Record<string, string | number>>;
export type Amounts = ReadonlyMap<string, Quantity>;

const ZERO = parseQuantity("0");

export function amountsOf(quantities: Quantities | undefined): Map<string, Quantity> {
  const known = Object.entries(quantities ?? {}).filter(([, value]) => isQuantity(value));
  return new Map(known.map(([name, value]) => [name, parseQuantity(value)]));
}

export function sum(a: Amounts, b: Amounts, sign: 1n | -1n = 1n): Map<string, Quantity> {
  const result = new Map(a);
  for (const [name, quantity] of b) {
    const signed = { ...quantity, nano: sign * quantity.nano };
    const before = result.get(name);
    result.set(name, before ? addQuantity(before, signed) : signed);
  }
  return result;
}

/** The larger of both, name by name. */
export function largest(a: Amounts, b: Amounts): Map<string, Quantity> {
  const result = new Map(a);
  for (const [name, quantity] of b) {
    const before = result.get(name);
    if (!before || compareQuantity(quantity, before) > 0) result.set(name, quantity);
  }
  return result;
}

export function only(amounts: Amounts, names: Iterable<string>): Map<string, Quantity> {
  return new Map([...names].map((name) => [name, amounts.get(name) ?? ZERO]));
}

export function quantitiesOf(amounts: Amounts): Record<string, string> {
  return Object.fromEntries([...amounts].map(([name, quantity]) => [name, formatQuantity(quantity)]));
}

/** "pods=1,requests.cpu=500m": as refusals name them. */
export function inWords(amounts: Amounts): string {
  return [...amounts]
    .map(([name, quantity]) => `${name}=${formatQuantity(quantity)}`)
    .toSorted()
    .join(",");
}
