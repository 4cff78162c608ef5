/** The controllers that are one file each, against a cluster in virtual time. */
import { afterEach, expect, test } from "vitest";
import type { KubeObject } from "../../../common/kube/object.ts";
import type { Namespace, Node, Pod } from "../../../common/kube/types.ts";
import { TestCluster } from "../testing/cluster.ts";
import { kinds } from "./kernel/kinds.ts";
import { freeSubnet, parseCidr, subnet } from "./node-ipam.ts";
import { stepFor } from "./node-ttl.ts";
import { decideGarbage } from "./pod-gc.ts";

let cluster: TestCluster | undefined;
afterEach(async () => {
  await cluster?.stop();
  cluster = undefined;
});

async function start(...controllers: string[]): Promise<TestCluster> {
  cluster = new TestCluster({ controllers });
  cluster.start();
  await cluster.clock.settle();
  return cluster;
}

test("every namespace gets its ServiceAccount and the cluster's authority, again when they are removed or changed", async () => {
  const of = await start("serviceaccount-controller", "root-ca-certificate-publisher");
  await of.create(kinds.namespaces, { metadata: { name: "default" } });
  await of.clock.settle();
  expect(of.one(kinds.serviceAccounts, "default")).toBeDefined();
  expect(of.one(kinds.configMaps, "kube-root-ca.crt")).toMatchObject({ data: { "ca.crt": "CA" } });
  await of.client.delete({ ...kinds.serviceAccounts, namespace: "default", name: "default" });
  await of.patch(kinds.configMaps, "kube-root-ca.crt", { data: { "ca.crt": "forged" } });
  await of.clock.settle();
  expect(of.one(kinds.serviceAccounts, "default")).toBeDefined();
  expect(of.one(kinds.configMaps, "kube-root-ca.crt")).toMatchObject({ data: { "ca.crt": "CA" } });
  expect(of.log).toEqual([]);
});

test("a namespace that goes is emptied first, and says what holds it", async () => {
  const of = await start("namespace-controller");
  await of.create(kinds.namespaces, { metadata: { name: "default" } });
  await of.create<KubeObject>(kinds.configMaps, { metadata: { name: "free" } });
  await of.create<KubeObject>(kinds.secrets, { metadata: { name: "held", finalizers: ["example.com/hold"] } });
  await of.client.delete({ ...kinds.namespaces, name: "default" });
  await of.clock.advance(5000);
  const namespace = of.one<Namespace>(kinds.namespaces, "default");
  expect(namespace.status?.phase).toBe("Terminating");
  const conditions = Object.fromEntries(
    (namespace.status?.conditions ?? []).map(({ type, status, message }) => [type, `${status}: ${message}`]),
  );
  expect(conditions.NamespaceContentRemaining).toBe(
    "True: Some resources are remaining: secrets. has 1 resource instances",
  );
  expect(conditions.NamespaceFinalizersRemaining).toBe(
    "True: Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances",
  );
  expect(of.all(kinds.configMaps)).toEqual([]);
  await of.patch(kinds.secrets, "held", { metadata: { finalizers: null } });
  await of.clock.advance(10_000);
  expect([...of.all(kinds.secrets), ...of.all(kinds.namespaces)]).toEqual([]);
  expect(of.log).toEqual([]);
});

test("nodes get ranges of their own, a freed one is given again, and none is given twice", async () => {
  const of = await start("node-ipam-controller");
  const cidrs = (): (string | undefined)[] => of.all<Node>(kinds.nodes).map(({ spec }) => spec?.podCIDR);
  for (let at = 0; at < 256; at += 1)
    await of.create<KubeObject>(kinds.nodes, { metadata: { name: `n${at}` }, spec: {} });
  await of.clock.settle();
  expect(cidrs()[0]).toBe("10.244.0.0/24");
  expect(new Set(cidrs()).size).toBe(256);
  await of.create<KubeObject>(kinds.nodes, { metadata: { name: "late" }, spec: {} });
  await of.clock.settle();
  expect(of.one<Node>(kinds.nodes, "late").spec?.podCIDR).toBeUndefined();
  expect(of.events()).toEqual(["CIDRNotAvailable: Node late status is now: CIDRNotAvailable"]);
  await of.client.delete({ ...kinds.nodes, name: "n7" });
  await of.clock.settle();
  expect(of.one<Node>(kinds.nodes, "late").spec?.podCIDR).toBe("10.244.7.0/24");
  expect(of.log).toEqual([]);
});

test("subnets", () => {
  const range = parseCidr("10.0.0.0/14");
  expect([subnet(range, 24, 0), subnet(range, 24, 300), subnet(range, 24, 1024)]).toEqual([
    "10.0.0.0/24",
    "10.1.44.0/24",
    undefined,
  ]);
  expect(freeSubnet(parseCidr("10.0.0.0/23"), 24, new Set(["10.0.1.0/24"]), 1)).toEqual({
    cidr: "10.0.0.0/24",
    index: 0,
  });
  expect(freeSubnet(parseCidr("10.0.0.0/23"), 24, new Set(["10.0.1.0/24", "10.0.0.0/24"]))).toBeUndefined();
  expect(() => parseCidr("fd00::/8")).toThrow("not an IPv4 range");
});

