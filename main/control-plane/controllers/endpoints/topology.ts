/**
 * Topology aware routing (service.kubernetes.io/topology-mode: Auto): each zone gets endpoints in proportion to the CPU of
 * its nodes, its own where there are enough of them. Names, limits and messages: k8s.io/endpointslice/topologycache. Pure.
 */
import { milliValue, parseQuantity } from "../../../../common/kube/quantity.ts";
import type { Node, Service } from "../../../../common/kube/types.ts";
import type { Endpoint, EndpointGroup } from "./decide.ts";

/** A zone may be asked for so much more than its share: else there are no hints. */
const OVERLOAD = 0.2;
const ZONE = "topology.kubernetes.io/zone";
const NO_WORKERS = ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];

export const INSUFFICIENT_NODES =
  "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes";
export const ONE_ZONE = "Nodes only ready in one zone";
export const FEW_ENDPOINTS = "Insufficient number of endpoints";
export const OVERLOADED =
  "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold";
export const NO_ZONE = "One or more endpoints do not have a zone specified";

export function wantsHints({ metadata: { annotations = {} } }: Service): boolean {
  const mode =
    annotations["service.kubernetes.io/topology-mode"] ?? annotations["service.kubernetes.io/topology-aware-hints"];
  return mode === "Auto" || mode === "auto";
}

/** What of a node has a say in it; compare it to know whether that has changed. */
export function concernsTopology({ metadata, status }: Node): string {
  const ready = status?.conditions?.find(({ type }) => type === "Ready")?.status;
  const role = NO_WORKERS.some((label) => metadata.labels?.[label] !== undefined);
  return JSON.stringify([metadata.labels?.[ZONE], status?.allocatable?.["cpu"], ready, role]);
}

/** The part of all CPU that is in each zone; a text says why that cannot be told. */
export function sharesOf(nodes: readonly Node[]): Map<string, number> | string {
  const cpus = new Map<string, number>();
  let all = 0;
  for (const { metadata, status } of nodes) {
    if (NO_WORKERS.some((label) => metadata.labels?.[label] !== undefined)) continue;
    if (!status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True")) continue;
    const zone = metadata.labels?.[ZONE];
    const cpu = milliValue(parseQuantity(String(status.allocatable?.["cpu"] ?? "0")));
    if (zone === undefined || cpu === 0) return INSUFFICIENT_NODES;
    cpus.set(zone, (cpus.get(zone) ?? 0) + cpu);
    all += cpu;
  }
  if (cpus.size < 2) return cpus.size === 0 ? INSUFFICIENT_NODES : ONE_ZONE;
  return new Map([...cpus].map(([zone, cpu]) => [zone, cpu / all]));
}

/** The ready endpoints of one address family with hints; a text says why they can have none. Others stay as they are. */
export function withTopologyHints(
  groups: readonly EndpointGroup[],
  shares: ReadonlyMap<string, number> | string,
): EndpointGroup[] | string {
  if (typeof shares === "string") return shares;
  const ready = groups.flatMap(({ endpoints }) => endpoints.filter(({ conditions }) => conditions.ready));
  if (ready.length < shares.size) return FEW_ENDPOINTS;
  const desired = new Map([...shares].map(([zone, share]) => [zone, share * ready.length]));
  let least = 0;
  for (const wish of desired.values()) least += Math.max(1, Math.ceil(wish / (1 + OVERLOAD)));
  if (least > ready.length) return OVERLOADED;
  const zones = new Map<Endpoint, string>();
  const own = new Map<string, Endpoint[]>();
  for (const endpoint of ready) {
    if (endpoint.zone === undefined) return NO_ZONE;
    zones.set(endpoint, endpoint.zone);
    own.set(endpoint.zone, [...(own.get(endpoint.zone) ?? []), endpoint]);
  }
  for (const [from, to] of transfers(desired, own)) {
    const given = own.get(from)?.pop();
    if (given) zones.set(given, to);
  }
  const hinted = (endpoint: Endpoint): Endpoint => {
    const zone = zones.get(endpoint);
    const { hints: _old, targetRef, ...rest } = endpoint;
    return {
      ...rest,
      ...(zone === undefined ? {} : { hints: { forZones: [{ name: zone }] } }),
      ...(targetRef === undefined ? {} : { targetRef }),
    };
  };
  return groups.map((group) => ({ ...group, endpoints: group.endpoints.map(hinted) }));
}

/** Which zone gives an endpoint to which, until nobody has half a one too many, or too few. */
function transfers(
  desired: ReadonlyMap<string, number>,
  own: ReadonlyMap<string, readonly Endpoint[]>,
): [string, string][] {
  const giving = new Map<string, number>();
  const receiving = new Map<string, number>();
  for (const zone of [...new Set([...desired.keys(), ...own.keys()])].toSorted()) {
    const surplus = (own.get(zone)?.length ?? 0) - (desired.get(zone) ?? 0);
    if (surplus > 0) giving.set(zone, surplus);
    else if (surplus < 0) receiving.set(zone, -surplus);
  }
  const result: [string, string][] = [];
  for (;;) {
    const [from, give] = most(giving);
    const [to, take] = most(receiving);
    if ((give < 1 && take < 1) || give < 0.5 || take < 0.5) return result;
    result.push([from, to]);
    giving.set(from, give - 1);
    receiving.set(to, take - 1);
  }
}

function most(of: ReadonlyMap<string, number>): [string, number] {
  let best: [string, number] = ["", 0];
  for (const one of of) if (one[1] > best[1]) best = one;
  return best;
}
