import { expect, test } from "vitest";
import type { Pod, Service } from "../../../../common/kube/types.ts";
import { TestCluster } from "../../testing/cluster.ts";
import { kinds } from "../kernel/kinds.ts";
import { decideEndpoints, decideSubsets, hintsFor, layOut } from "./decide.ts";
import type { Endpoint } from "./decide.ts";

interface PodWish {
  ip?: string;
  ready?: boolean;
  going?: boolean;
  port?: number;
  phase?: "Running" | "Succeeded";
}

function pod(
  name: string,
  { ip = "10.244.0.9", ready = true, going = false, port = 8080, phase = "Running" }: PodWish = {},
): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace: "default",
      uid: `uid-${name}`,
      labels: { app: "web" },
      ...(going ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {}),
    },
    spec: { nodeName: "w1", containers: [{ name: "c", ports: [{ name: "http", containerPort: port }] }] },
    status: {
      phase,
      ...(ip ? { podIP: ip, podIPs: [{ ip }] } : {}),
      conditions: [{ type: "Ready", status: ready ? "True" : "False" }],
    },
  };
}

function service(spec: object = {}): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", namespace: "default" },
    spec: { selector: { app: "web" }, ports: [{ name: "web", port: 80, targetPort: "http" }], ...spec },
  };
}

const conditions = (of: Service, ...pods: Pod[]): unknown =>
  decideEndpoints(of, pods, () => undefined).flatMap(({ endpoints }) => endpoints.map((one) => one.conditions));

test.each<[string, PodWish, object, unknown[]]>([
  ["a ready Pod", {}, {}, [{ ready: true, serving: true, terminating: false }]],
  ["one that is not ready", { ready: false }, {}, [{ ready: false, serving: false, terminating: false }]],
  ["one that is going but still serves", { going: true }, {}, [{ ready: false, serving: true, terminating: true }]],
  [
    "publishNotReadyAddresses",
    { ready: false },
    { publishNotReadyAddresses: true },
    [{ ready: true, serving: false, terminating: false }],
  ],
  ["one without an address", { ip: "" }, {}, []],
  ["one that has ended", { phase: "Succeeded" }, {}, []],
  ["a port nobody has", {}, { ports: [{ port: 80, targetPort: "https" }] }, []],
  [
    "a headless Service without ports",
    {},
    { clusterIP: "None", ports: [] },
    [{ ready: true, serving: true, terminating: false }],
  ],
])("%s", (_what, wish, spec, expected) => {
  expect(conditions(service(spec), pod("a", wish))).toEqual(expected);
});

test("named target ports are looked up in each Pod", () => {
  const groups = decideEndpoints(service(), [pod("a"), pod("b", { port: 9090 })], () => undefined);
  expect(groups.map(({ ports }) => ports)).toEqual([
    [{ name: "web", port: 8080, protocol: "TCP" }],
    [{ name: "web", port: 9090, protocol: "TCP" }],
  ]);
});

test("Endpoints list ready and not ready addresses apart", () => {
  const groups = decideEndpoints(
    service(),
    [
      pod("a", { ip: "10.244.0.1" }),
      pod("b", { ip: "10.244.0.2", ready: false }),
      pod("c", { ip: "10.244.0.3", going: true }),
    ],
    () => undefined,
  );
  expect(decideSubsets(service(), groups)).toMatchObject([
    {
      addresses: [{ ip: "10.244.0.1", nodeName: "w1" }],
      notReadyAddresses: [{ ip: "10.244.0.2" }],
      ports: [{ name: "web", port: 8080, protocol: "TCP" }],
    },
  ]);
});

test("endpoints stay in their slice; new ones fill it, and a full one is followed by another", () => {
  const endpoints = (from: number, to: number): Endpoint[] =>
    Array.from({ length: to - from }, (_, at) => ({
      addresses: [`10.0.0.${from + at}`],
      conditions: { ready: true, serving: true, terminating: false },
      targetRef: {
        kind: "Pod",
        namespace: "default",
        name: `p${from + at}`,
        uid: `u${String(from + at).padStart(3, "0")}`,
      },
    }));
  const of = (list: Endpoint[]) => ({ addressType: "IPv4" as const, ports: [], endpoints: list });
  const first = layOut([of(endpoints(0, 150))], []);
  expect(first.create.map((one) => one.endpoints.length)).toEqual([100, 50]);
  const existing = first.create.map((content, at) => ({ slice: { metadata: { name: `s${at}` } }, content }));
  expect(layOut([of(endpoints(0, 150))], existing)).toEqual({ create: [], update: [], remove: [] });
  const shifted = layOut([of(endpoints(1, 152))], existing);
  expect(shifted.update.map(({ slice, content }) => [slice.metadata.name, content.endpoints.length])).toEqual([
    ["s0", 100],
    ["s1", 51],
  ]);
  const none = layOut([of([])], existing);
  expect([none.update.length, none.remove.length]).toEqual([1, 1]);
});

