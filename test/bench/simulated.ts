/**
 * Large clusters of simulated nodes: how long a Deployment of 1,000 replicas takes on 1,000 nodes until all are Ready,
 * and what a cluster of 5,000 nodes and 50,000 Pods costs while nothing happens.
 *
 *   npm run bench -- simulated
 *   node test/bench/simulated.ts [deployment] [steady]
 */
import { mkdirSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Load, cpuMillis, firstLine, folder, program, report, residentMiB, stop } from "./load.ts";
import type { Program } from "./load.ts";

const REPLICAS = 1000;
const STEADY = {
  nodes: Number(process.env["DRYDOCK_BENCH_NODES"] ?? 5000),
  pods: Number(process.env["DRYDOCK_BENCH_PODS"] ?? 50_000),
  seconds: 60,
};
const DEADLINE_SECONDS = 600;

async function start(nodes: number): Promise<{ program: Program; load: Load }> {
  const data = path.join(folder, `simulated-${nodes}`);
  mkdirSync(data, { recursive: true });
  const flags = ["--data", data, "--port", "0", "--kubeconfig", path.join(data, "kubeconfig")];
  const began = performance.now();
  const started = await firstLine([program, ...flags, `--simulated-nodes=${nodes}`]);
  const load = Load.of(data);
  // A change of a Node's status is a Ready one; nothing else is asked of the server meanwhile.
  await until(async () => (await count(load, "/api/v1/nodes?limit=1")) >= nodes);
  report(`${nodes} nodes registered`, (performance.now() - began) / 1000, "s");
  await sleep(5000 + nodes);
  return { program: started, load };
}

/** How many there are, without fetching them. */
async function count(load: Load, target: string): Promise<number> {
  const list = JSON.parse((await load.send("GET", target)).text()) as {
    metadata: { remainingItemCount?: number };
    items: unknown[];
  };
  return list.items.length + (list.metadata.remainingItemCount ?? 0);
}

async function until(done: () => Promise<boolean>, pauseMillis = 100): Promise<void> {
  for (const deadline = Date.now() + DEADLINE_SECONDS * 1000; !(await done());) {
    if (Date.now() > deadline) throw new Error(`not done within ${DEADLINE_SECONDS} s`);
    await sleep(pauseMillis);
  }
}

function deployment(name: string, replicas: number): object {
  const labels = { app: name };
  const resources = { requests: { cpu: "100m", memory: "64Mi" } };
  const spec = { containers: [{ name: "c", image: "drydock.local/pause", resources }] };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, namespace: "default" },
    spec: { replicas, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
  };
}

const DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments";

async function allReady(load: Load, name: string, replicas: number, pauseMillis?: number): Promise<void> {
  await until(async () => {
    const { status } = JSON.parse((await load.send("GET", `${DEPLOYMENTS}/${name}`)).text()) as {
      status?: { readyReplicas?: number };
    };
    return status?.readyReplicas === replicas;
  }, pauseMillis);
}

async function ofOneDeployment(): Promise<void> {
  const { program: running, load } = await start(1000);
  for (const round of ["first", "second"]) {
    const cpu = cpuMillis(running.child);
    const began = performance.now();
    await load.send("POST", DEPLOYMENTS, deployment(round, REPLICAS));
    await allReady(load, round, REPLICAS, 25);
    const each = (cpuMillis(running.child) - cpu) / REPLICAS;
    const note = `target 10; ${round} time; ${each.toFixed(2)} ms of processor a Pod in all`;
    report(`Deployment of ${REPLICAS} replicas Ready`, (performance.now() - began) / 1000, "s", note);
  }
  load.close();
  await stop(running.child);
}

async function steady(): Promise<void> {
  const { nodes, pods, seconds } = STEADY;
  const { program: running, load } = await start(nodes);
  const began = performance.now();
  for (let made = 0; made < pods; made += REPLICAS) {
    const name = `app-${made / REPLICAS}`;
    await load.send("POST", DEPLOYMENTS, deployment(name, Math.min(REPLICAS, pods - made)));
    await allReady(load, name, Math.min(REPLICAS, pods - made));
  }
  const took = (performance.now() - began) / 1000;
  report(`${pods} Pods Ready on ${nodes} nodes`, took, "s", `${(pods / took).toFixed(0)} Pods/s by Deployments`);
  await sleep(30_000);
  const cpu = cpuMillis(running.child);
  await sleep(seconds * 1000);
  const share = (cpuMillis(running.child) - cpu) / (seconds * 10);
  report(`steady state, ${nodes} nodes, ${pods} Pods`, share, "% of a core", "target 20");
  report("its memory", residentMiB(running.child), "MiB");
  load.close();
  await stop(running.child);
}

const parts = { deployment: ofOneDeployment, steady };
const wanted = process.argv.slice(2);
for (const [name, run] of Object.entries(parts)) if (wanted.length === 0 || wanted.includes(name)) await run();
process.exit(0);
