import { describe, expect, it } from "vitest";
import type { EndpointSlice, Service } from "../../../common/kube/types.ts";
import { proxyRules } from "./rules.ts";
import type { ProxyInput, Ruleset } from "./rules.ts";
import { staleFlows } from "./stale-flows.ts";
import { transaction } from "./transaction.ts";

const EMPTY = rules([], []);

function service(name: string, spec: object): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "default" },
    spec: { ports: [{ port: 80, protocol: "TCP" }], ...spec },
  } as unknown as Service;
}

function slice(name: string, endpoints: [address: string, node: string, conditions?: object][]): EndpointSlice {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: `${name}-1`, namespace: "default", labels: { "kubernetes.io/service-name": name } },
    addressType: "IPv4",
    ports: [{ port: 8080, protocol: "TCP" }],
    endpoints: endpoints.map(([address, nodeName, conditions]) => ({
      addresses: [address],
      nodeName,
      conditions: conditions ?? { ready: true },
    })),
  } as unknown as EndpointSlice;
}

function rules(
  services: Service[],
  slices: EndpointSlice[],
  more: Partial<ProxyInput> = {},
): ReturnType<typeof proxyRules> {
  return proxyRules({
    services,
    slices,
    hostPorts: [],
    nodeName: "here",
    clusterCIDR: "10.244.0.0/16",
    clusterDNS: "10.96.0.10",
    ...more,
  });
}

describe("proxyRules", () => {
  it("leads a ClusterIP to its ready endpoints", () => {
    const { services, chains } = rules(
      [service("web", { clusterIP: "10.96.1.1" })],
      [
        slice("web", [
          ["10.244.1.2", "here"],
          ["10.244.2.2", "there"],
          ["10.244.2.3", "there", { ready: false }],
        ]),
      ],
    );
    const chain = services.get("10.96.1.1 . tcp . 80");
    expect(chains.get(chain ?? "")).toEqual([
      "ip saddr != 10.244.0.0/16 meta mark set mark or 0x4000",
      "meta l4proto tcp dnat ip to numgen random mod 2 map { 0 : 10.244.1.2 . 8080, 1 : 10.244.2.2 . 8080 }",
    ]);
  });

  it("leaves out what has no endpoints, no address, or is the cluster's DNS", () => {
    const result = rules(
      [
        service("empty", { clusterIP: "10.96.1.1" }),
        service("headless", { clusterIP: "None" }),
        service("dns", { clusterIP: "10.96.0.10" }),
        service("other", { type: "ExternalName", externalName: "a.b" }),
      ],
      [slice("headless", [["10.244.1.2", "here"]]), slice("dns", [["10.244.1.3", "here"]])],
    );
    expect(result.services.size + result.chains.size).toBe(0);
  });

  it("falls back to endpoints that end but still serve", () => {
    const { chains } = rules(
      [service("web", { clusterIP: "10.96.1.1" })],
      [slice("web", [["10.244.1.2", "here", { ready: false, serving: true, terminating: true }]])],
    );
    expect([...chains.values()][0]?.at(-1)).toBe("meta l4proto tcp dnat to 10.244.1.2:8080");
  });

  it("masquerades node ports, and keeps the client's address with externalTrafficPolicy Local", () => {
    const ports = { ports: [{ port: 80, nodePort: 30080, protocol: "TCP" }], clusterIP: "10.96.1.1", type: "NodePort" };
    const endpoints = [
      slice("web", [
        ["10.244.1.2", "here"],
        ["10.244.2.2", "there"],
      ]),
    ];
    const cluster = rules([service("web", ports)], endpoints);
    expect(cluster.chains.get(cluster.nodePorts.get("tcp . 30080") ?? "")?.[0]).toBe("meta mark set mark or 0x4000");
    const local = rules([service("web", { ...ports, externalTrafficPolicy: "Local" })], endpoints);
    expect(local.chains.get(local.nodePorts.get("tcp . 30080") ?? "")).toEqual([
      "meta l4proto tcp dnat to 10.244.1.2:8080",
    ]);
    const nowhere = rules([service("web", { ...ports, externalTrafficPolicy: "Local" })], endpoints, {
      nodeName: "elsewhere",
    });
    expect(nowhere.chains.get(nowhere.nodePorts.get("tcp . 30080") ?? "")).toEqual(["drop"]);
  });

  it("remembers clients with session affinity", () => {
    const { sets, chains, services } = rules(
      [service("web", { clusterIP: "10.96.1.1", sessionAffinity: "ClientIP" })],
      [
        slice("web", [
          ["10.244.1.2", "here"],
          ["10.244.2.2", "there"],
        ]),
      ],
    );
    expect(sets.size).toBe(2);
    expect(
      chains.get(services.get("10.96.1.1 . tcp . 80") ?? "")?.filter((rule) => rule.startsWith("ip saddr @aff-")),
    ).toHaveLength(2);
  });
});

