/** From a Service and its Pods: the endpoints it has, and how they are laid out in EndpointSlices. */
import type { Node, Pod, Service } from "../../../../common/kube/types.ts";
import { isReady, isTerminated } from "../kernel/pods.ts";
import { wantsHints } from "./topology.ts";

export interface EndpointPort {
  name: string;
  port?: number;
  protocol: string;
  appProtocol?: string;
}

export interface Endpoint {
  addresses: string[];
  conditions: { ready: boolean; serving: boolean; terminating: boolean };
  hostname?: string;
  nodeName?: string;
  zone?: string;
  /** Whom the endpoint is for, where a Service prefers what is near. */
  hints?: { forZones?: { name: string }[]; forNodes?: { name: string }[] };
  /** Endpoints that are kept by hand may have none. */
  targetRef?: { kind: string; namespace: string; name: string; uid: string };
}

/** Endpoints that listen at the same ports: a named target port may differ from Pod to Pod. */
export interface EndpointGroup {
  addressType: "IPv4" | "IPv6";
  ports: EndpointPort[];
  endpoints: Endpoint[];
}

export const MOST_PER_SLICE = 100;

/** The container port that a Service's target port means in this Pod. */
function targetPort(
  pod: Pod,
  port: { port?: number; targetPort?: number | string; protocol?: string },
): number | undefined {
  const target = port.targetPort ?? port.port;
  if (typeof target === "number") return target;
  if (target === undefined) return undefined;
  const protocol = port.protocol ?? "TCP";
  const sidecars = (pod.spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always");
  for (const container of [...(pod.spec?.containers ?? []), ...sidecars]) {
    for (const { name, containerPort, protocol: of = "TCP" } of container.ports ?? [])
      if (name === target && of === protocol) return containerPort;
  }
  return /^\d+$/.test(target) ? Number(target) : undefined;
}

function portsOf(service: Service, pod: Pod): EndpointPort[] {
  const ports: EndpointPort[] = [];
  for (const port of service.spec?.ports ?? []) {
    const number = targetPort(pod, port as { port?: number; targetPort?: number | string; protocol?: string });
    if (number === undefined) continue;
    ports.push({
      name: port.name ?? "",
      port: number,
      protocol: port.protocol ?? "TCP",
      ...(port.appProtocol === undefined ? {} : { appProtocol: port.appProtocol }),
    });
  }
  return ports;
}

function endpointOf(service: Service, pod: Pod, address: string, node: Node | undefined): Endpoint {
  const serving = isReady(pod);
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const { namespace = "", name = "", uid = "" } = pod.metadata;
  const hostname = pod.spec?.hostname;
  const zone = node?.metadata.labels?.["topology.kubernetes.io/zone"];
  const ready = service.spec?.publishNotReadyAddresses ? true : serving && !terminating;
  const hints =
    ready && !wantsHints(service) ? hintsFor(service.spec?.trafficDistribution, zone, pod.spec?.nodeName) : undefined;
  return {
    addresses: [address],
    conditions: { ready, serving, terminating },
    ...(hostname && pod.spec?.subdomain === service.metadata.name ? { hostname } : {}),
    ...(pod.spec?.nodeName ? { nodeName: pod.spec.nodeName } : {}),
    ...(zone === undefined ? {} : { zone }),
    ...(hints === undefined ? {} : { hints }),
    targetRef: { kind: "Pod", namespace, name, uid },
  };
}

const NEAR = new Set(["PreferClose", "PreferSameZone", "PreferSameNode"]);

/** spec.trafficDistribution as topology hints: each ready endpoint is for its own zone, and node where that is wanted. */
export function hintsFor(
  distribution: string | undefined,
  zone: string | undefined,
  node: string | undefined,
): Endpoint["hints"] {
  if (distribution === undefined || !NEAR.has(distribution)) return undefined;
  const forNode = distribution === "PreferSameNode" && Boolean(node);
  if (zone === undefined && !forNode) return undefined;
  return {
    ...(zone === undefined ? {} : { forZones: [{ name: zone }] }),
    ...(forNode ? { forNodes: [{ name: node ?? "" }] } : {}),
  };
}

/** What tells an endpoint from the others of its group. */
const keyOf = ({ targetRef, addresses }: Endpoint): string => targetRef?.uid ?? addresses[0] ?? "";

/** The Pods' endpoints by address family and ports, in a stable order. */
export function decideEndpoints(
  service: Service,
  pods: readonly Pod[],
  nodeOf: (name: string) => Node | undefined,
): EndpointGroup[] {
  const families = (service.spec?.ipFamilies ?? ["IPv4"]) as ("IPv4" | "IPv6")[];
  const headless = service.spec?.clusterIP === "None";
  const groups = new Map<string, EndpointGroup>();
  for (const pod of pods) {
    if (isTerminated(pod) || (pod.metadata.deletionTimestamp !== undefined && !pod.status?.podIP)) continue;
    const addresses = [
      ...new Set([pod.status?.podIP ?? "", ...(pod.status?.podIPs ?? []).map(({ ip }) => ip ?? "")]),
    ].filter((one) => one !== "");
    const ports = portsOf(service, pod);
    // Without any port that resolves, only a headless Service has something to say of the Pod: its address.
    if (ports.length === 0 && !(headless && (service.spec?.ports ?? []).length === 0)) continue;
    for (const addressType of families) {
      const address = addresses.find((one) => one.includes(":") === (addressType === "IPv6"));
      if (address === undefined) continue;
      const key = JSON.stringify([addressType, ports]);
      let group = groups.get(key);
      if (!group) groups.set(key, (group = { addressType, ports, endpoints: [] }));
      group.endpoints.push(endpointOf(service, pod, address, nodeOf(pod.spec?.nodeName ?? "")));
    }
  }
  for (const group of groups.values()) group.endpoints.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  // A Service without endpoints has one empty slice, so that one can see that it was looked at.
  if (groups.size === 0) return families.map((addressType) => ({ addressType, ports: [], endpoints: [] }));
  return [...groups.values()];
}

export interface SliceContent {
  addressType: string;
  ports: EndpointPort[];
  endpoints: Endpoint[];
}

export interface SlicePlan<T> {
  create: SliceContent[];
  update: { slice: T; content: SliceContent }[];
  remove: T[];
}

/**
 * Lays endpoints out over slices with as few writes as possible: an endpoint stays in its slice, new ones fill
 * slices that change anyway, then those with room, and only then make a new one.
 */
export function layOut<T extends { metadata: { name?: string } }>(
  groups: readonly EndpointGroup[],
  existing: readonly { slice: T; content: SliceContent }[],
): SlicePlan<T> {
  const plan: SlicePlan<T> = { create: [], update: [], remove: [] };
  const left = new Set(existing);
  for (const { addressType, ports, endpoints } of groups) {
    const same = [...left].filter(
      ({ content }) => content.addressType === addressType && JSON.stringify(content.ports) === JSON.stringify(ports),
    );
    for (const one of same) left.delete(one);
    const wanted = new Map(endpoints.map((endpoint) => [keyOf(endpoint), endpoint]));
    const kept = same.map(({ slice, content }) => {
      const mine = content.endpoints.flatMap((old) => {
        const endpoint = wanted.get(keyOf(old));
        if (endpoint) wanted.delete(keyOf(endpoint));
        return endpoint ? [endpoint] : [];
      });
      return { slice, before: content, mine, changed: JSON.stringify(mine) !== JSON.stringify(content.endpoints) };
    });
    const rest = [...wanted.values()];
    for (const one of kept.toSorted((a, b) => Number(b.changed) - Number(a.changed) || b.mine.length - a.mine.length)) {
      const more = rest.splice(0, Math.max(0, MOST_PER_SLICE - one.mine.length));
      if (more.length > 0) {
        one.mine.push(...more);
        one.changed = true;
      }
    }
    // An empty slice stays only where it is the only one.
    const filled = kept.filter(({ mine }) => mine.length > 0);
    const keep = filled.length > 0 || rest.length > 0 ? filled : kept.slice(0, 1);
    for (const one of kept) {
      if (!keep.includes(one)) plan.remove.push(one.slice);
      else if (one.changed)
        plan.update.push({ slice: one.slice, content: { addressType, ports, endpoints: one.mine } });
    }
    while (rest.length > 0) plan.create.push({ addressType, ports, endpoints: rest.splice(0, MOST_PER_SLICE) });
    if (endpoints.length === 0 && kept.length === 0) plan.create.push({ addressType, ports, endpoints: [] });
  }
  plan.remove.push(...[...left].map(({ slice }) => slice));
  return plan;
}

const MOST_IN_SUBSET = 1000;

/** Whether the older Endpoints object leaves some out. */
export function isTruncated(service: Service, groups: readonly EndpointGroup[]): boolean {
  const family = service.spec?.ipFamilies?.[0] ?? "IPv4";
  const all = groups.filter(({ addressType }) => addressType === family);
  return all.reduce((sum, { endpoints }) => sum + endpoints.length, 0) > MOST_IN_SUBSET;
}

/** The older Endpoints object: all ready addresses, and those not ready, per set of ports. */
export function decideSubsets(service: Service, groups: readonly EndpointGroup[]): object[] {
  const family = service.spec?.ipFamilies?.[0] ?? "IPv4";
  const subsets: object[] = [];
  for (const { addressType, ports, endpoints } of groups) {
    if (addressType !== family || endpoints.length === 0) continue;
    const address = ({ addresses, nodeName, hostname, targetRef }: Endpoint): object => ({
      ip: addresses[0],
      ...(hostname === undefined ? {} : { hostname }),
      ...(nodeName === undefined ? {} : { nodeName }),
      targetRef,
    });
    const living = endpoints.filter(
      ({ conditions }) => !conditions.terminating || service.spec?.publishNotReadyAddresses,
    );
    const ready = living
      .filter(({ conditions }) => conditions.ready)
      .slice(0, MOST_IN_SUBSET)
      .map(address);
    const notReady = living
      .filter(({ conditions }) => !conditions.ready)
      .slice(0, MOST_IN_SUBSET - ready.length)
      .map(address);
    if (ready.length + notReady.length === 0) continue;
    subsets.push({
      ...(ready.length > 0 ? { addresses: ready } : {}),
      ...(notReady.length > 0 ? { notReadyAddresses: notReady } : {}),
      ...(ports.length > 0
        ? { ports: ports.map(({ name, ...rest }) => ({ ...(name === "" ? {} : { name }), ...rest })) }
        : {}),
    });
  }
  return subsets;
}
