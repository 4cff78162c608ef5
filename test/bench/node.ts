/**
 * Real nodes: how soon a Pod is Ready, what the cluster's network carries, how soon a Service's change is in effect, what the agent
 * weighs. Each against a limit of the same run: a bare `docker run` on the same node, QEMU's own socket between the same two machines.
 *
 *   npm run bench -- node            all but the full node
 *   node test/bench/node.ts start|network|services|full …
 */
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Pod } from "../../common/kube/types.ts";
import type { ClusterSummary } from "../../common/contract/cluster.ts";
import { sh } from "../cluster/node/case.ts";
import { eventually } from "../cluster/support.ts";
import { openLab } from "../cluster/tools/lab.ts";
import type { Lab } from "../cluster/tools/lab.ts";

const IMAGE = "drydock.local/busybox:1";
/** The target is of 30; fewer tell the median sooner. */
const PODS = Number(process.env["DRYDOCK_PODS"] ?? 30);
const SERVICES = 1000;
const CHANGES = 10;
const FULL = 110;
const named = process.argv.slice(2);
const wanted = new Set(named.length > 0 ? named : ["start", "network", "services"]);

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const sorted = (values: number[]): number[] => values.toSorted((a, b) => a - b);
const quantile = (values: number[], part: number): number =>
  sorted(values)[Math.min(values.length - 1, Math.floor(values.length * part))] ?? Number.NaN;
const seconds = (millis: number): string => `${(millis / 1000).toFixed(2)} s`;

function podOf(name: string, node: string, more: object = {}): object {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    spec: {
      nodeName: node,
      terminationGracePeriodSeconds: 0,
      containers: [{ name: "main", image: IMAGE, command: ["sleep", "3600"] }],
      ...more,
    },
  };
}

