import { afterEach, describe, expect, it } from "vitest";
import type { KubeObject } from "../../../common/kube/object.ts";
import type { Node, Pod } from "../../../common/kube/types.ts";
import { FakeClient } from "../testing/fake-client.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";
import { PodAddresses, spareCidr } from "./addresses.ts";
import { startSimulatedNodes } from "./index.ts";
import type { RunningSimulation, SimulatedNodesOptions } from "./index.ts";
import { nodeAddress, simulatedNames } from "./objects.ts";
import { readSimulation } from "./rules/read.ts";

const PODS = { group: "", version: "v1", resource: "pods" };
const NODES = { group: "", version: "v1", resource: "nodes" };
const LEASES = { group: "coordination.k8s.io", version: "v1", resource: "leases" };
const EVENTS = { group: "", version: "v1", resource: "events" };

const pod = (more: { metadata?: object; spec?: object } = {}): KubeObject =>
  ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "web", namespace: "default", ...more.metadata },
    spec: { nodeName: "lab-worker-1", containers: [{ name: "web", image: "nginx" }], ...more.spec },
    status: { phase: "Pending", conditions: [{ type: "PodScheduled", status: "True" }] },
  }) as KubeObject;

const simulation = (text: string): ReturnType<typeof readSimulation> =>
  readSimulation(`apiVersion: simulation.drydock.dev/v1alpha1\nkind: Simulation\n${text}`);

let running: RunningSimulation | undefined;
afterEach(async () => {
  await running?.stop();
  running = undefined;
});

async function start(options: Partial<SimulatedNodesOptions> = {}) {
  const clock = new VirtualClock();
  const client = new FakeClient({ clock });
  running = await startSimulatedNodes({ client, nodes: ["lab-master-1", "lab-worker-1"], clock, ...options });
  await clock.advance(1000);
  return { clock, client };
}

const node = (client: FakeClient, name = "lab-worker-1"): Node =>
  client.all<Node>(NODES).find(({ metadata }) => metadata.name === name) as Node;
const ready = (client: FakeClient, name?: string): string | undefined =>
  node(client, name).status?.conditions?.find(({ type }) => type === "Ready")?.status;
const renewed = (client: FakeClient, name = "lab-worker-1"): unknown =>
  (client.all(LEASES).find(({ metadata }) => metadata.name === name)?.["spec"] as { renewTime: string } | undefined)
    ?.renewTime;

describe("names and addresses", () => {
  it("names nodes, and gives each an address of its own", () => {
    expect(simulatedNames(2)).toEqual(["simulated-1", "simulated-2"]);
    expect(simulatedNames(["a"])).toEqual(["a"]);
    const addresses = Array.from({ length: 70_000 }, (_, index) => nodeAddress(index));
    expect(new Set(addresses).size).toBe(70_000);
    expect(addresses.every((address) => /^198\.1[89]\./.test(address))).toBe(true);
  });

  it("hands out addresses of a node's range, round and round, none that somebody has", () => {
    const addresses = new PodAddresses("10.244.7.0/24");
    const taken = Array.from({ length: 253 }, () => addresses.take());
    expect(taken[0]).toBe("10.244.7.2");
    expect(new Set(taken).size).toBe(253);
    expect(addresses.take((address) => address !== "10.244.7.9")).toBe("10.244.7.9");
    const spare = Array.from({ length: 10_000 }, (_, index) => spareCidr(index));
    expect(new Set(spare).size).toBe(10_000);
  });
});

