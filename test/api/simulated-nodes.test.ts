/** Simulated nodes as a kubectl user meets them: rules in a file and in annotations, faults, usage. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { TestServer, until } from "./support.ts";

const SIMULATION = `
apiVersion: simulation.drydock.dev/v1alpha1
kind: Simulation
nodes:
  - zones: [a, b]
    capacity: { cpu: 8, example.com/gpu: 1 }
pods:
  - match: { selector: { matchLabels: { app: crash } } }
    run: 500ms
    exitCode: 3
`;

let server: TestServer;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "drydock-simulation-"));
  const file = path.join(folder, "simulation.yaml");
  await writeFile(file, SIMULATION);
  server = await TestServer.start("--simulated-nodes=4", `--simulation=${file}`);
  await until(
    () => server.ok("get nodes --no-headers"),
    (text) => (text.match(/\bReady\b/g) ?? []).length === 4,
  );
  await until(
    () => server.kubectl(["get", "serviceaccount", "default"]),
    ({ code }) => code === 0,
  );
});

afterAll(async () => {
  await server?.stop();
  if (folder) await rm(folder, { recursive: true, force: true });
});

it("has nodes as the file says", async () => {
  const zones = await server.ok("get nodes -o jsonpath={.items[*].metadata.labels.topology\\.kubernetes\\.io/zone}");
  expect(zones.split(" ").toSorted()).toEqual(["a", "a", "b", "b"]);
  const gpus = await server.ok("get nodes -o jsonpath={.items[*].status.allocatable.example\\.com/gpu}");
  expect(gpus).toBe("1 1 1 1");
});

it("lets Pods crash by the file, and those of Jobs finish by themselves", async () => {
  await server.ok("create deployment crash --image=crash");
  await server.ok("create job once --image=once");
  await server.ok("wait --for=condition=Complete job/once --timeout=30s");
  const line = await until(
    () => server.ok("get pods -l app=crash --no-headers"),
    (text) => text.includes("CrashLoopBackOff"),
  );
  expect(line).toMatch(/0\/1\s+CrashLoopBackOff\s+1 /);
  await server.ok("delete deployment crash");
});

it("writes a Pod's status once, when nothing changes", async () => {
  await server.ok("create deployment calm --image=calm");
  await server.ok("wait --for=condition=Available deployment/calm --timeout=30s");
  const version = (): Promise<string> =>
    server.ok("get pods -l app=calm -o jsonpath={.items[0].metadata.resourceVersion}");
  const before = await version();
  await server.ok("label deployment calm touched=yes");
  await server.ok("get pods");
  expect(await version()).toBe(before);
});

it("says that there is nothing to ask for logs", async () => {
  expect((await server.kubectl(["logs", "deploy/calm"])).stderr).toMatch(
    /is a simulated node: there are no containers/,
  );
});

it("tells top and autoscalers what annotations say, a load divided among the Pods", async () => {
  await server.ok("create deployment web --image=web --replicas=2");
  await server.ok("set resources deployment web --requests=cpu=500m");
  const annotations = { "simulation.drydock.dev/load-cpu": "2" };
  await server.kubectl([
    "patch",
    "deployment",
    "web",
    "-p",
    JSON.stringify({ spec: { template: { metadata: { annotations } } } }),
  ]);
  await server.ok("rollout status deployment/web --timeout=60s");
  await server.ok("autoscale deployment web --cpu=80% --min=1 --max=20");
  await until(
    () => server.ok("get deployment web -o jsonpath={.spec.replicas}"),
    (replicas) => replicas === "5",
    60_000,
  );
  const top = await until(
    () => server.ok("top pods -l app=web --no-headers"),
    (text) => (text.match(/ 400m/g) ?? []).length === 5,
    30_000,
  );
  expect(top.trim().split("\n")).toHaveLength(5);
});

it("has faults where a node is annotated, and says which annotation it does not understand", async () => {
  await server.ok("annotate node simulated-1 simulation.drydock.dev/fault=NotReady,DiskPressure");
  await until(
    () => server.ok("get node simulated-1 -o jsonpath={.spec.taints[*].key}"),
    (keys) => keys.includes("node.kubernetes.io/not-ready") && keys.includes("node.kubernetes.io/disk-pressure"),
  );
  await server.ok("annotate node simulated-1 simulation.drydock.dev/fault-");
  await until(
    () => server.ok("get node simulated-1 -o jsonpath={.spec.taints[*].key}"),
    (keys) => keys === "",
  );
  await server.ok("annotate node simulated-2 simulation.drydock.dev/fault=Flood");
  const events = await until(
    () => server.ok("get events --field-selector=reason=InvalidSimulation -A"),
    (text) => text.includes("Flood"),
  );
  expect(events).toContain("Flood: not among NotReady, Unreachable");
});
