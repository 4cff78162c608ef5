/**
 * All clusters of the data folder: finds them when the engine starts (and takes up those that run),
 * begins operations on them, one at a time for each, and tells of every change.
 */
import { mkdir, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { ClusterPlan } from "../../common/contract/cluster.ts";
import type { ClusterSummary, Finding, HostMount, NodeShapeChange } from "../../common/contract/cluster.ts";
import type { Operation } from "../../common/contract/progress.ts";
import type { HostFolder, ImageProxy } from "../../common/node/identity.ts";
import { freePort } from "../host/free-port.ts";
import type { MachineDriver } from "../machines/driver.ts";
import type { DriverName } from "../machines/drivers.ts";
import { Broken } from "./broken.ts";
import { Cluster } from "./cluster.ts";
import { FILE_VERSION, readClusterFile } from "./cluster-file.ts";
import type { ClusterRecord } from "./cluster-file.ts";
import { fail, toFailure } from "./failure.ts";
import { watchClock } from "./host.ts";
import { HostCheck } from "./host-check.ts";
import {
  createSteps,
  deleteSteps,
  membersOf,
  nodeStopSteps,
  removeEverything,
  runCreate,
  runDelete,
  runNodeStop,
  runStart,
  runStop,
  startSteps,
  stopSteps,
} from "./lifecycle.ts";
import {
  nodeAddSteps,
  nodeRemoveSteps,
  nodeSetSteps,
  runNodeAdd,
  runNodeRemove,
  runNodeSet,
} from "./node-operations.ts";
import { changedShape, nextWorkers } from "./node-shape.ts";
import type { OperationRun, StepPlan } from "./operation.ts";
import { Operations } from "./operations.ts";
import { nodesOf } from "./plan.ts";
import { Topic } from "./topic.ts";

export interface ManagerOptions {
  /** The folder of the clusters' folders. */
  clusters: string;
  run: string;
  /** Where usual step times are kept. */
  times: string;
  driver(name: DriverName): Promise<MachineDriver>;
  imageProxy(): Promise<ImageProxy>;
  shareFolders(cluster: string, mounts: readonly HostMount[]): Promise<HostFolder[]>;
  log(line: string): void;
}

const MEASURE_MILLIS = 10_000;

export class ClusterManager {
  readonly topic = new Topic();
  readonly operations: Operations;
  private readonly options: ManagerOptions;
  private readonly host: HostCheck;
  private readonly clusters = new Map<string, Cluster>();
  private readonly broken = new Map<string, Broken>();
  /** Names that are being created, so that two cannot take the same. */
  private readonly reserved = new Set<string>();
  private readonly disposals: (() => void)[] = [];
  private taking: Promise<void> = Promise.resolve();

  constructor(options: ManagerOptions) {
    this.options = options;
    this.operations = new Operations({
      times: options.times,
      log: options.log,
      changed: () => this.topic.changed(),
    });
    this.host = new HostCheck({
      folder: options.clusters,
      clusterNames: () => [...this.clusters.keys(), ...this.broken.keys()],
      driver: (name) => options.driver(name),
    });
  }

  /** Reads every cluster's file; a broken one does not keep the others from working. Then takes up what runs, in the background. */
  async load(): Promise<void> {
    await mkdir(this.options.clusters, { recursive: true, mode: 0o700 });
    await this.operations.load();
    for (const entry of await readdir(this.options.clusters, { withFileTypes: true })) {
      const folder = path.join(this.options.clusters, entry.name);
      if (entry.name.startsWith(".removed-")) await rm(folder, { recursive: true, force: true });
      else if (entry.isDirectory()) await this.loadOne(entry.name, folder);
    }
    this.taking = this.takeUpAll();
    this.disposals.push(watchClock((millis) => this.clockJumped(millis)));
    const timer = setInterval(() => void this.measure(), MEASURE_MILLIS);
    timer.unref();
    this.disposals.push(() => clearInterval(timer));
  }

  /** Resolves when every cluster that ran before has been taken up or given up. */
  settled(): Promise<void> {
    return this.taking;
  }

  summaries(): ClusterSummary[] {
    const all = [
      ...[...this.clusters.values()].map((cluster) => cluster.summary()),
      ...[...this.broken.values()].map((broken) => broken.summary()),
    ];
    return all.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Throws CLUSTER_UNKNOWN, or what is wrong with its file. */
  get(name: string): Cluster {
    const cluster = this.clusters.get(name);
    if (cluster) return cluster;
    const broken = this.broken.get(name);
    if (broken) throw broken.error();
    throw fail("CLUSTER_UNKNOWN", `there is no cluster named ${name}`, { lastLines: [...this.clusters.keys()] });
  }

  all(): Cluster[] {
    return [...this.clusters.values()];
  }

  check(input: unknown): Promise<Finding[]> {
    return this.host.findings(input);
  }

  async create(plan: ClusterPlan): Promise<Operation> {
    await this.taking;
    if (this.clusters.has(plan.name) || this.broken.has(plan.name) || this.reserved.has(plan.name)) {
      throw fail("CLUSTER_EXISTS", `a cluster named ${plan.name} exists already`);
    }
    this.reserved.add(plan.name);
    try {
      const driver = await this.options.driver(plan.driver);
      const record: ClusterRecord = {
        version: FILE_VERSION,
        name: plan.name,
        plan,
        createdAt: new Date().toISOString(),
        accelerator: "none",
        apiServerPort: await freePort(),
        phase: "creating",
        nodes: nodesOf(plan),
        mergedInto: [],
        trusted: false,
      };
      const cluster = this.add(record, driver);
      const run = this.begin("create", cluster, createSteps(membersOf(cluster)), (run) =>
        runCreate(cluster, run, (context) => this.host.newCluster(cluster, context)),
      );
      void this.afterwards(run, (operation) => operation.state === "done" || this.clusters.delete(plan.name));
      return run.snapshot();
    } finally {
      this.reserved.delete(plan.name);
    }
  }

  async start(name: string): Promise<Operation> {
    await this.taking;
    const cluster = this.get(name);
    return this.begin("start", cluster, startSteps(membersOf(cluster)), (run) =>
      runStart(cluster, run, cluster.nodes),
    ).snapshot();
  }

  async stop(name: string): Promise<Operation> {
    await this.taking;
    const cluster = this.get(name);
    const suspend = cluster.driver.features().suspend;
    return this.begin("stop", cluster, stopSteps(cluster, suspend), (run) => runStop(cluster, run, suspend)).snapshot();
  }

  async delete(name: string): Promise<Operation> {
    await this.taking;
    const broken = this.broken.get(name);
    if (broken) {
      const run = this.operations.begin("delete", name, deleteSteps({ nodes: [] }), async (run) => {
        run.skip("control-plane-stop", "its file is not readable");
        await run.step("files", async () => broken.remove((driver) => this.options.driver(driver)));
      });
      void this.afterwards(run, (operation) => operation.state === "done" && this.broken.delete(name));
      return run.snapshot();
    }
    const cluster = this.get(name);
    const run = this.begin("delete", cluster, deleteSteps(cluster), (run) => runDelete(cluster, run));
    void this.afterwards(run, (operation) => operation.state === "done" && this.clusters.delete(name));
    return run.snapshot();
  }

  async startNode(name: string, nodeName: string): Promise<Operation> {
    await this.taking;
    const cluster = this.get(name);
    const node = cluster.node(nodeName);
    return this.begin("node-start", cluster, startSteps(membersOf(cluster, [node])), (run) =>
      runStart(cluster, run, [node]),
    ).snapshot();
  }

  async stopNode(name: string, nodeName: string, force: boolean): Promise<Operation> {
    await this.taking;
    const cluster = this.get(name);
    const node = cluster.node(nodeName);
    return this.begin("node-stop", cluster, nodeStopSteps(nodeName), (run) =>
      runNodeStop(cluster, node, run, force),
    ).snapshot();
  }

  /** Workers from the template, of the plan's shape but for `shape`. */
  async addNodes(name: string, count: number, shape: NodeShapeChange): Promise<Operation> {
    await this.taking;
    const cluster = this.get(name);
    cluster.running();
    const records = nextWorkers(cluster.record, count, shape);
    const { containers, templates } = cluster.driver.features();
    const members = { nodes: records, containers, templates };
    return this.begin("node-add", cluster, nodeAddSteps(members), (run) =>
      runNodeAdd(cluster, records, run, (context) => this.host.moreNodes(cluster, records.length, shape, context)),
    ).snapshot();
  }

  async removeNode(
    name: string,
    nodeName: string,
    options: { force: boolean; timeoutSeconds: number },
  ): Promise<Operation> {
    await this.taking;
    const cluster = this.get(name);
    const node = cluster.node(nodeName);
    cluster.running();
    if (node.record.role === "master")
      throw fail("NODE_REFUSED", `${nodeName} is a master; only workers are removed`, {
        advice: "Delete the cluster, or stop the node.",
      });
    return this.begin("node-remove", cluster, nodeRemoveSteps(nodeName, options.timeoutSeconds), (run) =>
      runNodeRemove(cluster, node, run, options),
    ).snapshot();
  }

  async setNode(name: string, nodeName: string, change: NodeShapeChange, restart: boolean): Promise<Operation> {
    await this.taking;
    const cluster = this.get(name);
    const node = cluster.node(nodeName);
    // Refused here already, before anything is shown as begun.
    changedShape(cluster.record.plan, node.record, change);
    if (restart) cluster.running();
    const { containers, templates } = cluster.driver.features();
    const members = { nodes: [{ name: nodeName, before: "stopped" as const }], containers, templates };
    return this.begin("node-set", cluster, nodeSetSteps(nodeName, restart ? members : undefined), (run) =>
      runNodeSet(cluster, node, run, change, restart),
    ).snapshot();
  }

  /** Deletes every cluster, whatever is under way; what cannot be deleted is logged. */
  async removeAll(): Promise<void> {
    await this.taking;
    await this.operations.cancelAll();
    await Promise.all(
      this.all().map(async ({ name }) => {
        try {
          await this.operations.get((await this.delete(name)).id).done;
        } catch (error) {
          this.options.log(`cluster ${name} is not deleted: ${toFailure(error).message}`);
        }
      }),
    );
  }

  /** Ends operations and lets go of the clusters: stopped first, or left to run for the next engine. */
  async close(stopClusters: boolean): Promise<void> {
    for (const dispose of this.disposals.splice(0)) dispose();
    await this.taking;
    await this.operations.cancelAll();
    if (stopClusters) {
      await Promise.all(
        this.all()
          .filter((cluster) => cluster.record.phase === "running")
          .map(async (cluster) => this.operations.get((await this.stop(cluster.name)).id).done),
      );
    }
    await Promise.all(this.all().map((cluster) => cluster.release()));
    // Nothing is written any more once this has resolved.
    await this.operations.settled();
  }

  private async afterwards(run: OperationRun, work: (operation: Operation) => void): Promise<void> {
    work(await run.done);
    this.topic.changed();
  }

  private async loadOne(name: string, folder: string): Promise<void> {
    try {
      const record = await readClusterFile(folder);
      if (record.name !== name)
        throw fail("CLUSTER_FILE_DAMAGED", `${folder}/cluster.json names another cluster, ${record.name}`);
      await this.findSuspended(this.add(record, await this.options.driver(record.plan.driver)));
    } catch (error) {
      this.options.log(`cluster ${name}: ${toFailure(error).message}`);
      this.broken.set(name, new Broken(name, folder, error));
    }
  }

  /** Which of its nodes would go on from where they were: what a former engine knew. One that runs forgets it. */
  private async findSuspended(cluster: Cluster): Promise<void> {
    for (const node of cluster.nodes) {
      try {
        node.suspended = await cluster.driver.resumable(node.nextSpec);
      } catch (error) {
        this.options.log(`${node.name}: whether it is suspended is not known: ${toFailure(error).message}`);
      }
    }
  }

  private add(record: ClusterRecord, driver: MachineDriver): Cluster {
    const cluster = new Cluster(record, {
      folder: path.join(this.options.clusters, record.name),
      run: this.options.run,
      driver,
      imageProxy: () => this.options.imageProxy(),
      shareFolders: (name, mounts) => this.options.shareFolders(name, mounts),
      log: this.options.log,
      changed: () => this.topic.changed(),
    });
    this.clusters.set(record.name, cluster);
    this.topic.changed();
    return cluster;
  }

  private begin(
    kind: Operation["kind"],
    cluster: Cluster,
    steps: StepPlan[],
    body: (run: OperationRun) => Promise<void>,
  ): OperationRun {
    const busy = this.operations.busy(cluster.name);
    if (busy || (cluster.activity && cluster.activity !== "failed")) {
      throw fail("CLUSTER_BUSY", `cluster ${cluster.name} is busy (${busy ?? cluster.activity})`);
    }
    return this.operations.begin(kind, cluster.name, steps, body);
  }

  private async takeUpAll(): Promise<void> {
    await Promise.all(
      this.all().map(async (cluster) => {
        try {
          await this.takeUp(cluster);
        } catch (error) {
          cluster.failure = toFailure(error);
          this.options.log(`cluster ${cluster.name} could not be taken up: ${cluster.failure.message}`);
        } finally {
          cluster.activity = undefined;
          this.topic.changed();
        }
      }),
    );
  }

  /** What a former engine left: half-made things are undone, running machines taken hold of, the rest is stopped. */
  private async takeUp(cluster: Cluster): Promise<void> {
    const { phase } = cluster.record;
    if (phase === "creating" || phase === "deleting") {
      cluster.activity = "deleting";
      this.options.log(`cluster ${cluster.name} was left half-made (${phase}): removing it`);
      await removeEverything(cluster);
      this.clusters.delete(cluster.name);
      return;
    }
    if (phase !== "running") return;
    cluster.activity = "starting";
    const simulated = !cluster.driver.features().containers;
    for (const node of cluster.nodes) {
      const quiet = { log: (line: string) => this.options.log(`${node.name}: ${line}`) };
      const machine =
        simulated && !node.record.stopped
          ? await cluster.driver.start(node.nextSpec, quiet)
          : await cluster.driver.adopt(node.spec);
      if (!machine) continue;
      node.attach(machine);
      this.options.log(`took up ${node.name} (process ${machine.pid ?? "none"})`);
    }
    if (!cluster.nodes.some((node) => node.machine)) {
      cluster.record.phase = "stopped";
      await cluster.save();
      return;
    }
    await cluster.startControlPlane((line) => this.options.log(`${cluster.name}: ${line}`));
    await cluster.setClocks();
  }

  private clockJumped(millis: number): void {
    this.options.log(`the clock jumped by ${Math.round(millis / 1000)} s: telling the nodes the time`);
    for (const cluster of this.clusters.values()) void cluster.setClocks();
  }

  private async measure(): Promise<void> {
    for (const cluster of this.clusters.values()) {
      try {
        await cluster.measure();
      } catch (error) {
        // A machine that ends while it is measured.
        this.options.log(
          `${cluster.name}: memory not measured: ${error instanceof Error ? error.message : String(error)}`,
        );
      }
    }
    if (this.clusters.size > 0) this.topic.changed();
  }
}