test("bootstrap tokens go when their time has run out", async () => {
  const of = await start("token-cleaner");
  const secret = (name: string, expiration?: string): KubeObject => ({
    apiVersion: "v1",
    kind: "Secret",
    type: "bootstrap.kubernetes.io/token",
    metadata: { name, namespace: "kube-system" },
    data: expiration === undefined ? {} : { expiration: btoa(expiration) },
  });
  of.client.put(kinds.secrets, secret("a", new Date(of.clock.now() + 60_000).toISOString()));
  of.client.put(kinds.secrets, secret("b"));
  of.client.put(kinds.secrets, secret("c", "not a time"));
  await of.clock.advance(30_000);
  expect(of.all(kinds.secrets)).toHaveLength(3);
  await of.clock.advance(40_000);
  expect(of.all(kinds.secrets).map(({ metadata }) => metadata.name)).toEqual(["b", "c"]);
});

test("which Pods are garbage", () => {
  const pod = (
    name: string,
    { node, phase = "Running", going = false }: { node?: string; phase?: "Running" | "Failed"; going?: boolean },
  ): Pod => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, ...(going ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {}) },
    spec: { containers: [], ...(node ? { nodeName: node } : {}) },
    status: { phase },
  });
  const out: Node = {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: "out" },
    spec: { taints: [{ key: "node.kubernetes.io/out-of-service", effect: "NoExecute" }] },
  };
  const nodes = new Map<string, Node>([
    ["here", { apiVersion: "v1", kind: "Node", metadata: { name: "here" } }],
    ["out", out],
  ]);
  const pods = [
    pod("running", { node: "here" }),
    pod("lost", { node: "gone" }),
    pod("just lost", { node: "rebooting" }),
    pod("never placed", { going: true }),
    pod("on a dead node", { node: "out", going: true }),
    pod("waiting", {}),
    pod("ended", { node: "here", phase: "Failed" }),
  ];
  const garbage = decideGarbage(
    pods,
    (name) => nodes.get(name),
    (name) => (name === "gone" ? 60_000 : 1000),
  );
  const names = (of: readonly Pod[]): (string | undefined)[] => of.map(({ metadata }) => metadata.name);
  expect(Object.values(garbage).map(names)).toEqual([["lost"], ["never placed"], ["on a dead node"], []]);
});

test("a token Secret gets its token, and goes with its account", async () => {
  const of = await start("serviceaccount-token-controller");
  const account = await of.create<KubeObject>(kinds.serviceAccounts, { metadata: { name: "robot" } });
  const secret = (name: string, annotations: Record<string, string>): KubeObject =>
    of.client.put<KubeObject>(kinds.secrets, {
      apiVersion: "v1",
      kind: "Secret",
      type: "kubernetes.io/service-account-token",
      metadata: { name, namespace: "default", annotations },
    });
  secret("good", { "kubernetes.io/service-account.name": "robot" });
  secret("foreign", { "kubernetes.io/service-account.name": "robot", "kubernetes.io/service-account.uid": "other" });
  secret("none", { "kubernetes.io/service-account.name": "nobody" });
  await of.clock.advance(5000);
  expect(of.all(kinds.secrets)).toHaveLength(3);
  await of.clock.advance(10_000);
  expect(of.all(kinds.secrets).map(({ metadata }) => metadata.name)).toEqual(["good"]);
  const good = of.one(kinds.secrets, "good");
  expect(good.metadata.annotations?.["kubernetes.io/service-account.uid"]).toBe(account.metadata.uid);
  expect(good["data"]).toEqual({
    token: btoa(`token of robot for ${good.metadata.uid}`),
    "ca.crt": btoa("CA"),
    namespace: btoa("default"),
  });
  const before = of.client.writes.length;
  await of.clock.advance(3_600_000);
  expect(of.client.writes.slice(before)).toEqual([]);
  await of.client.delete({ ...kinds.serviceAccounts, namespace: "default", name: "robot" });
  await of.clock.advance(1000);
  expect(of.all(kinds.secrets)).toEqual([]);
});

test("nodes are told how long they may remember, by the size of the cluster", async () => {
  let step = 0;
  const steps = [1, 100, 101, 95, 89, 501, 5000, 1799, 0].map((nodes) => (step = stepFor(nodes, step)));
  expect(steps).toEqual([0, 0, 1, 1, 0, 2, 4, 3, 0]);
  const of = await start("ttl-controller");
  await of.create<KubeObject>(kinds.nodes, { metadata: { name: "n" }, spec: {} });
  await of.clock.settle();
  expect(of.one(kinds.nodes, "n").metadata.annotations).toEqual({ "node.alpha.kubernetes.io/ttl": "0" });
});
