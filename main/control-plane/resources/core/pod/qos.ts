/** The quality-of-service class of a Pod, from the CPU and memory its containers ask for. */
import { compareQuantity, isQuantity, parseQuantity } from "../../../../../common/kube/quantity.ts";
import type { PodSpec } from "../../../../../common/kube/types.ts";

export type QosClass = "Guaranteed" | "Burstable" | "BestEffort";

const counted = ["cpu", "memory"] as const;
type Amounts = Record<string, string | number> | undefined;

function amount(list: Amounts, name: string): ReturnType<typeof parseQuantity> | undefined {
  const value = list?.[name];
  if (!isQuantity(value)) return undefined;
  const quantity = parseQuantity(value);
  return quantity.nano > 0n ? quantity : undefined;
}

/**
 * Guaranteed: every container limits both and requests just that. BestEffort: nobody asks for anything.
 * Burstable: all between.
 */
export function qosClass(spec: PodSpec): QosClass {
  const resources = (spec as { resources?: { requests?: Amounts; limits?: Amounts } }).resources;
  const whole = resources && counted.some((name) => amount(resources.requests, name) ?? amount(resources.limits, name));
  const parts = whole
    ? [resources]
    : [...(spec.containers ?? []), ...(spec.initContainers ?? [])].map(
        (container) => (container.resources ?? {}) as { requests?: Amounts; limits?: Amounts },
      );
  let asked = false;
  let guaranteed = true;
  for (const { requests, limits } of parts) {
    for (const name of counted) {
      const request = amount(requests, name);
      const limit = amount(limits, name);
      if (request ?? limit) asked = true;
      if (!limit || (request && compareQuantity(request, limit) !== 0)) guaranteed = false;
    }
  }
  if (!asked) return "BestEffort";
  return guaranteed ? "Guaranteed" : "Burstable";
}
