/** How a node's silence is judged, and which taints its conditions put on it. */
import { timestamp } from "../../../../common/kube/clock.ts";
import type { Lease, Node } from "../../../../common/kube/types.ts";
import type { Condition } from "../kernel/pods.ts";

export const NOT_READY = "node.kubernetes.io/not-ready";
export const UNREACHABLE = "node.kubernetes.io/unreachable";

export interface Taint {
  key: string;
  value?: string;
  effect: string;
  timeAdded?: string;
}

/** What has been heard of a node so far. Times are of the awake clock. */
export interface Health {
  /** Changes whenever the node gives a sign of life: its lease's renewal and the heartbeat of its conditions. */
  sign: string;
  heard: number;
}

/** Lease and heartbeat, and the Ready condition unless it is our own verdict of Unknown. */
export function signOf(node: Node, lease: Lease | undefined): string {
  const ready = ((node.status?.conditions ?? []) as Condition[]).find(({ type }) => type === "Ready");
  const own = ready?.status === "Unknown" ? "" : `${ready?.status}|${ready?.lastTransitionTime}`;
  return `${lease?.spec?.renewTime ?? ""}|${ready?.lastHeartbeatTime ?? ""}|${own}`;
}

/** The health after looking: a new sign of life counts from now. That a condition became Unknown is none. */
export function observe(before: Health | undefined, sign: string, awakeMillis: number): Health {
  if (before?.sign === sign) return before;
  if (before && sign.endsWith("|") && before.sign.startsWith(sign)) return { sign, heard: before.heard };
  return { sign, heard: awakeMillis };
}

const WATCHED = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/** The conditions of a node that has been silent for too long. */
export function silentConditions(node: Node, nowMillis: number): Condition[] {
  const before = (node.status?.conditions ?? []) as Condition[];
  const time = timestamp(nowMillis);
  const others = before.filter(({ type }) => !WATCHED.includes(type));
  const watched = WATCHED.map((type): Condition => {
    const old = before.find((condition) => condition.type === type);
    if (!old) {
      return {
        type,
        status: "Unknown",
        reason: "NodeStatusNeverUpdated",
        message: "Kubelet never posted node status.",
        lastHeartbeatTime: node.metadata.creationTimestamp ?? time,
        lastTransitionTime: time,
      };
    }
    if (old.status === "Unknown") return old;
    return {
      ...old,
      status: "Unknown",
      reason: "NodeStatusUnknown",
      message: "Kubelet stopped posting node status.",
      lastTransitionTime: time,
    };
  });
  return [...others, ...watched];
}

/** NoSchedule taints by condition: what status of which condition means which taint. */
const BY_CONDITION: [type: string, status: string, key: string][] = [
  ["Ready", "False", NOT_READY],
  ["Ready", "Unknown", UNREACHABLE],
  ["MemoryPressure", "True", "node.kubernetes.io/memory-pressure"],
  ["DiskPressure", "True", "node.kubernetes.io/disk-pressure"],
  ["PIDPressure", "True", "node.kubernetes.io/pid-pressure"],
  ["NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"],
];
const UNSCHEDULABLE = "node.kubernetes.io/unschedulable";
const OWN_NO_SCHEDULE = new Set([...BY_CONDITION.map(([, , key]) => key), UNSCHEDULABLE]);

/** Whether NoExecute taints, which drive Pods away, are put on; left where they are; or taken off. */
export type Eviction = "begin" | "hold" | "call off";

/** The taints a node should carry. A node that is well loses those that drive Pods away in any case. */
export function decideTaints(node: Node, eviction: Eviction, nowMillis: number): Taint[] {
  const before = (node.spec?.taints ?? []) as Taint[];
  const conditions = (node.status?.conditions ?? []) as Condition[];
  const ready = conditions.find(({ type }) => type === "Ready")?.status;
  const wanted: Taint[] = BY_CONDITION.filter(([type, status]) =>
    conditions.some((one) => one.type === type && one.status === status),
  ).map(([, , key]) => ({
    key,
    effect: "NoSchedule",
  }));
  if (node.spec?.unschedulable) wanted.push({ key: UNSCHEDULABLE, effect: "NoSchedule" });
  const driving = ready === "False" ? NOT_READY : ready === "Unknown" ? UNREACHABLE : undefined;
  const has = (taint: Taint): Taint | undefined =>
    before.find(({ key, effect }) => key === taint.key && effect === taint.effect);
  if (driving !== undefined) {
    const taint = { key: driving, effect: "NoExecute" };
    // A node that goes from one to the other keeps its Pods' time running: the new taint comes without asking.
    const already = before.some(
      ({ key, effect }) => effect === "NoExecute" && (key === NOT_READY || key === UNREACHABLE),
    );
    if (eviction === "begin" || (eviction === "hold" && already)) wanted.push(taint);
  }
  const foreign = before.filter(
    ({ key, effect }) =>
      !(effect === "NoSchedule" && OWN_NO_SCHEDULE.has(key)) &&
      !(effect === "NoExecute" && (key === NOT_READY || key === UNREACHABLE)),
  );
  return [...foreign, ...wanted.map((taint) => has(taint) ?? { ...taint, timeAdded: timestamp(nowMillis) })];
}

/** Nodes of one zone. */
export interface ZoneHealth {
  ready: number;
  notReady: number;
}

/** Nodes are given up one by one, at most one per zone in this time, and in a large zone that does badly more slowly. */
const EVICTION_INTERVAL_MILLIS = 10_000;
const SLOW_INTERVAL_MILLIS = 100_000;
const LARGE_ZONE = 50;
const UNHEALTHY_ZONE = 0.55;

/** Region and zone, as labels have them. */
export function zoneOf({ metadata }: Node): string {
  const { "topology.kubernetes.io/region": region = "", "topology.kubernetes.io/zone": zone = "" } =
    metadata.labels ?? {};
  return `${region}/${zone}`;
}

/**
 * Milliseconds between two nodes of the zone that are given up; "hold": none for now; "call off": when every node of
 * every zone is silent, it is we who are cut off. A zone of which most is silent, while not all of it is, has a larger
 * trouble than its nodes; one that is silent as a whole, beside others that are not, is given up at the usual pace.
 */
export function evictionPace(zone: ZoneHealth, others: readonly ZoneHealth[]): number | "hold" | "call off" {
  const { ready, notReady } = zone;
  if (ready === 0) return others.some((other) => other.ready > 0) ? EVICTION_INTERVAL_MILLIS : "call off";
  const partial = notReady > 2 && notReady / (ready + notReady) >= UNHEALTHY_ZONE;
  if (!partial) return EVICTION_INTERVAL_MILLIS;
  return ready + notReady > LARGE_ZONE ? SLOW_INTERVAL_MILLIS : "hold";
}
