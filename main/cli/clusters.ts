/** Commands on clusters: up, down, delete, list, status, kubeconfig. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline/promises";
import type { ClusterPlanInput, ClusterSummary, HostMount } from "../../common/contract/cluster.ts";
import type { EngineClient } from "../engine/client.ts";
import { UsageError, failureIn } from "./exit.ts";
import { age, mebibytes, print, printJSON, table } from "./output.ts";
import { followOperation } from "./progress.ts";
import { clusterNamed, withEngine } from "./session.ts";

export interface DataOptions {
  output?: "json";
}

export interface UpOptions extends DataOptions {
  masters?: number;
  workers?: number;
  cpus?: number;
  memory?: number;
  disk?: number;
  driver?: "qemu" | "lima" | "simulated";
  accel?: "auto" | "kvm" | "hvf" | "tcg";
  /** Path of a file. */
  simulation?: string;
  mount?: string[];
}

export function up(name: string | undefined, options: UpOptions): Promise<void> {
  return withEngine(async (client) => {
    const cluster = name ?? "drydock";
    const existing = await find(client, cluster);
    if (existing) warnAboutChanges(existing, options);
    if (existing?.state === "running") process.stderr.write(`${cluster} is running already\n`);
    else
      await followOperation(
        client,
        await (existing ? client.clusters.start({ cluster }) : client.clusters.create(planOf(cluster, options))),
      );
    const { path: file, context } = await client.clusters.kubeconfig({ cluster });
    const summary = await client.clusters.get({ cluster });
    if (options.output === "json") printJSON(summary);
    else
      print(
        `cluster ${cluster} is up: ${summary.nodes.length} nodes, API server ${summary.apiServer ?? "stopped"}\n  export KUBECONFIG=${file}\n  or: drydock kubeconfig ${cluster} --merge && kubectl --context ${context} get nodes`,
      );
  });
}

export function down(name: string | undefined): Promise<void> {
  return withEngine(async (client) => {
    const cluster = await clusterNamed(client, name);
    if (cluster.state === "stopped") process.stderr.write(`${cluster.name} is stopped already\n`);
    else await followOperation(client, await client.clusters.stop({ cluster: cluster.name }));
  });
}

export function remove(name: string | undefined, options: { yes?: boolean }): Promise<void> {
  return withEngine(async (client) => {
    const cluster = await clusterNamed(client, name);
    if (!options.yes)
      await confirm(`Delete cluster ${cluster.name} with its ${cluster.nodes.length} nodes and everything in it?`);
    await followOperation(client, await client.clusters.delete({ cluster: cluster.name }));
  });
}

export function list(options: DataOptions): Promise<void> {
  return withEngine(async (client) => {
    const clusters = await client.clusters.list();
    if (options.output === "json") printJSON(clusters);
    else if (clusters.length === 0) print("no clusters; create one with: drydock up");
    else {
      const rows = clusters.map((cluster) => [
        cluster.name,
        cluster.state,
        `${cluster.nodes.filter((node) => node.ready).length}/${cluster.nodes.length}`,
        cluster.plan.driver,
        cluster.apiServer ?? "-",
        age(Date.parse(cluster.createdAt)),
      ]);
      print(table(["NAME", "STATE", "READY", "DRIVER", "API SERVER", "AGE"], rows));
    }
  });
}

export function status(name: string | undefined, options: DataOptions): Promise<void> {
  return withEngine(async (client) => {
    const cluster = await clusterNamed(client, name);
    if (options.output === "json") printJSON(cluster);
    else print(statusText(cluster));
  });
}

export function kubeconfig(name: string | undefined, options: DataOptions & { merge?: boolean }): Promise<void> {
  return withEngine(async (client) => {
    const cluster = await clusterNamed(client, name);
    const { userKubeconfig } = await import("../clusters/kubeconfig.ts");
    const { resolve } = await import("node:path");
    // This shell's file: the engine was started by another.
    const merge = options.merge ? { merge: true, file: resolve(userKubeconfig()) } : {};
    const answer = await client.clusters.kubeconfig({ cluster: cluster.name, ...merge });
    if (options.output === "json") printJSON(answer);
    else print(answer.path);
    if (options.merge) process.stderr.write(`context ${answer.context} is current in ${answer.path}\n`);
  });
}

