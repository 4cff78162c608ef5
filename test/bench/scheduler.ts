/**
 * Pods a second from created to bound, through the API: default Pods at 100, 1,000 and 5,000 nodes (what one
 * Pod costs must not grow with the cluster), and Pods with anti-affinity and spread constraints at 1,000.
 * Load, server and scheduler share the same cores. Nodes are only objects: nobody runs the Pods.
 *
 *   npm run bench -- scheduler
 *   node test/bench/scheduler.ts [NODES …]
 */
import { mkdirSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Load, cpuMillis, folder, report, startControlPlane, stop } from "./load.ts";
import type { Program } from "./load.ts";

const PODS = Number(process.env["DRYDOCK_BENCH_PODS"] ?? 3000);
const WARM_UP = 300;
const BOUND_SECONDS = 120;
const ZONES = ["a", "b", "c"];
/** Applications among which the constrained Pods are divided. */
const APPS = 20;

const sizes = process.argv.slice(2).map(Number);

function node(at: number): object {
  const name = `node-${at}`;
  const labels = {
    "kubernetes.io/hostname": name,
    "topology.kubernetes.io/zone": `zone-${ZONES[at % ZONES.length]}`,
  };
  const now = new Date().toISOString();
  const resources = { cpu: "64", memory: "256Gi", pods: "110" };
  const condition = { type: "Ready", status: "True", reason: "KubeletReady", message: "" };
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels },
    status: {
      allocatable: resources,
      capacity: resources,
      conditions: [{ ...condition, lastHeartbeatTime: now, lastTransitionTime: now }],
    },
  };
}

type Shape = (at: number) => { labels: Record<string, string>; spec: object };

const plain: Shape = () => ({ labels: { app: "plain" }, spec: {} });
/** Every Pod keeps away from the nodes of its own application and spreads over zones. */
const constrained: Shape = (at) => {
  const labels = { app: `app-${at % APPS}` };
  const labelSelector = { matchLabels: labels };
  return {
    labels,
    spec: {
      affinity: {
        podAntiAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: "kubernetes.io/hostname", labelSelector }],
        },
      },
      topologySpreadConstraints: [
        {
          maxSkew: 2,
          topologyKey: "topology.kubernetes.io/zone",
          whenUnsatisfiable: "DoNotSchedule",
          labelSelector,
        },
      ],
    },
  };
};

function pod(name: string, shape: Shape, at: number): object {
  const { labels, spec } = shape(at);
  const resources = { requests: { cpu: "100m", memory: "64Mi" } };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default", labels },
    spec: { containers: [{ name: "c", image: "drydock.local/pause", resources }], ...spec },
  };
}

/** Counts the Pods that are bound, as one watcher sees it. */
class Bound {
  readonly names = new Set<string>();
  #rest = "";

  take(data: Buffer): void {
    const lines = (this.#rest + data.toString()).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const name = /"name":"([^"]+)"/.exec(line)?.[1];
      if (name && line.includes('"nodeName":"')) this.names.add(name);
    }
  }

  async until(count: number): Promise<void> {
    const deadline = Date.now() + BOUND_SECONDS * 1000;
    while (this.names.size < count) {
      if (Date.now() > deadline) throw new Error(`only ${this.names.size} of ${count} Pods are bound`);
      await sleep(2);
    }
  }
}

async function run(nodes: number, shapes: [string, Shape][]): Promise<void> {
  const data = path.join(folder, `nodes-${nodes}`);
  mkdirSync(data, { recursive: true });
  const program: Program = await startControlPlane(data);
  const load = Load.of(data);
  await load.rate(nodes, (at) => load.send("POST", "/api/v1/nodes", node(at)));
  await load.rate(nodes, (at) => load.send("PUT", `/api/v1/nodes/node-${at}/status`, node(at)));
  // Controllers have answered the new nodes: ranges, Leases' first look.
  await sleep(1000 + nodes);
  const bound = new Bound();
  const watch = await load.send("GET", "/api/v1/namespaces/default/pods?watch=true", undefined, {
    onData: (bytes) => bound.take(bytes),
  });
  let before = 0;
  const round = async (count: number, prefix: string, shape: Shape): Promise<{ rate: number; cpu: number }> => {
    const cpu = cpuMillis(program.child);
    const began = performance.now();
    await load.rate(count, (at) =>
      load.send("POST", "/api/v1/namespaces/default/pods", pod(`${prefix}-${at}`, shape, at)),
    );
    await bound.until((before += count));
    const seconds = (performance.now() - began) / 1000;
    return { rate: count / seconds, cpu: (cpuMillis(program.child) - cpu) / count };
  };
  await round(WARM_UP, "warm", plain);
  for (const [name, shape] of shapes) {
    const { rate, cpu } = await round(PODS, name, shape);
    report(`${name} Pods bound, ${nodes} nodes`, rate, "Pods/s", `${cpu.toFixed(2)} ms of processor a Pod in all`);
  }
  watch.close();
  load.close();
  await stop(program.child);
}

for (const size of sizes.length > 0 ? sizes : [100, 1000, 5000]) {
  const both = size === 1000 || sizes.length > 0;
  await run(size, [
    ["plain", plain],
    ...(both && size >= PODS / APPS ? ([["constrained", constrained]] as [string, Shape][]) : []),
  ]);
}
process.exit(0);