/** Milliseconds from the request that creates the Pod until the API says that it is Ready. */
async function podStart(lab: Lab, name: string, more: object = {}): Promise<number> {
  const { connectEngine } = await import("../../main/engine/client.ts");
  const { client, close } = await connectEngine({ home: lab.dock.home });
  const request = (method: "GET" | "POST", path: string, body?: object): ReturnType<typeof client.kube.request> =>
    client.kube.request({
      cluster: lab.name,
      method,
      path,
      headers: { "content-type": "application/json" },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
  const began = performance.now();
  await request("POST", "/api/v1/namespaces/default/pods", podOf(name, `${lab.name}-worker-1`, more));
  for (;;) {
    const { body } = await request("GET", `/api/v1/namespaces/default/pods/${name}`);
    const { status } = JSON.parse(body) as Pod;
    if (status?.conditions?.some((one) => one.type === "Ready" && one.status === "True")) break;
    if (performance.now() - began > 120_000) throw new Error(`${name} is not Ready: ${body}`);
    await sleep(20);
  }
  const took = performance.now() - began;
  close();
  await lab.ok(["delete", "pod", name, "--grace-period=0", "--force"]);
  return took;
}

/** Milliseconds of a bare `docker run` on the same node, by the node's clock. */
async function dockerRun(lab: Lab): Promise<number> {
  const script = `a=$(date +%s%N); c=$(docker run -d --network none ${IMAGE} sleep 600); b=$(date +%s%N); docker rm -f $c >/dev/null; echo $((b-a))`;
  return Number((await lab.shell("worker-1", script)).trim()) / 1e6;
}

async function measureStart(lab: Lab): Promise<void> {
  const bare: number[] = [];
  const ahead: number[] = [];
  const scratch: number[] = [];
  await podStart(lab, "warm");
  for (let index = 0; index < PODS; index++) {
    bare.push(await dockerRun(lab));
    // The pool of sandboxes is filled again when nothing has been started for some seconds.
    await eventually(
      "sandboxes wait",
      () => lab.shell("worker-1", "docker ps --format '{{.Names}}' | grep -c pool"),
      (text) => Number(text) >= 2,
    );
    ahead.push(await podStart(lab, `ahead-${index}`));
    const sysctls = [{ name: "net.ipv4.ip_unprivileged_port_start", value: "77" }];
    if (index % 3 === 0) scratch.push(await podStart(lab, `scratch-${index}`, { securityContext: { sysctls } }));
  }
  const limit = quantile(bare, 0.5);
  const line = (what: string, values: number[]): void =>
    say(
      `${what} (${values.length}): median ${seconds(quantile(values, 0.5))}, p99 ${seconds(quantile(values, 0.99))}: ` +
        `${(quantile(values, 0.5) / limit).toFixed(2)} and ${(quantile(values, 0.99) / limit).toFixed(2)} times docker run's median`,
    );
  line("docker run", bare);
  line("Pod, its sandbox started ahead", ahead);
  line("Pod from scratch", scratch);
}

const MEBIBYTES = 96;
const SINK = "10.240.0.22";

/** MiB a second and milliseconds of a round trip, from worker-1 to what listens on worker-2. */
async function traffic(lab: Lab): Promise<{ rate: number; trip: number }> {
  const bytes = MEBIBYTES * 1048576;
  const send = `a=$(date +%s%N); head -c ${bytes} /dev/zero | nc ${SINK} 9999; b=$(date +%s%N); echo $((b-a))`;
  const nanos = Number((await lab.shell("worker-1", send, 600_000)).trim());
  await sleep(2000);
  const ping = await lab.shell("worker-1", `ping -c 60 -i 0.1 ${SINK} | tail -1`);
  const trip = Number(/= [\d.]+\/([\d.]+)\//.exec(ping)?.[1]);
  return { rate: MEBIBYTES / (nanos / 1e9), trip };
}

/**
 * Starts the second machine again with QEMU's stream backend as a client of the first's: the same two guests, no switch between
 * them. The first's socket takes the new partner once the switch has let go of it.
 */
async function joinDirectly(lab: Lab): Promise<() => void> {
  const { nodes } = await lab.dock.json<ClusterSummary>("status", lab.name);
  const commandOf = async (node: string): Promise<string[]> => {
    const pid = nodes.find(({ name }) => name === `${lab.name}-${node}`)?.pid;
    return (await readFile(`/proc/${pid}/cmdline`, "utf8")).split("\0").slice(0, -1);
  };
  const [first, second] = [await commandOf("worker-1"), await commandOf("worker-2")];
  const listens = (args: string[]): string =>
    args.find((argument) => argument.startsWith("stream,id=cluster")) as string;
  const socket = /addr\.path=(.*)$/.exec(listens(first))?.[1] ?? "";
  await lab.dock.ok("node", "stop", "worker-2", "-c", lab.name);
  lab.network.detach(lab.network.stats().find(({ machineId }) => machineId.endsWith("worker-1"))?.machineId ?? "");
  const args = second
    .map((argument) =>
      argument === listens(second) ? `stream,id=cluster,server=off,addr.type=unix,addr.path=${socket}` : argument,
    )
    .map((argument) => argument.replace(/^memory-backend-file,.*size=(\d+M).*$/, "memory-backend-ram,id=ram,size=$1"));
  const incoming = args.indexOf("-incoming");
  if (incoming >= 0) args.splice(incoming, 2);
  const machine = spawn(args[0] as string, args.slice(1), { stdio: "ignore" });
  return () => void machine.kill("SIGKILL");
}

async function measureNetwork(lab: Lab): Promise<void> {
  const sink = sh("while :; do nc -l -p 9999 >/dev/null; done");
  const pod = podOf("sink", `${lab.name}-worker-2`, { hostNetwork: true, containers: [sink] });
  const listens = (millis: number): Promise<string> =>
    eventually(
      "somebody listens on the other node",
      () => lab.shell("worker-1", `echo | nc -w 2 ${SINK} 9999 && echo open`),
      (text) => text.includes("open"),
      millis,
    );
  await lab.ok(["create", "-f", "-"], JSON.stringify(pod));
  await listens(120_000);
  const switched = [await traffic(lab), await traffic(lab), await traffic(lab)];
  // A node that is stopped ends its Pods for good: this one is made anew.
  await lab.ok(["delete", "pod", "sink", "--grace-period=0", "--force"]);
  const stop = await joinDirectly(lab);
  try {
    await lab.ok(["create", "-f", "-"], JSON.stringify(pod));
    await listens(900_000);
    await sleep(30_000);
    const direct = [await traffic(lab), await traffic(lab), await traffic(lab)];
    const best = (all: { rate: number; trip: number }[]): { rate: number; trip: number } => ({
      rate: Math.max(...all.map(({ rate }) => rate)),
      trip: Math.min(...all.map(({ trip }) => trip)),
    });
    const [ours, qemu] = [best(switched), best(direct)];
    say(`our switch, best of 3: ${ours.rate.toFixed(1)} MiB/s, round trip ${ours.trip.toFixed(2)} ms`);
    say(`QEMU's own socket, best of 3: ${qemu.rate.toFixed(1)} MiB/s, round trip ${qemu.trip.toFixed(2)} ms`);
    say(`ratio: throughput ${(ours.rate / qemu.rate).toFixed(2)}, latency ${(qemu.trip / ours.trip).toFixed(2)}`);
  } finally {
    stop();
  }
}

/** When word came that a node's proxy had written rules (Unix milliseconds of this computer), for each node. */
async function followProxies(lab: Lab): Promise<{ times: Map<string, number[]>; close(): void }> {
  const { connectEngine } = await import("../../main/engine/client.ts");
  const { client, close } = await connectEngine({ home: lab.dock.home });
  const { nodes } = await lab.dock.json<ClusterSummary>("status", lab.name);
  const times = new Map(nodes.map(({ name }) => [name, [] as number[]]));
  const follow = async (node: string): Promise<void> => {
    const lines = await client.nodes.logs({ cluster: lab.name, node, source: "agent", lines: 0, follow: true });
    for await (const line of lines) if (line.includes(" proxy: ")) times.get(node)?.push(Date.now());
  };
  // They end with the connection.
  for (const { name } of nodes) follow(name).catch(() => undefined);
  return { times, close };
}

async function measureServices(lab: Lab): Promise<void> {
  const service = (index: number): object => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: `many-${index}` },
    spec: { ports: [{ port: 80 }] },
  });
  const slice = (index: number, address: string): object => ({
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: `many-${index}`, labels: { "kubernetes.io/service-name": `many-${index}` } },
    addressType: "IPv4",
    ports: [{ port: 8080, protocol: "TCP" }],
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
  });
  const all = Array.from({ length: SERVICES }, (_, index) => [service(index), slice(index, "192.0.2.1")]).flat();
  const made = await lab.kubectl(["create", "-f", "-"], all.map((one) => JSON.stringify(one)).join("\n---\n"));
  if (made.code !== 0 && !made.stderr.includes("AlreadyExists")) throw new Error(made.stderr);
  const { times, close } = await followProxies(lab);
  const settled = async (): Promise<void> => {
    for (let before = -1, now = 0; before !== now;) {
      before = now;
      await sleep(10_000);
      now = [...times.values()].flat().length;
    }
  };
  await settled();
  const took: number[] = [];
  for (let index = 0; index < CHANGES; index++) {
    const patch = JSON.stringify({ endpoints: [{ addresses: [`192.0.2.${index + 2}`], conditions: { ready: true } }] });
    const change = ["patch", "endpointslice", `many-${index}`, "--type=merge", "-p", patch];
    for (const each of times.values()) each.length = 0;
    // From when the API has it: kubectl's own start is not the cluster's.
    await lab.ok(change);
    const written = Date.now();
    await eventually(
      "every node has written it",
      async () => [...times.values()],
      (all) => all.every((each) => each.length > 0),
      60_000,
    );
    took.push(Math.max(0, Math.max(...[...times.values()].map(([first]) => first as number)) - written));
    await settled();
  }
  close();
  say(
    `a change of one of ${SERVICES} Services, from kubectl's end to the last node's word that its rules are written ` +
      `(${CHANGES}): median ${seconds(quantile(took, 0.5))}, worst ${seconds(Math.max(...took))}`,
  );
}