export function statusText(cluster: ClusterSummary): string {
  const rows = cluster.nodes.map((node) => [
    node.name,
    node.role,
    node.machine,
    node.ready === undefined ? "-" : node.ready ? "Ready" : "NotReady",
    node.address,
    node.hostMemoryBytes === undefined ? "-" : mebibytes(node.hostMemoryBytes),
    node.pid === undefined ? "-" : String(node.pid),
  ]);
  const lines = [
    `${cluster.name}: ${cluster.state}`,
    `  driver         ${cluster.plan.driver} (${cluster.accelerator})`,
    `  control plane  ${cluster.controlPlane}${cluster.apiServer ? ` at ${cluster.apiServer}` : ""}`,
    `  kubeconfig     ${cluster.kubeconfig}`,
    "",
    table(["NODE", "ROLE", "MACHINE", "KUBERNETES", "ADDRESS", "HOST MEMORY", "PROCESS"], rows),
  ];
  if (cluster.nodePorts.length > 0) {
    const ports = cluster.nodePorts.map((port) => [
      `${port.namespace}/${port.service}`,
      String(port.nodePort),
      `http://127.0.0.1:${port.hostPort}`,
    ]);
    lines.push("", table(["SERVICE", "NODE PORT", "ON THIS COMPUTER"], ports));
  }
  if (cluster.loadBalancers.length > 0) {
    const rows = cluster.loadBalancers.flatMap(({ namespace, service, address, ports }) =>
      ports.map(({ port, hostPort, protocol }) => [
        `${namespace}/${service}`,
        `${port}/${protocol}`,
        `${address}:${hostPort}`,
      ]),
    );
    lines.push("", table(["LOAD BALANCER", "PORT", "ON THIS COMPUTER"], rows));
  }
  for (const failure of [cluster.failure, ...cluster.nodes.map((node) => node.failure)]) {
    if (failure) lines.push("", `${failure.code}: ${failure.message}`, `  advice: ${failure.advice}`);
  }
  return lines.join("\n");
}

async function find(client: EngineClient, cluster: string): Promise<ClusterSummary | undefined> {
  try {
    return await client.clusters.get({ cluster });
  } catch (error) {
    if (failureIn(error)?.code === "CLUSTER_UNKNOWN") return undefined;
    throw error;
  }
}

/** Throws UsageError on a file that cannot be read; what is in it the engine judges. */
function planOf(name: string, options: UpOptions): ClusterPlanInput {
  const { masters, workers, cpus, memory, disk, driver, accel, simulation, mount = [] } = options;
  return {
    name,
    ...(masters === undefined ? {} : { masters }),
    ...(workers === undefined ? {} : { workers }),
    ...(cpus === undefined ? {} : { cpus }),
    ...(memory === undefined ? {} : { memoryMiB: memory }),
    ...(disk === undefined ? {} : { diskGiB: disk }),
    ...(driver === undefined ? {} : { driver }),
    ...(accel === undefined ? {} : { accelerator: accel }),
    ...(simulation === undefined ? {} : { simulation: textOf(simulation) }),
    ...(mount.length === 0 ? {} : { mounts: mount.map(mountOf) }),
  };
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new UsageError(`--simulation ${file}: ${(error as Error).message}`);
  }
}

/** "./site:/site" or "./site:/site:rw". Throws UsageError. */
export function mountOf(text: string): HostMount {
  const match = /^(.+):(\/[^:]*)(?::(rw|ro))?$/.exec(text);
  if (!match) throw new UsageError(`--mount ${text}: say HOST:NODE or HOST:NODE:rw, e.g. ./site:/site`);
  const [, host = "", node = "", mode] = match;
  return { host: path.resolve(host), node, readOnly: mode !== "rw" };
}

/** An existing cluster keeps its shape: options that ask for another one are not silently ignored. */
function warnAboutChanges(cluster: ClusterSummary, options: UpOptions): void {
  const wanted = planOf(cluster.name, options);
  const differing = Object.entries(wanted).filter(
    ([key, value]) => JSON.stringify(cluster.plan[key as keyof ClusterSummary["plan"]]) !== JSON.stringify(value),
  );
  if (differing.length > 0) {
    process.stderr.write(
      `${cluster.name} exists and keeps its settings; ignored: ${differing.map(([key]) => key).join(", ")}\n`,
    );
  }
}

async function confirm(question: string): Promise<void> {
  if (!process.stdin.isTTY) throw new UsageError("say --yes to delete without being asked");
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await lines.question(`${question} [y/N] `);
  lines.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new UsageError("not deleted");
}
