/**
 * The service proxy's wishes as data: chains with their rules, sets, and the elements of the maps that lead to them. Pure.
 *
 *     packet → services  { 10.96.7.1 . tcp . 80  : goto svc-3f… }  → dnat to one of the endpoints
 *            → node-ports { tcp . 30080          : goto np-3f…  }  → mark for masquerade, goto svc-3f…
 */
import { createHash } from "node:crypto";
import type { EndpointSlice, Service } from "../../../common/kube/types.ts";
import { endpointsOf, slicesByService } from "./endpoints.ts";
import type { Endpoint, ServicePort } from "./endpoints.ts";

export interface HostPort {
  protocol: string;
  hostPort: number;
  address: string;
  port: number;
}

export interface ProxyInput {
  services: Service[];
  slices: EndpointSlice[];
  hostPorts: HostPort[];
  nodeName: string;
  clusterCIDR: string;
  /** Answered by the agent itself, never by endpoints. */
  clusterDNS: string;
}

export interface Ruleset {
  /** Name → rules. */
  chains: Map<string, string[]>;
  /** Name → declaration: the clients that stick to one endpoint. */
  sets: Map<string, string>;
  /** "address . protocol . port" → chain. */
  services: Map<string, string>;
  /** "protocol . port" → chain. */
  nodePorts: Map<string, string>;
  /** "address . port" (node ports without an address) → addresses of the endpoints. */
  udp: Map<string, string[]>;
}

/** Packets with this bit leave with the node's own address. */
export const MASQUERADE_MARK = "0x4000";
const AFFINITY_SECONDS = 10_800;

const hash = (text: string): string => createHash("sha1").update(text).digest("hex").slice(0, 16);
const MARK = `meta mark set mark or ${MASQUERADE_MARK}`;

export function proxyRules(input: ProxyInput): Ruleset {
  const rules: Ruleset = {
    chains: new Map(),
    sets: new Map(),
    services: new Map(),
    nodePorts: new Map(),
    udp: new Map(),
  };
  const slices = slicesByService(input.slices);
  for (const service of input.services) {
    const { clusterIP, type } = service.spec ?? {};
    if (type === "ExternalName" || !clusterIP || clusterIP === "None" || clusterIP === input.clusterDNS) continue;
    const own = slices.get(`${service.metadata.namespace}/${service.metadata.name}`) ?? [];
    for (const port of service.spec?.ports ?? []) addPort(rules, input, service, port, endpointsOf(port, own));
  }
  for (const { protocol, hostPort, address, port } of input.hostPorts) {
    const l4 = protocol.toLowerCase();
    const name = `hp-${hash(`${l4} ${hostPort} ${address} ${port}`)}`;
    rules.chains.set(name, [MARK, `meta l4proto ${l4} dnat to ${address}:${port}`]);
    rules.nodePorts.set(`${l4} . ${hostPort}`, name);
  }
  return rules;
}

function addPort(rules: Ruleset, input: ProxyInput, service: Service, port: ServicePort, endpoints: Endpoint[]): void {
  // Without endpoints nothing leads anywhere, and the filter rejects what goes to a Service's address.
  if (endpoints.length === 0) return;
  const spec = service.spec as NonNullable<Service["spec"]>;
  const protocol = (port.protocol ?? "TCP").toLowerCase();
  const id = hash(`${service.metadata.namespace}/${service.metadata.name}/${port.name ?? ""}/${protocol}`);
  const local = endpoints.filter(({ nodeName }) => nodeName === input.nodeName);
  const affinity =
    spec.sessionAffinity === "ClientIP"
      ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? AFFINITY_SECONDS)
      : undefined;

  const note = (address: string, at: number): void => {
    if (protocol === "udp")
      rules.udp.set(
        `${address} . ${at}`,
        endpoints.map((endpoint) => endpoint.address),
      );
  };
  note(spec.clusterIP ?? "", port.port);

  const inside = spec.internalTrafficPolicy === "Local" ? local : endpoints;
  const cluster = `svc-${id}`;
  // What does not come from a Pod (the node itself) would have an address that the other nodes cannot answer.
  rules.chains.set(cluster, [
    `ip saddr != ${input.clusterCIDR} ${MARK}`,
    ...balance(rules, id, protocol, endpoints, affinity),
  ]);
  if (inside === endpoints) {
    rules.services.set(`${spec.clusterIP} . ${protocol} . ${port.port}`, cluster);
  } else if (inside.length > 0) {
    const chain = `svl-${id}`;
    rules.chains.set(chain, [
      `ip saddr != ${input.clusterCIDR} ${MARK}`,
      ...balance(rules, id, protocol, inside, affinity),
    ]);
    rules.services.set(`${spec.clusterIP} . ${protocol} . ${port.port}`, chain);
  }

  const external = `np-${id}`;
  const outside = [
    ...(spec.externalIPs ?? []),
    ...(service.status?.loadBalancer?.ingress ?? []).flatMap(({ ip, ipMode }) =>
      // "Proxy": the balancer hands on to the node port, and nodes leave its address alone.
      ip && ipMode !== "Proxy" ? [ip] : [],
    ),
  ];
  if (!port.nodePort && outside.length === 0) return;
  // Local keeps the client's address, and serves only from this node.
  const keeps = spec.externalTrafficPolicy === "Local";
  rules.chains.set(
    external,
    keeps ? (local.length > 0 ? balance(rules, id, protocol, local, affinity) : ["drop"]) : [MARK, `goto ${cluster}`],
  );
  if (port.nodePort) {
    rules.nodePorts.set(`${protocol} . ${port.nodePort}`, external);
    note("", port.nodePort);
  }
  for (const address of outside) {
    rules.services.set(`${address} . ${protocol} . ${port.port}`, external);
    note(address, port.port);
  }
}

/** Rules that send a new connection to one of the endpoints, each as likely as the others. */
function balance(
  rules: Ruleset,
  id: string,
  protocol: string,
  endpoints: Endpoint[],
  affinitySeconds: number | undefined,
): string[] {
  const [only] = endpoints;
  if (affinitySeconds === undefined) {
    if (endpoints.length === 1 && only) return [`meta l4proto ${protocol} dnat to ${only.address}:${only.port}`];
    const map = endpoints.map(({ address, port }, index) => `${index} : ${address} . ${port}`).join(", ");
    return [`meta l4proto ${protocol} dnat ip to numgen random mod ${endpoints.length} map { ${map} }`];
  }
  const names = endpoints.map(({ address, port }) => `ep-${hash(`${id} ${address} ${port}`)}`);
  for (const [index, { address, port }] of endpoints.entries()) {
    const name = names[index] as string;
    rules.sets.set(`aff-${name}`, `type ipv4_addr; flags dynamic,timeout; timeout ${affinitySeconds}s; size 65535;`);
    rules.chains.set(name, [`update @aff-${name} { ip saddr }`, `meta l4proto ${protocol} dnat to ${address}:${port}`]);
  }
  return [
    ...names.map((name) => `ip saddr @aff-${name} goto ${name}`),
    `numgen random mod ${names.length} vmap { ${names.map((name, index) => `${index} : goto ${name}`).join(", ")} }`,
  ];
}