describe("simulated nodes", () => {
  it("register, renew leases, run Pods and let them go when their time is up", async () => {
    const { clock, client } = await start();
    expect([ready(client, "lab-master-1"), ready(client)]).toEqual(["True", "True"]);
    expect(node(client, "lab-master-1").spec?.taints).toHaveLength(1);

    await client.create({ ...PODS, namespace: "default", name: "web" }, pod());
    await clock.advance(100);
    expect(client.all<Pod>(PODS)[0]?.status).toMatchObject({ phase: "Running", hostIP: "198.18.0.2" });

    const before = renewed(client);
    await clock.advance(20_000);
    expect(renewed(client)).not.toBe(before);

    await client.delete({ ...PODS, namespace: "default", name: "web" }, { gracePeriodSeconds: 30 });
    await clock.advance(900);
    expect(client.all(PODS)).toHaveLength(1);
    await clock.advance(200);
    expect(client.all(PODS)).toEqual([]);
  });

  it("tell of their Pods as kubelets do, once", async () => {
    const { clock, client } = await start();
    const told = (): string[] =>
      client
        .all(EVENTS)
        .filter(({ source }) => (source as { component: string }).component === "kubelet")
        .map(({ type, reason, message, count, involvedObject, source }) => {
          const { fieldPath, name } = involvedObject as { fieldPath: string; name: string };
          return `${name} ${fieldPath} ${(source as { host: string }).host} ${count}: ${type} ${reason} ${String(message).replace(/\(uid-\d+\)/, "(uid)")}`;
        });
    const annotations = (of: object): object =>
      Object.fromEntries(Object.entries(of).map(([name, value]) => [`simulation.drydock.dev/${name}`, value]));
    const make = (name: string, of: object, spec: object = {}): Promise<unknown> =>
      client.create(
        { ...PODS, namespace: "default", name },
        pod({ metadata: { name, uid: name, annotations: annotations(of) }, spec }),
      );
    await make("crash", { run: "1s", "exit-code": "3" });
    await make("pull", { "start-failure": "ImagePullBackOff" });
    await make("late", { terminate: "5s" }, { activeDeadlineSeconds: 4 });
    await clock.advance(6000);
    await client.delete({ ...PODS, namespace: "default", name: "crash" }, { gracePeriodSeconds: 30 });
    await client.delete({ ...PODS, namespace: "default", name: "pull" }, { gracePeriodSeconds: 30 });
    await clock.advance(6000);
    const web = "spec.containers{web} lab-worker-1";
    const image = 'Container image "nginx" already present on machine and can be accessed by the pod';
    expect(told()).toEqual([
      `crash ${web} 2: Normal Pulled ${image}`,
      `crash ${web} 2: Normal Created Container created`,
      `crash ${web} 2: Normal Started Container started`,
      `pull ${web} 1: Normal Pulling Pulling image "nginx"`,
      `pull ${web} 1: Warning Failed Failed to pull image "nginx": simulated: container web cannot be started`,
      `pull ${web} 1: Warning Failed Error: ErrImagePull`,
      `pull ${web} 1: Normal BackOff Back-off pulling image "nginx"`,
      `pull ${web} 1: Warning Failed Error: ImagePullBackOff`,
      `late ${web} 1: Normal Pulled ${image}`,
      `late ${web} 1: Normal Created Container created`,
      `late ${web} 1: Normal Started Container started`,
      `crash ${web} 1: Warning BackOff Back-off restarting failed container web in pod crash_default(uid)`,
      "late undefined lab-worker-1 1: Normal DeadlineExceeded Pod was active on the node longer than the specified deadline",
      `late ${web} 1: Normal Killing Stopping container web`,
    ]);
  });

  it("say nothing of Pods where they are many, or are told not to", async () => {
    for (const options of [{ nodes: 51 }, { nodes: 1, simulation: simulation("events: false") }]) {
      const { clock, client } = await start(options);
      await client.create({ ...PODS, namespace: "default", name: "web" }, pod({ spec: { nodeName: "simulated-1" } }));
      await clock.advance(1000);
      expect(client.all<Pod>(PODS)[0]?.status?.phase).toBe("Running");
      expect(client.all(EVENTS)).toEqual([]);
      await running?.stop();
    }
  });

  it("write nothing about a Pod that stays as it is", async () => {
    const { clock, client } = await start();
    await client.create({ ...PODS, namespace: "default", name: "web" }, pod());
    await clock.advance(1000);
    const written = client.writes.length;
    await clock.advance(9000);
    expect(client.writes.slice(written).filter((write) => write.includes("pods"))).toEqual([]);
  });

  it("say how they are every five minutes, and are not made again when somebody deletes them", async () => {
    const { clock, client } = await start();
    const heard = (): unknown => node(client).status?.conditions?.[0]?.lastHeartbeatTime;
    const before = heard();
    await clock.advance(320_000);
    expect(heard()).not.toBe(before);
    await client.delete({ ...NODES, name: "lab-worker-1" });
    await clock.advance(60_000);
    expect(client.all(NODES).map(({ metadata }) => metadata.name)).toEqual(["lab-master-1"]);
  });

  it("have what the rules give them, late where the rules say so", async () => {
    const { clock, client } = await start({
      nodes: 3,
      simulation: simulation(`
nodes:
  - match: { names: ["simulated-3"] }
    start: 1m
  - zones: [a, b]
    labels: { disk: ssd }
    taints: [{ key: dedicated, value: gpu, effect: NoSchedule }]
    capacity: { cpu: 4, example.com/gpu: 2 }
    ready: 20s
`),
    });
    expect(client.all<Node>(NODES).map(({ metadata }) => metadata.labels?.["topology.kubernetes.io/zone"])).toEqual([
      "a",
      "b",
    ]);
    const first = node(client, "simulated-1");
    expect(first.spec?.taints).toEqual([{ key: "dedicated", value: "gpu", effect: "NoSchedule" }]);
    expect(first.metadata.labels?.["disk"]).toBe("ssd");
    expect(first.status?.allocatable).toMatchObject({ cpu: 4, "example.com/gpu": 2, memory: "256Gi" });
    expect(ready(client, "simulated-1")).toBe("False");
    await clock.advance(20_000);
    expect(ready(client, "simulated-1")).toBe("True");
    await clock.advance(40_000);
    expect(ready(client, "simulated-3")).toBe("True");
  });
});

