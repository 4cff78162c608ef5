/**
 * LoadBalancer Services on this computer: each has a loopback address of its own (127.x.y.z), where its own ports answer as
 * far as they can be had. What is led where is decided here, pure; node-ports.ts makes it so.
 */
import { createHash } from "node:crypto";
import type { ClusterSummary } from "../../common/contract/cluster.ts";
import { objectKey } from "../../common/kube/object.ts";
import type { Service } from "../../common/kube/types.ts";

export type LoadBalancer = ClusterSummary["loadBalancers"][number];
type Protocol = "TCP" | "UDP";
type Ingress = NonNullable<NonNullable<NonNullable<Service["status"]>["loadBalancer"]>["ingress"]>;

/** Ports below this want a right that few users have; these are tried in their place, as everybody guesses: 80 → 8080, 443 → 8443. */
const FIRST_FREE_PORT = 1024;
const MOVED_BY = 8000;
/** Second byte of a cluster's addresses: 64…127, so that 127.0.x.x and what others use near it stay free. */
const FIRST_BYTE = 64;
/** How a port that answers elsewhere is marked in the Service's status. */
export const PORT_MOVED = "drydock.dev/PortMoved";

export interface WantedBalancer {
  namespace: string;
  service: string;
  address: string;
  ports: { port: number; nodePort: number; protocol: Protocol; tries: number[] }[];
}

/** The Services that get an address, each always the same one where nobody else has it. */
export function wantedBalancers(cluster: string, services: Iterable<Service>): WantedBalancer[] {
  const balanced = [...services].filter(isBalanced).toSorted((a, b) => (objectKey(a) < objectKey(b) ? -1 : 1));
  const taken = new Set<string>();
  const addresses = new Map<string, string>();
  const prefix = `127.${FIRST_BYTE + (hashOf(cluster) % 64)}.`;
  // Those that have one keep it; the others come after them.
  for (const service of balanced) {
    const has = service.status?.loadBalancer?.ingress?.[0]?.ip;
    if (!has?.startsWith(prefix) || taken.has(has)) continue;
    taken.add(has);
    addresses.set(objectKey(service), has);
  }
  return balanced.map((service) => {
    const key = objectKey(service);
    let address = addresses.get(key);
    for (let attempt = 0; address === undefined; attempt++) {
      const hash = hashOf(`${key} ${attempt}`);
      const candidate = `${prefix}${hash & 255}.${1 + ((hash >>> 8) % 254)}`;
      if (!taken.has(candidate)) address = candidate;
    }
    taken.add(address);
    return {
      namespace: service.metadata.namespace ?? "default",
      service: service.metadata.name ?? "",
      address,
      ports: (service.spec?.ports ?? []).flatMap(({ port, nodePort, protocol }) =>
        nodePort && (protocol ?? "TCP") !== "SCTP"
          ? [{ port, nodePort, protocol: (protocol ?? "TCP") as Protocol, tries: triesFor(port, nodePort) }]
          : [],
      ),
    };
  });
}

/** Its own, then what everybody would guess, then one that is surely its own. */
function triesFor(port: number, nodePort: number): number[] {
  return [...new Set([port, ...(port < FIRST_FREE_PORT ? [port + MOVED_BY] : []), nodePort])];
}

function isBalanced({ metadata, spec }: Service): boolean {
  return (
    spec?.type === "LoadBalancer" &&
    !spec.loadBalancerClass &&
    !metadata.deletionTimestamp &&
    (spec.ports ?? []).some(({ nodePort }) => nodePort)
  );
}

/** What the Service's status should say; undefined leaves it as it is. */
export function wantedStatus(service: Service, balancer: LoadBalancer | undefined): Ingress | undefined {
  if (service.spec?.loadBalancerClass) return undefined;
  const has = service.status?.loadBalancer?.ingress ?? [];
  let wants: Ingress = [];
  if (balancer && isBalanced(service)) {
    const ports = balancer.ports.map(({ port, hostPort, protocol }) => ({
      port,
      protocol: protocol as Protocol,
      ...(hostPort === port ? {} : { error: PORT_MOVED }),
    }));
    // "Proxy": nodes must not take the address for one of their own, as every node has 127.0.0.0/8.
    wants = balancer.address.startsWith("127.")
      ? [{ ip: balancer.address, ipMode: "Proxy", ports }]
      : [{ hostname: balancer.address, ports }];
  }
  return JSON.stringify(has) === JSON.stringify(wants) ? undefined : wants;
}

/** For the Service's event: where each port answers. */
export function whereItAnswers({ address, ports }: LoadBalancer): string {
  return ports.map(({ port, hostPort }) => `${port} at ${address}:${hostPort}`).join(", ");
}

function hashOf(text: string): number {
  return createHash("sha256").update(text).digest().readUInt32BE(0);
}
