/**
 * A large cluster's objects in one control plane: 150,000 Pods and 5,000 Nodes made through the API. What they
 * weigh, whether get and paged list are as quick as when empty, how soon it is ready again with them, and how long
 * its event loop is ever held up. Needs the built app (`npm run build`).
 *
 *   npm run bench -- scale            DRYDOCK_BENCH_PODS=20000 for less
 */
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Load, folder, loopDelays, report, reportDelays, residentMiB, startControlPlane, stop } from "./load.ts";
import type { Reply } from "./load.ts";

const PODS = Number(process.env["DRYDOCK_BENCH_PODS"] ?? 150_000);
const NODES = Math.round(PODS / 30);
const WATCHERS = 200;
const PAGE = 500;

const data = path.join(folder, "scale");
const delays = path.join(folder, "delays.json");
const pods = "/api/v1/namespaces/scale/pods";

const node = (name: string): unknown => ({
  apiVersion: "v1",
  kind: "Node",
  metadata: {
    name,
    labels: { "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "topology.kubernetes.io/zone": "z" },
  },
  spec: { podCIDR: "10.244.0.0/24" },
  status: {
    capacity: { cpu: "8", memory: "32Gi", pods: "110" },
    allocatable: { cpu: "8", memory: "32Gi", pods: "110" },
    addresses: [
      { type: "InternalIP", address: "10.240.0.1" },
      { type: "Hostname", address: name },
    ],
    nodeInfo: { kubeletVersion: "v1.36.0", osImage: "Debian", architecture: "amd64", operatingSystem: "linux" },
  },
});

const nodeOf = (index: number): string => `node-${index % NODES}`;

const pod = (name: string, index: number): unknown => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, labels: { app: `app-${index % 300}`, "pod-template-hash": "5d4f8c7b9d" } },
  spec: {
    nodeName: nodeOf(index),
    containers: [
      {
        name: "web",
        image: "registry.example/web:1.2.3",
        ports: [{ containerPort: 8080, name: "http" }],
        env: [{ name: "MODE", value: "production" }],
        resources: { requests: { cpu: "10m", memory: "32Mi" }, limits: { memory: "64Mi" } },
        readinessProbe: { httpGet: { path: "/healthz", port: "http" }, periodSeconds: 5 },
      },
    ],
  },
});

async function ready(load: Load): Promise<void> {
  await load.send("POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: "scale" } });
  for (const deadline = Date.now() + 10_000; Date.now() < deadline; await sleep(50)) {
    if ((await load.send("GET", "/api/v1/namespaces/scale/serviceaccounts/default")).status === 200) return;
  }
  throw new Error("the namespace has no service account");
}

const get = (load: Load, name: string): Promise<Reply> => load.send("GET", `${pods}/${name}`);

/** The second page, whose snapshot is a past one as soon as anything is written. */
async function secondPage(load: Load): Promise<() => Promise<Reply>> {
  const first = await load.send("GET", `${pods}?limit=${PAGE}`);
  const token = (/"continue":"([^"]*)"/.exec(first.text()) ?? [])[1] ?? "";
  return () => load.send("GET", `${pods}?limit=${PAGE}&continue=${token}`);
}

async function quickness(load: Load, when: string): Promise<void> {
  report(`get, one after another, ${when}`, await load.median(300, () => get(load, "pod-7")), "ms", "median");
  const page = (): Promise<Reply> => load.send("GET", `${pods}?limit=${PAGE}`);
  report(`page of ${PAGE}, ${when}`, await load.median(20, page), "ms", "median");
  report(`second page of ${PAGE}, ${when}`, await load.median(20, await secondPage(load)), "ms", "median");
  const ofNode = (): Promise<Reply> => load.send("GET", `/api/v1/pods?fieldSelector=spec.nodeName%3D${nodeOf(7)}`);
  report(`Pods of a node, ${when}`, await load.median(20, ofNode), "ms", "median");
}

let { child } = await startControlPlane(data, delays);
let load = Load.of(data);
await ready(load);
for (let index = 0; index < 2 * PAGE; index += 32)
  await load.rate(32, (at) => load.send("POST", pods, pod(`pod-${index + at}`, index + at)));
await quickness(load, "nearly empty");
reportDelays("starting, nearly empty", await loopDelays(child, delays));

const first = Math.ceil((2 * PAGE) / 32) * 32;
report(
  "Nodes made",
  await load.rate(NODES, (index) => load.send("POST", "/api/v1/nodes", node(`node-${index}`))),
  "req/s",
);
const made = await load.rate(PODS - first, (at) => load.send("POST", pods, pod(`pod-${first + at}`, first + at)));
report("Pods made", made, "req/s", `${PODS} of them`);
reportDelays("while they are made", await loopDelays(child, delays));
await sleep(3000);
report("memory (resident)", residentMiB(child), "MiB", "target 1536");
await quickness(load, "full");
reportDelays("gets and pages", await loopDelays(child, delays));

let seen = 0;
const watches = await Promise.all(
  Array.from({ length: WATCHERS }, (_, at) => {
    const query = `watch=1&fieldSelector=spec.nodeName%3D${nodeOf(at)}`;
    return load.send("GET", `/api/v1/pods?${query}`, undefined, {
      onData: (part) => (seen += String(part).split('"type":"MODIFIED"').length - 1),
    });
  }),
);
const label = (at: number): Promise<Reply> =>
  load.send(
    "PATCH",
    `${pods}/pod-${at}`,
    { metadata: { labels: { touched: "yes" } } },
    { headers: { "content-type": "application/merge-patch+json" } },
  );
const PATCHES = Math.min(2000, PODS);
const expected = Array.from({ length: PATCHES }, (_, at) => at % NODES).filter((at) => at < WATCHERS).length;
const patched = await load.rate(PATCHES, label);
await sleep(500);
report(`patches beside ${WATCHERS} watches of a node`, patched, "req/s", `${seen} of ${expected} events came`);
for (const watch of watches) watch.close();
reportDelays("patches and watches", await loopDelays(child, delays));

const whole = performance.now();
const all = await load.send("GET", "/api/v1/pods");
report("all Pods in one list", performance.now() - whole, "ms", `${(all.bytes / 1e6).toFixed(0)} MB`);
reportDelays("that list", await loopDelays(child, delays));
const table = performance.now();
await load.send("GET", "/api/v1/pods", undefined, {
  headers: { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" },
});
report("all Pods in one Table", performance.now() - table, "ms");
reportDelays("that Table", await loopDelays(child, delays));
report("memory after that (resident)", residentMiB(child), "MiB");
load.close();
await stop(child);

const again = await startControlPlane(data, delays);
({ child } = again);
report("ready again with them", again.millis, "ms", "target 10000");
load = Load.of(data);
const answered = performance.now();
await get(load, "pod-7");
report("first get then", performance.now() - answered, "ms");
await sleep(10_000);
reportDelays("starting with them", await loopDelays(child, delays));
report("memory then (resident)", residentMiB(child), "MiB", "target 1536");
await quickness(load, "after the restart");
load.close();
await stop(child);
process.exit(0);
