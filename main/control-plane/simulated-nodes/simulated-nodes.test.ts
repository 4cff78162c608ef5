import { afterEach, describe, expect, it } from "vitest";
import type { KubeObject } from "../../../common/kube/object.ts";
import type { Node, Pod } from "../../../common/kube/types.ts";
import { FakeClient } from "../testing/fake-client.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";
import { startSimulatedNodes } from "./index.ts";
import { PodAddresses, decidePod, nodeAddress, podStatus, simulatedNames } from "./objects.ts";

const PODS = { group: "", version: "v1", resource: "pods" };
const NODES = { group: "", version: "v1", resource: "nodes" };
const LEASES = { group: "coordination.k8s.io", version: "v1", resource: "leases" };

const pod = (more: object = {}): Pod =>
  ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "web", namespace: "default", uid: "u1" },
    spec: { nodeName: "lab-worker-1", containers: [{ name: "web", image: "nginx" }] },
    status: { phase: "Pending", conditions: [{ type: "PodScheduled", status: "True" }] },
    ...more,
  }) as Pod;

let running: { stop(): Promise<void> } | undefined;
afterEach(async () => {
  await running?.stop();
  running = undefined;
});

describe("objects", () => {
  it("names nodes, and gives each an address of its own", () => {
    expect(simulatedNames(2)).toEqual(["simulated-1", "simulated-2"]);
    expect(simulatedNames(["a"])).toEqual(["a"]);
    expect(new Set(Array.from({ length: 1000 }, (_, index) => nodeAddress(index))).size).toBe(1000);
  });

  it("decides what to do about a Pod", () => {
    expect(decidePod(pod())).toBe("run");
    expect(decidePod(pod({ status: { phase: "Running" } }))).toBe("ignore");
    expect(decidePod(pod({ metadata: { deletionTimestamp: "2030-01-01T00:00:00Z" } }))).toBe("remove");
  });

  it("calls a Pod ready, and a Job's Pod done, keeping who scheduled it", () => {
    const addresses = { pod: "10.244.1.2", host: "198.18.0.1" };
    const running = podStatus(pod(), addresses, 0);
    expect(running).toMatchObject({ phase: "Running", podIP: "10.244.1.2", containerStatuses: [{ ready: true }] });
    expect(running.conditions?.map((condition) => condition.type)).toContain("PodScheduled");
    const ownerReferences = [{ apiVersion: "batch/v1", kind: "Job", name: "j", uid: "j", controller: true }];
    expect(podStatus(pod({ metadata: { ownerReferences } }), addresses, 0)).toMatchObject({ phase: "Succeeded" });
  });

  it("hands out addresses of a node's range, round and round", () => {
    const addresses = new PodAddresses("10.244.7.0/24");
    const taken = Array.from({ length: 253 }, () => addresses.take());
    expect(taken[0]).toBe("10.244.7.2");
    expect(new Set(taken).size).toBe(253);
    expect(addresses.take()).toBe("10.244.7.2");
  });
});

describe("startSimulatedNodes", () => {
  it("registers nodes, renews leases, runs Pods and lets them go", async () => {
    const clock = new VirtualClock();
    const client = new FakeClient({ clock });
    running = await startSimulatedNodes({ client, nodes: ["lab-master-1", "lab-worker-1"], clock });
    await clock.advance(1000);
    const nodes = client.all<Node>(NODES);
    expect(nodes.map((node) => [node.metadata.name, node.status?.conditions?.at(-1)?.status])).toEqual([
      ["lab-master-1", "True"],
      ["lab-worker-1", "True"],
    ]);
    expect(nodes[0]?.spec?.taints).toHaveLength(1);

    await client.create({ ...PODS, namespace: "default", name: "web" }, pod() as KubeObject);
    await clock.advance(1000);
    expect(client.all<Pod>(PODS)[0]?.status?.phase).toBe("Running");

    const renewed = (): unknown => (client.all(LEASES)[0]?.["spec"] as { renewTime: string } | undefined)?.renewTime;
    const before = renewed();
    await clock.advance(20_000);
    expect(renewed()).not.toBe(before);

    await client.delete({ ...PODS, namespace: "default", name: "web" }, { gracePeriodSeconds: 30 });
    await clock.advance(1000);
    expect(client.all(PODS)).toEqual([]);
  });
});
