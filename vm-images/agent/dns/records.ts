/**
 * Answers for the cluster's names, by the Kubernetes DNS specification 1.1. Pure: a question and what the cluster holds
 * give records, or say that the name is somebody else's.
 *
 *     <service>.<namespace>.svc.<domain>                    the ClusterIP, or a headless Service's endpoints
 *     <hostname>.<service>.<namespace>.svc.<domain>         one endpoint
 *     _<port>._<protocol>.<service>.<namespace>.svc.<domain> SRV
 *     <a-b-c-d>.<namespace>.pod.<domain>                    a Pod by its address
 */
import type { Answer } from "dns-packet";
import type { EndpointSlice, Service } from "../../../common/kube/types.ts";

export const TTL = 5;
const SPECIFICATION = "1.1.0";

export interface DnsData {
  domain: string;
  service(namespace: string, name: string): Service | undefined;
  slices(namespace: string, name: string): EndpointSlice[];
  namespaceExists(namespace: string): boolean;
  /** Names of an address: of a Service, or of endpoints of headless Services. */
  namesOf(address: string): string[];
  /** Reverse zones that are ours: is this address a Service's or a Pod's? */
  isClusterAddress(address: string): boolean;
}

export interface DnsResult {
  rcode: "NOERROR" | "NXDOMAIN";
  answers: Answer[];
  additionals: Answer[];
  /** Whose addresses must be looked up to complete the answer (ExternalName). */
  follow?: string;
}

const nothing = (rcode: DnsResult["rcode"]): DnsResult => ({ rcode, answers: [], additionals: [] });
const addressRecord = (name: string, data: string): Answer => ({ type: "A", name, ttl: TTL, data });

/** undefined: not a name of the cluster; ask upstream. */
export function resolve(question: { name: string; type: string }, data: DnsData): DnsResult | undefined {
  const asked = question.name.replace(/\.$/, "");
  const name = asked.toLowerCase();
  const { type } = question;
  if (name.endsWith(".in-addr.arpa")) return reverse(asked, name, type, data);
  if (name !== data.domain && !name.endsWith(`.${data.domain}`)) return undefined;
  const labels = name === data.domain ? [] : name.slice(0, -data.domain.length - 1).split(".");
  if (labels.length === 0)
    return type === "SOA" ? { ...nothing("NOERROR"), answers: [soa(data.domain)] } : nothing("NOERROR");
  if (labels.length === 1 && labels[0] === "dns-version") {
    return {
      ...nothing("NOERROR"),
      answers: type === "TXT" || type === "ANY" ? [{ type: "TXT", name: asked, ttl: 28_800, data: SPECIFICATION }] : [],
    };
  }
  const kind = labels.at(-1);
  if (labels.length === 1) return nothing(kind === "svc" || kind === "pod" ? "NOERROR" : "NXDOMAIN");
  const namespace = labels.at(-2) as string;
  if (kind === "pod") return pod(asked, labels.slice(0, -2), namespace, type, data);
  if (kind !== "svc") return nothing("NXDOMAIN");
  if (labels.length === 2) return nothing(data.namespaceExists(namespace) ? "NOERROR" : "NXDOMAIN");
  const service = data.service(namespace, labels.at(-3) as string);
  if (!service) return nothing("NXDOMAIN");
  return serviceAnswer(asked, labels.slice(0, -3), service, type, data);
}

export function soa(domain: string): Answer {
  return {
    type: "SOA",
    name: domain,
    ttl: TTL,
    data: {
      mname: `ns.dns.${domain}`,
      rname: `hostmaster.${domain}`,
      serial: 1,
      refresh: 7200,
      retry: 1800,
      expire: 86_400,
      minimum: TTL,
    },
  };
}