/** Resident MB of the agent, and its share of a core over ten seconds. */
async function agent(lab: Lab, node: string): Promise<{ megabytes: number; percent: number }> {
  const read =
    "p=$(pgrep -f '[a]gent.cjs' | head -1); awk '/VmRSS/{print $2}' /proc/$p/status; awk '{print $14+$15}' /proc/$p/stat";
  const values = (await lab.shell(node, `${read}; sleep 30; ${read}`)).trim().split("\n").map(Number);
  const [memory = 0, ticks = 0, , later = 0] = values;
  return { megabytes: (memory * 1024) / 1e6, percent: (later - ticks) / 30 };
}

async function measureFull(lab: Lab): Promise<void> {
  const onNode = ["get", "pods", "-A", "-o", "name", `--field-selector=spec.nodeName=${lab.name}-worker-1`];
  const others = (await lab.ok(onNode)).split("\n").filter(Boolean).length;
  const count = FULL - others;
  const began = performance.now();
  const pods = Array.from({ length: count }, (_, index) => podOf(`full-${index}`, `${lab.name}-worker-1`));
  await lab.ok(["create", "-f", "-"], pods.map((one) => JSON.stringify(one)).join("\n---\n"));
  const phases = ["get", "pods", "-o", "jsonpath={range .items[*]}{.status.phase}{'\\n'}{end}"];
  await eventually(
    `${count} Pods run`,
    () => lab.ok(phases),
    (text) => text.split("\n").filter((phase) => phase === "Running").length >= count,
    3_600_000,
  );
  say(`${FULL} Pods on one node: all run after ${seconds(performance.now() - began)}`);
  await sleep(90_000);
  const { megabytes, percent } = await agent(lab, "worker-1");
  say(`the agent with ${FULL} Pods at rest: ${megabytes.toFixed(0)} MB, ${percent.toFixed(1)} % of a core`);
}

const lab = await openLab("bench", ...(wanted.has("full") ? ["--memory", "4G", "--workers", "1"] : []));
try {
  const idle = await agent(lab, "worker-1");
  say(`the agent of a Ready node: ${idle.megabytes.toFixed(0)} MB, ${idle.percent.toFixed(1)} % of a core`);
  if (wanted.has("start")) await measureStart(lab);
  if (wanted.has("services")) await measureServices(lab);
  if (wanted.has("full")) await measureFull(lab);
  if (wanted.has("network")) await measureNetwork(lab);
} finally {
  await lab.dispose();
}
process.exit(0);
