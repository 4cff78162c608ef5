/** The files a Pod sees of the network: /etc/hosts and /etc/resolv.conf. Docker's own must not show through. Pure. */
import type { Pod } from "../../../common/kube/types.ts";
import { hostnameOf } from "./container-config.ts";
import { isHostNetwork } from "./pod.ts";

export interface ClusterNames {
  clusterDNS: string;
  clusterDomain: string;
  /** The node's own resolv.conf. */
  nodeResolv: string;
  /** The node's own hosts file. */
  nodeHosts: string;
}

export function hostsFile(pod: Pod, podIP: string | undefined, names: ClusterNames): string {
  const aliases = (pod.spec?.hostAliases ?? [])
    .map((alias) => `${alias.ip}\t${(alias.hostnames ?? []).join("\t")}\n`)
    .join("");
  const added = aliases ? `\n# Entries added by HostAliases.\n${aliases}` : "";
  if (isHostNetwork(pod)) return `# Kubernetes-managed hosts file (host network).\n${names.nodeHosts}${added}`;
  const hostname = hostnameOf(pod);
  const subdomain = pod.spec?.subdomain;
  const qualified = subdomain
    ? `${hostname}.${subdomain}.${pod.metadata.namespace}.svc.${names.clusterDomain}\t${hostname}`
    : hostname;
  return (
    [
      "# Kubernetes-managed hosts file.",
      "127.0.0.1\tlocalhost",
      "::1\tlocalhost ip6-localhost ip6-loopback",
      "fe00::0\tip6-localnet",
      "fe00::0\tip6-mcastprefix",
      "fe00::1\tip6-allnodes",
      "fe00::2\tip6-allrouters",
      ...(podIP ? [`${podIP}\t${qualified}`] : []),
      "",
    ].join("\n") + added
  );
}

interface Resolver {
  nameservers: string[];
  searches: string[];
  options: string[];
}

/** By dnsPolicy, with dnsConfig on top. */
export function resolvFile(pod: Pod, names: ClusterNames): string {
  const policy = pod.spec?.dnsPolicy ?? "ClusterFirst";
  const node = parseResolv(names.nodeResolv);
  let resolver: Resolver;
  if (policy === "None") resolver = { nameservers: [], searches: [], options: [] };
  else if (policy === "Default" || (policy === "ClusterFirst" && isHostNetwork(pod))) resolver = node;
  else {
    const domain = names.clusterDomain;
    resolver = {
      nameservers: [names.clusterDNS],
      searches: [`${pod.metadata.namespace}.svc.${domain}`, `svc.${domain}`, domain, ...node.searches],
      options: ["ndots:5"],
    };
  }
  const config = pod.spec?.dnsConfig;
  if (config) {
    const options = new Map(resolver.options.map((option) => [option.split(":")[0] as string, option]));
    for (const { name = "", value } of config.options ?? [])
      options.set(name, value === undefined ? name : `${name}:${value}`);
    resolver = {
      nameservers: [...new Set([...resolver.nameservers, ...(config.nameservers ?? [])])],
      searches: [...new Set([...resolver.searches, ...(config.searches ?? [])])],
      options: [...options.values()],
    };
  }
  return [
    ...resolver.nameservers.slice(0, 3).map((server) => `nameserver ${server}`),
    ...(resolver.searches.length > 0 ? [`search ${resolver.searches.join(" ")}`] : []),
    ...(resolver.options.length > 0 ? [`options ${resolver.options.join(" ")}`] : []),
    "",
  ].join("\n");
}

function parseResolv(text: string): Resolver {
  const resolver: Resolver = { nameservers: [], searches: [], options: [] };
  for (const line of text.split("\n")) {
    const [key, ...values] = line.trim().split(/\s+/);
    if (key === "nameserver") resolver.nameservers.push(...values.slice(0, 1));
    else if (key === "search" || key === "domain") resolver.searches = values;
    else if (key === "options") resolver.options.push(...values);
  }
  return resolver;
}
