/**
 * How many Pods a measured resource calls for, as the HorizontalPodAutoscaler's documented algorithm has it: the ratio of
 * what is used to what is wanted, times the Pods that count; Pods that are not ready or not measured are assumed to
 * hold against the change. Pure.
 */
import { milliValue, parseQuantity, wholeValue } from "../../../../common/kube/quantity.ts";
import type { Container, Pod } from "../../../../common/kube/types.ts";
import { conditionOf } from "../kernel/pods.ts";
import type { MetricTarget } from "./types.ts";

/** Of one Pod: container → resource → quantity. */
export interface Measured {
  /** Unix milliseconds of the end of the window. */
  at: number;
  windowMillis: number;
  containers: ReadonlyMap<string, Readonly<Record<string, string>>>;
}

export interface ResourceMetric {
  resource: string;
  /** One container of each Pod; undefined: all. */
  container?: string;
  target: MetricTarget;
}

export interface Proposal {
  replicas: number;
  /** Whole percent of the requests, where that is the target. */
  utilization?: number;
  /** In the resource's unit: thousandths of CPU, bytes. */
  average: number;
}

/** Why nothing can be said, in Kubernetes' words. */
export class MetricUnavailable extends Error {}

const CPU_INITIALIZATION_MILLIS = 300_000;
const INITIAL_READINESS_MILLIS = 30_000;

export interface ReplicasInput {
  metric: ResourceMetric;
  current: number;
  pods: readonly Pod[];
  /** By the Pod's name. */
  measured: ReadonlyMap<string, Measured>;
  nowMillis: number;
  /** Differences up to this fraction are not acted upon, by direction. */
  tolerance: { up: number; down: number };
}

export function proposeReplicas(input: ReplicasInput): Proposal {
  const { metric, current, pods, measured, tolerance } = input;
  const usage = new Map<string, number>();
  const missing: Pod[] = [];
  const unready = new Set<string>();
  for (const pod of pods) {
    if (pod.metadata.deletionTimestamp || pod.status?.phase === "Failed") continue;
    const name = pod.metadata.name ?? "";
    const used = usedBy(measured.get(name), metric);
    // A Pod that waits for its node is not measured, but not missing either.
    if (pod.status?.phase === "Pending") unready.add(name);
    else if (used === undefined) {
      missing.push(pod);
      continue;
    } else if (metric.resource === "cpu" && isUnready(pod, measured.get(name), input.nowMillis)) unready.add(name);
    if (used !== undefined) usage.set(name, used);
  }
  if (measured.size === 0)
    throw new MetricUnavailable(
      `unable to get metrics for resource ${metric.resource}: no metrics returned from resource metrics API`,
    );
  const ready = new Map([...usage].filter(([name]) => !unready.has(name)));
  if (ready.size === 0)
    throw new MetricUnavailable("did not receive metrics for targeted pods (pods might be unready)");
  const counted = pods.filter(({ metadata }) => usage.has(metadata.name ?? "") || unready.has(metadata.name ?? ""));
  const requests = new Map([...counted, ...missing].map((pod) => [pod.metadata.name ?? "", requestOf(pod, metric)]));
  const ofTarget = (used: ReadonlyMap<string, number>): number => ratio(used, requests, metric);
  const proposal = {
    average: Math.ceil(sum(ready.values()) / ready.size),
    ...(metric.target.type === "Utilization" ? { utilization: percentOf(ready, requests) } : {}),
  };
  const now = ofTarget(ready);
  const near = (value: number): boolean => value >= 1 - tolerance.down && value <= 1 + tolerance.up;
  const rebalance = unready.size > 0 && now > 1;
  if (!rebalance && missing.length === 0)
    return { ...proposal, replicas: near(now) ? current : Math.ceil(now * ready.size) };

  const assumed = new Map(ready);
  for (const pod of missing) {
    const name = pod.metadata.name ?? "";
    if (now < 1) {
      // As if it used all it asked for, or its target where that is more.
      const full = requests.get(name) ?? 0;
      const target = metric.target.averageUtilization ?? 0;
      assumed.set(
        name,
        metric.target.type === "Utilization" ? (full * Math.max(100, target)) / 100 : targetValue(metric),
      );
    } else if (now > 1) assumed.set(name, 0);
  }
  if (rebalance) for (const name of unready) assumed.set(name, 0);
  const then = ofTarget(assumed);
  const turned = (now < 1 && then > 1) || (now > 1 && then < 1);
  if (near(then) || turned) return { ...proposal, replicas: current };
  const replicas = Math.ceil(then * assumed.size);
  const against = (then < 1 && replicas > current) || (then > 1 && replicas < current);
  return { ...proposal, replicas: against ? current : replicas };
}

function usedBy(measured: Measured | undefined, { resource, container }: ResourceMetric): number | undefined {
  if (!measured) return undefined;
  let total = 0;
  let found = false;
  for (const [name, usage] of measured.containers) {
    if (container !== undefined && name !== container) continue;
    const quantity = usage[resource];
    if (quantity === undefined) return undefined;
    total += amount(resource, quantity);
    found = true;
  }
  return found ? total : undefined;
}

/** A Pod that starts burns CPU for starting: not a sign of load. */
function isUnready(pod: Pod, measured: Measured | undefined, nowMillis: number): boolean {
  const ready = conditionOf(pod, "Ready");
  const started = pod.status?.startTime === undefined ? undefined : Date.parse(String(pod.status.startTime));
  if (!ready || started === undefined) return true;
  const changed = Date.parse(ready.lastTransitionTime ?? "");
  if (started + CPU_INITIALIZATION_MILLIS > nowMillis)
    return ready.status === "False" || (measured?.at ?? 0) < changed + (measured?.windowMillis ?? 0);
  return ready.status === "False" && started + INITIAL_READINESS_MILLIS > changed;
}

function requestOf(pod: Pod, { resource, container, target }: ResourceMetric): number {
  if (target.type !== "Utilization") return 0;
  const all = [
    ...(pod.spec?.containers ?? []),
    ...((pod.spec?.initContainers ?? []) as Container[]).filter(
      (one) => (one as { restartPolicy?: string }).restartPolicy === "Always",
    ),
  ] as Container[];
  let total = 0;
  for (const one of all) {
    if (container !== undefined && one.name !== container) continue;
    const request = (one.resources?.requests as Record<string, string | number> | undefined)?.[resource];
    if (request === undefined)
      throw new MetricUnavailable(
        `missing request for ${resource} in container ${one.name} of Pod ${pod.metadata.name}`,
      );
    total += amount(resource, request);
  }
  return total;
}

function ratio(
  used: ReadonlyMap<string, number>,
  requests: ReadonlyMap<string, number>,
  metric: ResourceMetric,
): number {
  if (metric.target.type === "Utilization") return percentOf(used, requests) / (metric.target.averageUtilization ?? 1);
  return sum(used.values()) / used.size / targetValue(metric);
}

function percentOf(used: ReadonlyMap<string, number>, requests: ReadonlyMap<string, number>): number {
  let asked = 0;
  for (const name of used.keys()) asked += requests.get(name) ?? 0;
  if (asked === 0) throw new MetricUnavailable("no metrics returned matched known pods");
  return Math.floor((sum(used.values()) * 100) / asked);
}

function targetValue({ resource, target }: ResourceMetric): number {
  return amount(resource, target.averageValue ?? "1");
}

function amount(resource: string, quantity: string | number): number {
  const exact = parseQuantity(quantity);
  return resource === "cpu" ? milliValue(exact) : wholeValue(exact);
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
