/**
 * NetworkPolicies as data for nftables: for each isolated Pod of this node a chain, for each peer of a rule a set of
 * addresses. What a chain does not let return is dropped. Pure.
 *
 *     packet from a Pod → egress  { 10.244.1.5 : jump out-3f… }  → rules return, or drop
 *     packet to a Pod   → ingress { 10.244.1.6 : jump in-9a…  }  → rules return, or drop
 */
import { createHash } from "node:crypto";
import { selectorFromObject } from "../../../common/kube/selector.ts";
import type { LabelSelectorObject } from "../../../common/kube/selector.ts";
import type { Namespace, NetworkPolicy, Pod } from "../../../common/kube/types.ts";
import { isHostNetwork } from "../kubelet/pod.ts";

export interface PolicyInput {
  policies: NetworkPolicy[];
  pods: Pod[];
  namespaces: Namespace[];
  nodeName: string;
  /** The cluster's DNS is served by the nodes; to policies it is a Pod of kube-system labelled k8s-app=kube-dns. */
  clusterDNS: string;
}

export interface PolicyRules {
  /** Name → rules. */
  chains: Map<string, string[]>;
  /** Name → addresses. */
  sets: Map<string, ReadonlySet<string>>;
  /** Pod address → chain. */
  ingress: Map<string, string>;
  egress: Map<string, string>;
}

type Spec = NonNullable<NetworkPolicy["spec"]>;
type IngressRule = NonNullable<Spec["ingress"]>[number];
type EgressRule = NonNullable<Spec["egress"]>[number];
type Peer = NonNullable<IngressRule["from"]>[number];
type Port = NonNullable<IngressRule["ports"]>[number];
type Direction = "ingress" | "egress";

interface Endpoint {
  address: string;
  namespace: string;
  labels: Record<string, string>;
  nodeName: string | undefined;
  /** Named container ports: "name/protocol" → number. */
  ports: Map<string, number>;
}

const parsed = new WeakMap<object, ReturnType<typeof selectorFromObject>>();
const NONE: LabelSelectorObject = {};

/** A selector of an object that stays as it is as long as it is there: asked of every Pod, parsed once. */
function selectorOf(object: object | undefined): ReturnType<typeof selectorFromObject> {
  const key = object ?? NONE;
  let selector = parsed.get(key);
  if (!selector) parsed.set(key, (selector = selectorFromObject(key as LabelSelectorObject)));
  return selector;
}

const hash = (text: string): string => createHash("sha1").update(text).digest("hex").slice(0, 16);

export function policyRules(input: PolicyInput): PolicyRules {
  const rules: PolicyRules = { chains: new Map(), sets: new Map(), ingress: new Map(), egress: new Map() };
  const endpoints = endpointsOf(input);
  const namespaces = new Map(input.namespaces.map(({ metadata }) => [metadata.name ?? "", metadata.labels ?? {}]));
  const peers = peersOf(endpoints, namespaces);
  for (const pod of endpoints) {
    if (pod.nodeName !== input.nodeName) continue;
    for (const direction of ["ingress", "egress"] as const) {
      const isolating = input.policies.filter((policy) => selects(policy, pod) && applies(policy, direction));
      if (isolating.length === 0) continue;
      const lines = isolating.flatMap((policy) =>
        ((direction === "ingress" ? policy.spec?.ingress : policy.spec?.egress) ?? []).flatMap((rule, index) =>
          ruleLines(rules, policy, index, direction, rule, pod, endpoints, peers),
        ),
      );
      const chain = `${direction === "ingress" ? "in" : "out"}-${hash(pod.address)}`;
      rules.chains.set(chain, [...new Set(lines), "drop"]);
      rules[direction].set(pod.address, chain);
    }
  }
  return rules;
}

function endpointsOf({ pods, clusterDNS }: PolicyInput): Endpoint[] {
  const result: Endpoint[] = [
    {
      address: clusterDNS,
      namespace: "kube-system",
      labels: { "k8s-app": "kube-dns" },
      nodeName: undefined,
      ports: new Map([
        ["dns/UDP", 53],
        ["dns-tcp/TCP", 53],
      ]),
    },
  ];
  for (const pod of pods) {
    const { podIP, phase } = pod.status ?? {};
    if (!podIP || isHostNetwork(pod) || phase === "Succeeded" || phase === "Failed") continue;
    const ports = (pod.spec?.containers ?? []).flatMap((container) =>
      (container.ports ?? []).flatMap(({ name, protocol, containerPort }) =>
        name ? [[`${name}/${protocol ?? "TCP"}`, containerPort] as const] : [],
      ),
    );
    result.push({
      address: podIP,
      namespace: pod.metadata.namespace ?? "",
      labels: pod.metadata.labels ?? {},
      nodeName: pod.spec?.nodeName,
      ports: new Map(ports),
    });
  }
  return result;
}

