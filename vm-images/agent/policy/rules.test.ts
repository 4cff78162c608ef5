import { describe, expect, it } from "vitest";
import type { Namespace, NetworkPolicy, Pod } from "../../../common/kube/types.ts";
import { applies, policyRules } from "./rules.ts";
import type { PolicyRules } from "./rules.ts";
import { NO_RULES, policyTransaction } from "./transaction.ts";

const pod = (
  name: string,
  address: string,
  labels: object,
  more: { node?: string; namespace?: string; port?: number } = {},
): Pod =>
  ({
    metadata: { name, namespace: more.namespace ?? "shop", labels },
    spec: {
      nodeName: more.node ?? "w1",
      containers: [{ name: "c", ports: [{ name: "web", containerPort: more.port ?? 8080 }] }],
    },
    status: { podIP: address, phase: "Running" },
  }) as unknown as Pod;
const policy = (spec: object, name = "p"): NetworkPolicy =>
  ({ metadata: { name, namespace: "shop", uid: name }, spec }) as unknown as NetworkPolicy;

const WEB = pod("web", "10.244.1.2", { app: "web" });
const DB = pod("db", "10.244.1.3", { app: "db" });
const FAR = pod("far", "10.244.2.2", { app: "web" }, { node: "w2", port: 9090 });
const OTHER = pod("other", "10.244.2.3", { app: "web" }, { node: "w2", namespace: "else" });
const namespaces = ["shop", "else", "kube-system"].map(
  (name) => ({ metadata: { name, labels: { "kubernetes.io/metadata.name": name } } }) as unknown as Namespace,
);

function rules(...policies: NetworkPolicy[]): PolicyRules {
  return policyRules({ policies, pods: [WEB, DB, FAR, OTHER], namespaces, nodeName: "w1", clusterDNS: "10.96.0.10" });
}
/** The chain of a Pod with sets written out. */
function chain(of: PolicyRules, direction: "ingress" | "egress", address: string): string[] | undefined {
  const name = of[direction].get(address);
  return of.chains
    .get(name ?? "")
    ?.map((line) =>
      line.replace(/@(\S+)/, (_, set: string) => `{${[...(of.sets.get(set) ?? [])].toSorted().join(" ")}}`),
    );
}

describe("isolation", () => {
  it("is of the Pods of this node that a policy selects, and only in its directions", () => {
    const of = rules(policy({ podSelector: { matchLabels: { app: "db" } } }));
    expect([...of.ingress.keys()]).toEqual(["10.244.1.3"]);
    expect(of.egress.size).toBe(0);
    expect(chain(of, "ingress", "10.244.1.3")).toEqual(["drop"]);
    expect(applies(policy({ egress: [{}] }), "egress")).toBe(true);
    expect(applies(policy({ policyTypes: ["Egress"] }), "ingress")).toBe(false);
  });

  it("is lifted by an empty rule, and adds up over policies", () => {
    const one = policy({ podSelector: {}, ingress: [{ ports: [{ port: 80 }] }] }, "one");
    const two = policy({ podSelector: {}, ingress: [{ ports: [{ port: 53, protocol: "UDP" }] }] }, "two");
    expect(chain(rules(one, two), "ingress", "10.244.1.2")).toEqual([
      "tcp dport 80 return",
      "udp dport 53 return",
      "drop",
    ]);
    expect(chain(rules(policy({ podSelector: {}, ingress: [{}] })), "ingress", "10.244.1.2")).toEqual([
      "return",
      "drop",
    ]);
  });
});

describe("peers", () => {
  const from = (...peers: object[]): string[] | undefined =>
    chain(
      rules(policy({ podSelector: { matchLabels: { app: "db" } }, ingress: [{ from: peers }] })),
      "ingress",
      "10.244.1.3",
    );

  it("are Pods of the policy's namespace, of selected namespaces, or both", () => {
    expect(from({ podSelector: { matchLabels: { app: "web" } } })).toEqual([
      "ip saddr {10.244.1.2 10.244.2.2} return",
      "drop",
    ]);
    const elsewhere = { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "else" } } };
    expect(from(elsewhere)).toEqual(["ip saddr {10.244.2.3} return", "drop"]);
    expect(from({ ...elsewhere, podSelector: { matchLabels: { app: "db" } } })).toEqual(["drop"]);
  });

  it("are blocks of addresses with exceptions", () => {
    expect(from({ ipBlock: { cidr: "10.0.0.0/8", except: ["10.1.0.0/16"] } })).toEqual([
      "ip saddr 10.0.0.0/8 ip saddr != { 10.1.0.0/16 } return",
      "drop",
    ]);
    expect(from({ ipBlock: { cidr: "0.0.0.0/0" } })).toEqual(["return", "drop"]);
  });

  it("include the cluster's DNS, which no Pod serves", () => {
    const dns = { namespaceSelector: {}, podSelector: { matchLabels: { "k8s-app": "kube-dns" } } };
    const of = rules(
      policy({
        podSelector: {},
        policyTypes: ["Egress"],
        egress: [{ to: [dns], ports: [{ port: 53, protocol: "UDP" }] }],
      }),
    );
    expect(chain(of, "egress", "10.244.1.2")).toEqual(["ip daddr {10.96.0.10} udp dport 53 return", "drop"]);
  });
});

describe("ports", () => {
  it("may be ranges, whole protocols, and names that each Pod has its own number for", () => {
    const ports = [{ port: 80, endPort: 90 }, { protocol: "SCTP" }, { port: "web" }, { port: "nothing" }];
    expect(chain(rules(policy({ podSelector: {}, ingress: [{ ports }] })), "ingress", "10.244.1.2")).toEqual([
      "tcp dport 80-90 return",
      "meta l4proto sctp return",
      "tcp dport 8080 return",
      "drop",
    ]);
    const egress = [{ to: [{ podSelector: { matchLabels: { app: "web" } } }], ports: [{ port: "web" }] }];
    expect(chain(rules(policy({ podSelector: {}, policyTypes: ["Egress"], egress })), "egress", "10.244.1.3")).toEqual([
      "ip daddr {10.244.1.2 10.244.2.2} ip daddr . tcp dport { 10.244.1.2 . 8080, 10.244.2.2 . 9090 } return",
      "drop",
    ]);
  });
});

it("changes only what changed", () => {
  const before = rules(
    policy({ podSelector: { matchLabels: { app: "db" } }, ingress: [{ from: [{ podSelector: {} }] }] }),
  );
  expect(policyTransaction(before, before)).toBe("");
  const changed: PolicyRules = {
    ...before,
    sets: new Map([...before.sets].map(([name, addresses]) => [name, new Set([...addresses, "10.244.3.9"])])),
  };
  expect(policyTransaction(before, changed)).toMatch(/^add element ip drydock-policy peers-\w+ \{ 10\.244\.3\.9 \}\n$/);
  expect(policyTransaction(before, NO_RULES)).toMatch(
    /^delete element .*\nflush chain .*\ndelete chain .*\ndelete set .*\n$/,
  );
});