function serviceAnswer(asked: string, prefix: string[], service: Service, type: string, data: DnsData): DnsResult {
  const { name = "", namespace = "" } = service.metadata;
  const full = `${name}.${namespace}.svc.${data.domain}`;
  const wantsAddress = type === "A" || type === "ANY";
  if (service.spec?.type === "ExternalName") {
    if (prefix.length > 0) return nothing("NXDOMAIN");
    const target = (service.spec.externalName ?? "").replace(/\.$/, "");
    const answers: Answer[] = [{ type: "CNAME", name: asked, ttl: TTL, data: target }];
    return { ...nothing("NOERROR"), answers, ...(type === "CNAME" ? {} : { follow: target }) };
  }
  const headless = service.spec?.clusterIP === "None";
  const endpoints = headless
    ? endpointRecords(data.slices(namespace, name), service.spec?.publishNotReadyAddresses ?? false)
    : [];
  if (prefix.length === 0) {
    if (!wantsAddress)
      return type === "SRV" ? srv(asked, undefined, undefined, service, endpoints, full) : nothing("NOERROR");
    const addresses = headless
      ? [...new Set(endpoints.map(({ address }) => address))]
      : [service.spec?.clusterIP ?? ""].filter(Boolean);
    return { ...nothing("NOERROR"), answers: addresses.map((address) => addressRecord(asked, address)) };
  }
  const [first = "", second = ""] = prefix;
  if (first.startsWith("_")) {
    if (prefix.length > 2 || (prefix.length === 2 && !second.startsWith("_"))) return nothing("NXDOMAIN");
    const result = srv(
      asked,
      prefix.length === 2 ? first.slice(1) : undefined,
      (prefix.length === 2 ? second : first).slice(1),
      service,
      endpoints,
      full,
    );
    if (result.answers.length === 0) return nothing("NXDOMAIN");
    return type === "SRV" || type === "ANY" ? result : nothing("NOERROR");
  }
  if (prefix.length > 1) return nothing("NXDOMAIN");
  const own = endpoints.filter(({ hostname }) => hostname === first);
  if (own.length === 0) return nothing("NXDOMAIN");
  return {
    ...nothing("NOERROR"),
    answers: wantsAddress
      ? [...new Set(own.map(({ address }) => address))].map((address) => addressRecord(asked, address))
      : [],
  };
}

interface EndpointRecord {
  address: string;
  hostname: string;
  ports: { name: string; protocol: string; port: number }[];
}

/** Each address of a headless Service with its name: the endpoint's hostname, or the address in dashes. */
export function endpointRecords(slices: EndpointSlice[], evenNotReady: boolean): EndpointRecord[] {
  return slices
    .filter(({ addressType }) => addressType === "IPv4")
    .flatMap((slice) => {
      const ports = (slice.ports ?? []).flatMap(({ name, protocol, port }) =>
        port === undefined || port === null
          ? []
          : [{ name: name ?? "", protocol: (protocol ?? "TCP").toLowerCase(), port }],
      );
      return (slice.endpoints ?? [])
        .filter(({ conditions }) => evenNotReady || conditions?.ready !== false)
        .flatMap(({ addresses, hostname }) =>
          addresses.map((address) => ({ address, hostname: hostname || address.replaceAll(".", "-"), ports })),
        );
    });
}

function srv(
  asked: string,
  port: string | undefined,
  protocol: string | undefined,
  service: Service,
  endpoints: EndpointRecord[],
  full: string,
): DnsResult {
  const matches = (candidate: { name?: string | undefined; protocol?: string | undefined }): boolean =>
    (port === undefined || (candidate.name ?? "") === port) &&
    (protocol === undefined || (candidate.protocol ?? "TCP").toLowerCase() === protocol);
  const result = nothing("NOERROR");
  const add = (target: string, targetPort: number, address: string): void => {
    result.answers.push({
      type: "SRV",
      name: asked,
      ttl: TTL,
      data: { priority: 0, weight: 100, port: targetPort, target },
    });
    if (!result.additionals.some((record) => record.name === target))
      result.additionals.push(addressRecord(target, address));
  };
  if (service.spec?.clusterIP !== "None") {
    for (const candidate of service.spec?.ports ?? [])
      if (matches(candidate as { name?: string; protocol?: string }))
        add(full, candidate.port, service.spec?.clusterIP ?? "");
  } else {
    for (const { address, hostname, ports } of endpoints)
      for (const candidate of ports) if (matches(candidate)) add(`${hostname}.${full}`, candidate.port, address);
  }
  return result;
}

function pod(asked: string, prefix: string[], namespace: string, type: string, data: DnsData): DnsResult {
  if (!data.namespaceExists(namespace)) return nothing("NXDOMAIN");
  if (prefix.length === 0) return nothing("NOERROR");
  const parts = /^(\d{1,3})-(\d{1,3})-(\d{1,3})-(\d{1,3})$/.exec(prefix[0] ?? "")?.slice(1) ?? [];
  if (prefix.length > 1 || parts.length !== 4 || parts.some((part) => Number(part) > 255)) return nothing("NXDOMAIN");
  return {
    ...nothing("NOERROR"),
    answers: type === "A" || type === "ANY" ? [addressRecord(asked, parts.join("."))] : [],
  };
}

function reverse(asked: string, name: string, type: string, data: DnsData): DnsResult | undefined {
  const address = name
    .replace(/\.in-addr\.arpa$/, "")
    .split(".")
    .toReversed()
    .join(".");
  if (!/^\d+\.\d+\.\d+\.\d+$/.test(address) || !data.isClusterAddress(address)) return undefined;
  const names = data.namesOf(address);
  if (names.length === 0) return nothing("NXDOMAIN");
  return {
    ...nothing("NOERROR"),
    answers:
      type === "PTR" || type === "ANY"
        ? names.map((target): Answer => ({ type: "PTR", name: asked, ttl: TTL, data: target }))
        : [],
  };
}
