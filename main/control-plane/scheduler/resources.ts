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
  name?: string;
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
  const held = heldBy(pod);
  const of = (container: Requester): Amounts => {
    const asked = amounts(container.resources?.requests);
    const has = held?.of.get(container.name ?? "");
    // While a resize is on its way the larger counts; one that cannot be done counts for nothing.
    if (has && held?.infeasible) return fill ? { ...UNASKED, ...has } : has;
    if (has) raiseTo(asked, has);
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

interface ContainerStatus {
  name: string;
  resources?: { requests?: Quantities };
  allocatedResources?: Quantities;
}

const statusesOf = ({ status }: Pod): ContainerStatus[] =>
  [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])] as ContainerStatus[];

const isInfeasible = ({ status }: Pod): boolean =>
  (status?.conditions ?? []).some(
    ({ type, status: is, reason }) => type === "PodResizePending" && is === "True" && reason === "Infeasible",
  );

/** What the kubelet says it has given to containers (in-place resize); undefined: it says nothing. */
function heldBy(pod: Pod): { of: Map<string, Amounts>; infeasible: boolean } | undefined {
  let of: Map<string, Amounts> | undefined;
  for (const { name, resources, allocatedResources } of statusesOf(pod)) {
    if (!resources?.requests && !allocatedResources) continue;
    const has = amounts(resources?.requests);
    raiseTo(has, amounts(allocatedResources));
    (of ??= new Map()).set(name, has);
  }
  return of && { of, infeasible: isInfeasible(pod) };
}

/** Differs where what containers hold, and so what the Pod counts for, may differ. "": as the spec says. */
export function allocationOf(pod: Pod): string {
  const wanted = new Map(
    [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])].map(({ name, resources }) => [
      name,
      JSON.stringify(resources?.requests),
    ]),
  );
  let differs = isInfeasible(pod) ? "infeasible" : "";
  for (const { name, resources, allocatedResources } of statusesOf(pod))
    for (const has of [resources?.requests, allocatedResources])
      if (has && JSON.stringify(has) !== wanted.get(name)) differs += `${name} ${JSON.stringify(has)}`;
  return differs;
}

export function requestsOf(pod: Pod): Amounts {
  return total(pod, false);
}

/** As requestsOf, with a usual amount for containers that ask for no CPU or memory: only for scores. */
export function scoringRequestsOf(pod: Pod): Amounts {
  return total(pod, true);
}
