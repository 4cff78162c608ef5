/**
 * What Pods may expect of a node, in real machines: tables of Pods with what must become of each; storage, network policy,
 * ingress and metrics as a user meets them; the network and streams asked from inside; published manifests; remote storage. One
 * cluster for all. DRYDOCK_RUNS=all adds the cases that only take longer.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NodeCluster } from "./node/cluster.ts";
import { makeNamespace, nodeCluster } from "./node/cluster.ts";
import { ENDING } from "./node/ending.ts";
import { LIFECYCLE } from "./node/lifecycle.ts";
import { buildHarbour } from "./node/harbour.ts";
import { describeNetworking } from "./node/network-tests.ts";
import { describeStreaming } from "./node/stream-tests.ts";
import { Cases } from "./node/run-case.ts";
import { SECURITY } from "./node/security.ts";
import { TOWN } from "./node/town.ts";
import { describeMarket } from "./node/market.ts";
import { describeRemoteStorage } from "./node/remote.ts";
import { visit } from "./node/visit.ts";
import { VOLUMES } from "./node/volumes.ts";
import { eventually } from "./support.ts";

const EVERYTHING = process.env["DRYDOCK_RUNS"] === "all";
/** Names of the only cases to run, for whoever works on one. */
const ONLY = process.env["DRYDOCK_CASES"] ? new Set(process.env["DRYDOCK_CASES"].split(",")) : undefined;
let cluster: NodeCluster;
beforeAll(async () => {
  cluster = await nodeCluster("nodes");
}, 900_000);
afterAll(() => cluster?.dispose());

const cases = [...LIFECYCLE, ...ENDING, ...SECURITY, ...VOLUMES].filter(({ name, extra }) =>
  ONLY ? ONLY.has(name) : EVERYTHING || !extra,
);

describe.concurrent("Pods", () => {
  let running: Cases;
  beforeAll(async () => {
    running = await Cases.begin(cluster);
  });
  afterAll(() => running.end());

  it.each(cases)("end as they should: $name", { timeout: 900_000 }, async (each) => {
    await expect(running.run(each)).resolves.toBeUndefined();
  });
});

describe("a small town", () => {
  const kubectl = (...args: string[]): Promise<string> => cluster.ok(["-n", "town", ...args]);
  const inside = async (pod: string, script: string): Promise<{ code: number; stdout: string }> =>
    cluster.kubectl(["-n", "town", "exec", pod, "--", "sh", "-c", script]);
  const fetches = async (pod: string): Promise<boolean> =>
    (await inside(pod, "wget -q -T 2 -O - http://hall")).stdout.includes("It works");

  beforeAll(async () => {
    await makeNamespace(cluster, "town");
    await cluster.ok(["apply", "-f", "-"], TOWN.map((object) => JSON.stringify(object)).join("\n---\n"));
    await kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=180s");
  }, 240_000);

  it("keeps the data of a claim when its Pod has gone, and removes it with the claim", async () => {
    expect(await kubectl("get", "pvc", "archive", "-o", "jsonpath={.status.phase}")).toBe("Bound");
    await inside("clerk", "echo ledger > /archive/book");
    const clerk = JSON.parse(await kubectl("get", "pod", "clerk", "-o", "json")) as { metadata: object; spec: object };
    await kubectl("delete", "pod", "clerk");
    const next = { ...TOWN.find(({ metadata }) => metadata.name === "clerk"), spec: clerk.spec };
    await cluster.ok(["create", "-f", "-"], JSON.stringify(next));
    await kubectl("wait", "--for=condition=Ready", "pod/clerk", "--timeout=120s");
    expect((await inside("clerk", "cat /archive/book")).stdout).toBe("ledger\n");
    await kubectl("delete", "pod/clerk", "pvc/archive");
    await eventually(
      "the volume goes with its claim",
      () => cluster.ok(["get", "pv", "-o", "name"]),
      (text) => !text.includes("pvc-"),
    );
  }, 240_000);

  it("lets in whom a policy names, and nobody else", async () => {
    expect(await fetches("stranger")).toBe(true);
    const policy = {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: { name: "gate" },
      spec: {
        podSelector: { matchLabels: { app: "hall" } },
        ingress: [{ from: [{ podSelector: { matchLabels: { role: "citizen" } } }], ports: [{ port: "http" }] }],
      },
    };
    await cluster.ok(["-n", "town", "create", "-f", "-"], JSON.stringify(policy));
    await eventually(
      "strangers stay outside",
      () => fetches("stranger"),
      (came) => !came,
      60_000,
    );
    expect(await fetches("citizen")).toBe(true);
    await kubectl("delete", "networkpolicy", "gate");
    await eventually("the gate is open again", () => fetches("stranger"), Boolean, 60_000);
  }, 180_000);

  it("is visited by its name from this computer, by HTTP and by TLS that its authority vouches for", async () => {
    const ports = JSON.parse(
      await cluster.ok(["-n", "kube-system", "get", "service", "drydock-ingress", "-o", "jsonpath={.spec.ports}"]),
    ) as { name: string; nodePort: number }[];
    const port = (name: string): number => ports.find((each) => each.name === name)?.nodePort ?? 0;
    const page = await eventually(
      "the ingress answers",
      () => visit("hall.localhost", port("http")),
      ({ text }) => text.includes("It works"),
      120_000,
    );
    expect(page.status).toBe(200);
    expect((await visit("nobody.localhost", port("http"))).status).toBe(404);
    const authority = await cluster.ok(["get", "configmap", "kube-root-ca.crt", "-o", "jsonpath={.data.ca\\.crt}"]);
    expect((await visit("hall.localhost", port("https"), { authority })).text).toContain("nginx in a Drydock cluster");
    expect(await kubectl("get", "ingress", "hall", "-o", "jsonpath={.status.loadBalancer.ingress[0].hostname}")).toBe(
      "localhost",
    );
  }, 180_000);

  it("knows what everybody uses", async () => {
    const nodes = await eventually(
      "nodes are measured",
      () => cluster.ok(["top", "nodes"]),
      (text) => /\d+m\s+\d+%\s+\d+Mi/.test(text),
      60_000,
    );
    expect(nodes).toContain(cluster.worker);
    const pods = await eventually(
      "Pods are measured",
      () => kubectl("top", "pods", "--containers"),
      (text) => text.includes("citizen"),
      90_000,
    );
    expect(pods).toMatch(/citizen\s+main\s+\d+m\s+\d+Mi/);
  }, 180_000);
});

describe("a harbour", () => {
  const harbour = buildHarbour(() => cluster);
  describeNetworking(harbour);
  describeStreaming(harbour);
});

describeMarket(() => cluster);
describeRemoteStorage(() => cluster);