test("slices and Endpoints follow the Pods of a Service, and go with it", async () => {
  const cluster = new TestCluster({ controllers: ["endpointslice-controller", "endpoint-controller"] });
  cluster.start();
  cluster.client.put(kinds.pods, pod("a", { ip: "10.244.1.5" }));
  await cluster.create(kinds.services, { metadata: { name: "web", labels: { tier: "front" } }, spec: service().spec });
  await cluster.clock.settle();
  const [slice] = cluster.all(kinds.endpointSlices);
  expect(slice).toMatchObject({
    metadata: {
      labels: {
        tier: "front",
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
      },
    },
    addressType: "IPv4",
    endpoints: [{ addresses: ["10.244.1.5"], conditions: { ready: true }, nodeName: "w1", targetRef: { name: "a" } }],
    ports: [{ name: "web", port: 8080, protocol: "TCP" }],
  });
  expect(cluster.one(kinds.endpoints, "web")).toMatchObject({ subsets: [{ addresses: [{ ip: "10.244.1.5" }] }] });
  const before = cluster.client.writes.length;
  await cluster.clock.advance(600_000);
  expect(cluster.client.writes.slice(before)).toEqual([]);
  await cluster.client.delete({ ...kinds.pods, namespace: "default", name: "a" }, { gracePeriodSeconds: 0 });
  await cluster.clock.advance(100);
  expect(cluster.all(kinds.endpointSlices)[0]).toMatchObject({ endpoints: [] });
  expect(cluster.one(kinds.endpoints, "web").subsets).toBeUndefined();
  await cluster.client.delete({ ...kinds.services, namespace: "default", name: "web" });
  await cluster.clock.settle();
  expect([...cluster.all(kinds.endpointSlices), ...cluster.all(kinds.endpoints)]).toEqual([]);
  expect(cluster.log).toEqual([]);
  await cluster.stop();
});

test.each([
  [undefined, "a", "n", undefined],
  ["PreferClose", "a", "n", { forZones: [{ name: "a" }] }],
  ["PreferSameZone", "a", "n", { forZones: [{ name: "a" }] }],
  ["PreferSameZone", undefined, "n", undefined],
  ["PreferSameNode", "a", "n", { forZones: [{ name: "a" }], forNodes: [{ name: "n" }] }],
  ["PreferSameNode", undefined, "n", { forNodes: [{ name: "n" }] }],
])("trafficDistribution %s in zone %s on node %s hints %j", (distribution, zone, node, hints) => {
  expect(hintsFor(distribution, zone, node)).toEqual(hints);
});

test("Endpoints kept by hand are mirrored, and the mirror goes with them", async () => {
  const of = new TestCluster({
    controllers: ["endpointslicemirroring-controller", "endpointslice-controller", "endpoint-controller"],
  });
  of.start();
  await of.create(kinds.services, { metadata: { name: "db" }, spec: { ports: [{ port: 5432 }] } });
  const subsets = [
    {
      addresses: [{ ip: "192.0.2.1" }, { ip: "2001:db8::1" }],
      notReadyAddresses: [{ ip: "192.0.2.2", hostname: "b" }],
      ports: [{ name: "sql", port: 5432 }],
    },
  ];
  await of.create(kinds.endpoints, { metadata: { name: "db", labels: { a: "b" } }, subsets });
  await of.clock.advance(1000);
  const slices = (): Record<string, unknown>[] => of.all(kinds.endpointSlices);
  expect(slices()).toHaveLength(2);
  expect(slices()[0]).toMatchObject({
    addressType: "IPv4",
    ports: [{ name: "sql", port: 5432, protocol: "TCP" }],
    endpoints: [
      { addresses: ["192.0.2.1"], conditions: { ready: true } },
      { addresses: ["192.0.2.2"], conditions: { ready: false }, hostname: "b" },
    ],
    metadata: {
      labels: {
        a: "b",
        "kubernetes.io/service-name": "db",
        "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
      },
      ownerReferences: [{ kind: "Endpoints", name: "db" }],
    },
  });
  await of.patch(kinds.endpoints, "db", { subsets: [{ addresses: [{ ip: "192.0.2.9" }], ports: [{ port: 1 }] }] });
  await of.clock.advance(1000);
  expect(slices()).toHaveLength(1);
  expect(slices()[0]).toMatchObject({ endpoints: [{ addresses: ["192.0.2.9"] }] });
  const before = of.client.writes.length;
  await of.clock.advance(3_600_000);
  expect(of.client.writes.slice(before)).toEqual([]);
  await of.patch(kinds.endpoints, "db", {
    metadata: { labels: { "endpointslice.kubernetes.io/skip-mirror": "true" } },
  });
  await of.clock.advance(1000);
  expect(slices()).toEqual([]);
  expect(of.log).toEqual([]);
  await of.stop();
});