describe("staleFlows", () => {
  const dns = { ports: [{ port: 53, nodePort: 30053, protocol: "UDP" }], clusterIP: "10.96.1.1", type: "NodePort" };
  const at = (...addresses: string[]): Ruleset => {
    const one = slice(
      "dns",
      addresses.map((address) => [address, "here"]),
    );
    return rules([service("dns", dns)], [{ ...one, ports: [{ port: 53, protocol: "UDP" }] } as unknown as typeof one]);
  };

  it("forgets what goes to an endpoint that is gone, of UDP only", () => {
    expect(staleFlows(at("10.244.1.2", "10.244.1.3"), at("10.244.1.3"))).toEqual([
      ["-D", "-p", "udp", "--orig-dst", "10.96.1.1", "--orig-port-dst", "53", "--dst-nat", "10.244.1.2"],
      ["-D", "-p", "udp", "--orig-port-dst", "30053", "--dst-nat", "10.244.1.2"],
    ]);
    const tcp = rules([service("web", { clusterIP: "10.96.1.1" })], [slice("web", [["10.244.1.2", "here"]])]);
    expect(staleFlows(tcp, EMPTY)).toEqual([]);
  });

  it("forgets what went nowhere once there is an endpoint", () => {
    expect(staleFlows(at(), at("10.244.1.2"))).toEqual([
      ["-D", "-p", "udp", "--orig-dst", "10.96.1.1", "--orig-port-dst", "53"],
      ["-D", "-p", "udp", "--orig-port-dst", "30053"],
    ]);
    expect(staleFlows(at("10.244.1.2"), at("10.244.1.2"))).toEqual([]);
  });
});

describe("transaction", () => {
  const one = rules([service("web", { clusterIP: "10.96.1.1" })], [slice("web", [["10.244.1.2", "here"]])]);

  it("says nothing when nothing changed", () => {
    expect(
      transaction(one, rules([service("web", { clusterIP: "10.96.1.1" })], [slice("web", [["10.244.1.2", "here"]])])),
    ).toBe("");
  });

  it("costs as much as the change, not as the table", () => {
    const many = Array.from({ length: 200 }, (_, index) => service(`s${index}`, { clusterIP: `10.96.2.${index}` }));
    const slices = many.map(({ metadata }) => slice(metadata.name ?? "", [["10.244.1.9", "here"]]));
    const before = rules(many, slices);
    const after = rules(many, [slice("s0", [["10.244.1.10", "here"]]), ...slices.slice(1)]);
    expect(transaction(before, after).trim().split("\n")).toHaveLength(3);
  });

  it("takes a Service away before its chain", () => {
    const lines = transaction(one, EMPTY).trim().split("\n");
    expect(lines.map((line) => line.split(" ").slice(0, 2).join(" "))).toEqual([
      "delete element",
      "flush chain",
      "delete chain",
    ]);
  });
});