function selects(policy: NetworkPolicy, pod: Endpoint): boolean {
  return policy.metadata.namespace === pod.namespace && selectorOf(policy.spec?.podSelector).matches(pod.labels);
}

/** Without policyTypes a policy is of ingress, and of egress when it has such rules. */
export function applies({ spec }: NetworkPolicy, direction: Direction): boolean {
  const types = spec?.policyTypes ?? ["Ingress", ...((spec?.egress ?? []).length > 0 ? ["Egress"] : [])];
  return types.includes(direction === "ingress" ? "Ingress" : "Egress");
}

function ruleLines(
  rules: PolicyRules,
  policy: NetworkPolicy,
  index: number,
  direction: Direction,
  rule: IngressRule & EgressRule,
  pod: Endpoint,
  endpoints: Endpoint[],
  peersIn: ReturnType<typeof peersOf>,
): string[] {
  const peers = (direction === "ingress" ? rule.from : rule.to) ?? [];
  const address = direction === "ingress" ? "ip saddr" : "ip daddr";
  const sources: { match: string; endpoints: Endpoint[] }[] = [];
  if (peers.length === 0) sources.push({ match: "", endpoints });
  const chosen = peers.some(({ ipBlock }) => !ipBlock) ? peersIn(policy, peers) : [];
  if (chosen.length > 0) {
    const name = `peers-${hash(`${policy.metadata.uid} ${direction} ${index}`)}`;
    rules.sets.set(name, new Set(chosen.map((one) => one.address)));
    sources.push({ match: `${address} @${name}`, endpoints: chosen });
  }
  for (const { ipBlock } of peers) {
    if (!ipBlock || ipBlock.cidr.includes(":")) continue;
    const except = (ipBlock.except ?? []).filter((cidr) => !cidr.includes(":"));
    const not = except.length > 0 ? ` ${address} != { ${except.join(", ")} }` : "";
    const all = ipBlock.cidr.endsWith("/0") ? "" : `${address} ${ipBlock.cidr}`;
    sources.push({ match: `${all}${not}`.trim(), endpoints: [] });
  }
  return sources.flatMap((source) =>
    portMatches(rule.ports, direction, pod, source.endpoints).map((port) =>
      [source.match, port, "return"].filter(Boolean).join(" "),
    ),
  );
}

/** Who the peers of a rule are: looked for once, however many Pods the rule is for. */
function peersOf(
  endpoints: Endpoint[],
  namespaces: Map<string, Record<string, string>>,
): (policy: NetworkPolicy, peers: readonly Peer[]) => Endpoint[] {
  const known = new Map<readonly Peer[], Endpoint[]>();
  return (policy, peers) => {
    let found = known.get(peers);
    if (!found) {
      found = endpoints.filter((one) => peers.some((peer) => !peer.ipBlock && isPeer(peer, policy, one, namespaces)));
      known.set(peers, found);
    }
    return found;
  };
}

function isPeer(
  peer: Peer,
  policy: NetworkPolicy,
  one: Endpoint,
  namespaces: Map<string, Record<string, string>>,
): boolean {
  const inNamespace = peer.namespaceSelector
    ? selectorOf(peer.namespaceSelector).matches(namespaces.get(one.namespace) ?? {})
    : one.namespace === policy.metadata.namespace;
  return inNamespace && (!peer.podSelector || selectorOf(peer.podSelector).matches(one.labels));
}

/** [""] when every port will do; nothing when a named port means none. */
function portMatches(ports: Port[] | undefined, direction: Direction, pod: Endpoint, peers: Endpoint[]): string[] {
  if (!ports || ports.length === 0) return [""];
  return ports.flatMap(({ protocol = "TCP", port, endPort }) => {
    const l4 = protocol.toLowerCase();
    if (port === undefined) return [`meta l4proto ${l4}`];
    if (typeof port === "number" || /^\d+$/.test(port)) return [`${l4} dport ${port}${endPort ? `-${endPort}` : ""}`];
    const key = `${port}/${protocol}`;
    if (direction === "ingress") {
      const number = pod.ports.get(key);
      return number === undefined ? [] : [`${l4} dport ${number}`];
    }
    // Each Pod that is reached may have another number behind the name.
    const pairs = peers.flatMap((peer) => {
      const number = peer.ports.get(key);
      return number === undefined ? [] : [`${peer.address} . ${number}`];
    });
    return pairs.length === 0 ? [] : [`ip daddr . ${l4} dport { ${pairs.join(", ")} }`];
  });
}