describe("faults", () => {
  it("come and go as the rules say", async () => {
    const { clock, client } = await start({
      simulation: simulation(`
nodes:
  - match: { names: ["*-worker-*"] }
    faults:
      - { fault: NotReady, after: 10s, for: 5s }
      - { fault: LeaseLost, after: 30s, for: 1m }
`),
    });
    expect(ready(client)).toBe("True");
    await clock.advance(10_000);
    expect([ready(client), ready(client, "lab-master-1")]).toEqual(["False", "True"]);
    await clock.advance(5000);
    expect(ready(client)).toBe("True");
    await clock.advance(20_000);
    const [worker, master] = [renewed(client), renewed(client, "lab-master-1")];
    await clock.advance(30_000);
    expect(renewed(client)).toBe(worker);
    expect(renewed(client, "lab-master-1")).not.toBe(master);
    await clock.advance(40_000);
    expect(renewed(client)).not.toBe(worker);
  });

  it("are put in by an annotation, and Pods of an unreachable node stand still", async () => {
    const { clock, client } = await start();
    const ref = { ...NODES, name: "lab-worker-1" };
    const annotate = (fault: string | null): Promise<unknown> =>
      client.patch(ref, "application/merge-patch+json", {
        metadata: { annotations: { "simulation.drydock.dev/fault": fault } },
      });
    await annotate("Unreachable, MemoryPressure");
    await clock.advance(1000);
    await client.create({ ...PODS, namespace: "default", name: "web" }, pod());
    await clock.advance(60_000);
    expect(client.all<Pod>(PODS)[0]?.status?.phase).toBe("Pending");
    await annotate("MemoryPressure");
    await clock.advance(1000);
    expect(client.all<Pod>(PODS)[0]?.status?.phase).toBe("Running");
    expect(node(client).status?.conditions?.find(({ type }) => type === "MemoryPressure")?.status).toBe("True");
    await annotate("Flood");
    await clock.advance(5000);
    expect(client.all(EVENTS).map(({ message }) => message)).toContain(
      "simulation.drydock.dev/fault: Flood: not among NotReady, Unreachable, LeaseLost, MemoryPressure, DiskPressure, PIDPressure",
    );
  });
});

describe("Pods", () => {
  it("follow the annotations, and an event says what is wrong with those", async () => {
    const { clock, client } = await start();
    const annotations = {
      "simulation.drydock.dev/start": "2s",
      "simulation.drydock.dev/run": "5s",
      "simulation.drydock.dev/exit-code": "3",
      "simulation.drydock.dev/colour": "red",
    };
    const made = pod({ metadata: { annotations }, spec: { restartPolicy: "Never" } });
    await client.create({ ...PODS, namespace: "default", name: "web" }, made);
    const phases: unknown[] = [];
    for (let second = 0; second < 9; second += 1) {
      await clock.advance(1000);
      phases.push(client.all<Pod>(PODS)[0]?.status?.phase);
    }
    expect(phases).toEqual([
      "Pending",
      "Running",
      "Running",
      "Running",
      "Running",
      "Running",
      "Failed",
      "Failed",
      "Failed",
    ]);
    expect(client.all<Pod>(PODS)[0]?.status?.containerStatuses?.[0]?.state?.terminated?.exitCode).toBe(3);
    expect(client.all(EVENTS)[0]).toMatchObject({ reason: "InvalidSimulation", type: "Warning" });
  });

  it("goes on where it was after a restart of the simulation", async () => {
    const { clock, client } = await start();
    const annotations = { "simulation.drydock.dev/run": "60s" };
    await client.create(
      { ...PODS, namespace: "default", name: "web" },
      pod({ metadata: { annotations }, spec: { restartPolicy: "Never" } }),
    );
    await clock.advance(30_000);
    await running?.stop();
    await clock.advance(20_000);
    running = await startSimulatedNodes({ client, nodes: ["lab-master-1", "lab-worker-1"], clock });
    await clock.advance(9000);
    expect(client.all<Pod>(PODS)[0]?.status?.phase).toBe("Running");
    await clock.advance(2000);
    expect(client.all<Pod>(PODS)[0]?.status?.phase).toBe("Succeeded");
  });

  it("use what annotations say, a load divided among the Pods that share it", async () => {
    const { clock, client } = await start();
    const ownerReferences = [{ apiVersion: "apps/v1", kind: "ReplicaSet", name: "web", uid: "rs", controller: true }];
    const annotations = { "simulation.drydock.dev/load-cpu": "1", "simulation.drydock.dev/usage-memory": "64Mi" };
    for (const name of ["a", "b"])
      await client.create(
        { ...PODS, namespace: "default", name },
        pod({ metadata: { name, ownerReferences, annotations } }),
      );
    await client.create({ ...PODS, namespace: "default", name: "c" }, pod({ metadata: { name: "c" } }));
    await clock.advance(1000);
    const used = running?.usage(node(client));
    expect(used?.pods.get("default/a")?.get("web")).toEqual({ cpu: 500_000_000, memoryBytes: 64 * 1024 * 1024 });
    expect(used?.pods.get("default/c")?.get("web")?.cpu).toBe(1_000_000);
    expect(used?.node.cpu).toBeGreaterThan(1_000_000_000);
    expect(running?.usage({ metadata: { name: "elsewhere" } } as Node)).toBeUndefined();
  });
});
