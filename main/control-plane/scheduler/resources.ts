/** What Pods ask for and nodes offer, as plain numbers: CPU in thousandths, the rest in whole units. */
import { milliValue, parseQuantity, wholeValue } from "../../../common/kube/quantity.ts";
import type { Pod } from "../../../common/kube/types.ts";

/** By resource name: "cpu" (milli), "memory" (bytes), "ephemeral-storage", extended resources. */
export type Amounts = Record<string, number>;
type Quantities = Record<string, string | number> | undefined;

/** The same few texts come again and again. */
const parsed = new Map<string, number>();
const MOST_PARSED = 10_000;

function amount(name: string, quantity: string | number): number {
  const key = `${name === "cpu" ? "m" : "w"}${quantity}`;
  let value = parsed.get(key);
  if (value === undefined) {
    const exact = parseQuantity(quantity);
    value = name === "cpu" ? milliValue(exact) : wholeValue(exact);
    if (parsed.size >= MOST_PARSED) parsed.clear();
    parsed.set(key, value);
  }
  return value;
}

export function amounts(quantities: Quantities): Amounts {
  const result: Amounts = {};
  for (const [name, quantity] of Object.entries(quantities ?? {})) result[name] = amount(name, quantity);
  return result;
}

export function addTo(sum: Amounts, more: Amounts, sign: 1 | -1 = 1): void {
  for (const name in more) sum[name] = (sum[name] ?? 0) + sign * (more[name] as number);
}

function raiseTo(most: Amounts, other: Amounts): void {
  for (const name in other) most[name] = Math.max(most[name] ?? 0, other[name] as number);
}

interface Requester {
  resources?: { requests?: Quantities };
  restartPolicy?: string;
}

/** What scoring counts for a container that asks for nothing. */
const UNASKED: Amounts = { cpu: 100, memory: 200 * 1024 * 1024 };

/**
 * The larger of what all containers need together and what any init container needs while the sidecars before
 * it run, plus the overhead; or the Pod's own request where it has one. `fill` adds amounts for containers that
 * ask for nothing.
 */
function total(pod: Pod, fill: boolean): Amounts {
  const spec = pod.spec;
  const of = (container: Requester): Amounts => {
    const asked = amounts(container.resources?.requests);
    return fill ? { ...UNASKED, ...asked } : asked;
  };
  const running: Amounts = {};
  for (const container of spec?.containers ?? []) addTo(running, of(container as Requester));
  const sidecars: Amounts = {};
  const starting: Amounts = {};
  for (const container of (spec?.initContainers ?? []) as Requester[]) {
    const need = of(container);
    if (container.restartPolicy === "Always") {
      addTo(sidecars, need);
      addTo(running, need);
      raiseTo(starting, sidecars);
    } else {
      const during = { ...sidecars };
      addTo(during, need);
      raiseTo(starting, during);
    }
  }
  raiseTo(running, starting);
  Object.assign(running, amounts((spec as { resources?: { requests?: Quantities } } | undefined)?.resources?.requests));
  addTo(running, amounts(spec?.overhead as Quantities));
  return running;
}

export function requestsOf(pod: Pod): Amounts {
  return total(pod, false);
}

/** As requestsOf, with a usual amount for containers that ask for no CPU or memory: only for scores. */
export function scoringRequestsOf(pod: Pod): Amounts {
  return total(pod, true);
}
