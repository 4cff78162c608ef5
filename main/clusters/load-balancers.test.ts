import { describe, expect, it } from "vitest";
import type { Service } from "../../common/kube/types.ts";
import { wantedBalancers, wantedStatus, whereItAnswers } from "./load-balancers.ts";

function service(name: string, more: { spec?: object; status?: object } = {}): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "shop" },
    spec: { type: "LoadBalancer", ports: [{ port: 80, nodePort: 30080 }], ...more.spec },
    ...(more.status ? { status: { loadBalancer: { ingress: [more.status] } } } : {}),
  } as unknown as Service;
}
const addressOf = (cluster: string, ...services: Service[]): string | undefined =>
  wantedBalancers(cluster, services)[0]?.address;

describe("addresses", () => {
  it("are loopback addresses, the same each time, different for each Service and cluster", () => {
    const [a, b] = wantedBalancers("lab", [service("a"), service("b")]);
    expect(a?.address).toMatch(/^127\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.\d+\.\d+$/);
    expect(a?.address).not.toBe(b?.address);
    expect(addressOf("lab", service("a"))).toBe(a?.address);
    expect(addressOf("other-lab", service("a"))).not.toBe(a?.address);
  });

  it("stay with the Service that has one", () => {
    const taken = addressOf("lab", service("a")) as string;
    const holder = service("holder", { status: { ip: taken } });
    const found = wantedBalancers("lab", [service("a"), holder]);
    expect(found.find((one) => one.service === "holder")?.address).toBe(taken);
    expect(found.find((one) => one.service === "a")?.address).not.toBe(taken);
  });

  it.each([
    ["of another class", { spec: { loadBalancerClass: "example.com/x" } }],
    ["of another type", { spec: { type: "NodePort" } }],
    ["without node ports", { spec: { ports: [{ port: 80 }] } }],
  ])("are not given to Services %s", (_, more) => {
    expect(wantedBalancers("lab", [service("a", more)])).toEqual([]);
  });
});

it("tries a Service's own port, then what one would guess, then its node port", () => {
  const ports = [
    { port: 80, nodePort: 30080 },
    { port: 5432, nodePort: 30432 },
    { port: 53, nodePort: 30053, protocol: "UDP" },
  ];
  expect(wantedBalancers("lab", [service("a", { spec: { ports } })])[0]?.ports).toMatchObject([
    { tries: [80, 8080, 30080], protocol: "TCP" },
    { tries: [5432, 30432] },
    { tries: [53, 8053, 30053], protocol: "UDP" },
  ]);
});

describe("a Service's status", () => {
  const balancer = {
    namespace: "shop",
    service: "a",
    address: "127.70.1.2",
    ports: [
      { port: 80, nodePort: 30080, hostPort: 8080, protocol: "TCP" },
      { port: 5432, nodePort: 30432, hostPort: 5432, protocol: "TCP" },
    ],
  };
  it("names the address, and says which ports could not be had", () => {
    const wants = wantedStatus(service("a"), balancer);
    expect(wants).toEqual([
      {
        ip: "127.70.1.2",
        ipMode: "Proxy",
        ports: [
          { port: 80, protocol: "TCP", error: "drydock.dev/PortMoved" },
          { port: 5432, protocol: "TCP" },
        ],
      },
    ]);
    expect(wantedStatus(service("a", { status: wants?.[0] as object }), balancer)).toBeUndefined();
    expect(whereItAnswers(balancer)).toBe("80 at 127.70.1.2:8080, 5432 at 127.70.1.2:5432");
  });

  it("is emptied when the Service is none any more, or nobody carries it", () => {
    const was = { ip: "127.70.1.2" };
    expect(wantedStatus(service("a", { spec: { type: "ClusterIP" }, status: was }), undefined)).toEqual([]);
    expect(wantedStatus(service("a", { status: was }), undefined)).toEqual([]);
    expect(wantedStatus(service("a", { spec: { loadBalancerClass: "x/y" }, status: was }), undefined)).toBeUndefined();
  });
});
