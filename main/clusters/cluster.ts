/**
 * One cluster while the engine lives: its record on disk, its control plane, its nodes, and what is
 * watched of it. How it is created, started, stopped and deleted stands in lifecycle.ts.
 */
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import type { ClusterState, ClusterSummary, HostMount, TrustReport } from "../../common/contract/cluster.ts";
import type { Failure } from "../../common/contract/failure.ts";
import type { Node, Service } from "../../common/kube/types.ts";
import { KUBELET_PORT } from "../../common/node/identity.ts";
import type { HostFolder, ImageProxy, NodeIdentity } from "../../common/node/identity.ts";
import type { MachineDriver, MachineSpec } from "../machines/driver.ts";
import { createBootstrapToken, deleteBootstrapToken } from "./bootstrap-token.ts";
import { ClusterNode } from "./cluster-node.ts";
import type { NodeHome } from "./cluster-node.ts";
import { writeClusterFile, writeFileAtomically } from "./cluster-file.ts";
import type { ClusterRecord, NodeRecord } from "./cluster-file.ts";
import { ControlPlaneProcess } from "./control-plane-process.ts";
import { Egress } from "./egress.ts";
import { fail } from "./failure.ts";
import { KubeApi, readCredentials } from "./kube-api.ts";
import type { KubeletTarget } from "./kubelet-api.ts";
import { mergeKubeconfig, writeKubeconfig } from "./kubeconfig.ts";
import { tellServices } from "./load-balancer-status.ts";
import { NodePorts } from "./node-ports.ts";
import { wantedShape } from "./node-shape.ts";
import { trustAuthority } from "./trust.ts";
import { follow } from "./watch.ts";

export interface ClusterEnvironment {
  /** The cluster's folder in the data folder. */
  folder: string;
  /** Short folder for sockets. */
  run: string;
  driver: MachineDriver;
  /** Shares these folders with the cluster's nodes; what each node needs to mount them. */
  shareFolders(cluster: string, mounts: readonly HostMount[]): Promise<HostFolder[]>;
  /** The image cache that all clusters share, opened when it is first asked for. */
  imageProxy(): Promise<ImageProxy>;
  log(line: string): void;
  changed(): void;
}

const CLUSTER_CIDR = "10.244.0.0/16";
const SERVICE_CIDR = "10.96.0.0/16";
const CLUSTER_DNS = "10.96.0.10";
/** How a guest sees the host: by QEMU's user networking, or by a rule of its own under Lima. */
const HOST_ADDRESS = "10.0.2.2";

export class Cluster {
  readonly record: ClusterRecord;
  readonly nodes: ClusterNode[];
  readonly controlPlane: ControlPlaneProcess;
  readonly driver: MachineDriver;
  readonly folder: string;
  /** While an operation works on it. */
  activity: ClusterState | undefined;
  failure: Failure | undefined;
  api: KubeApi | undefined;
  private readonly environment: ClusterEnvironment;
  private readonly home: NodeHome;
  private readonly egress: Egress;
  private readonly tokens = new Map<string, string>();
  private readonly nodePorts: NodePorts;
  private services: Service[] = [];
  private telling = false;
  private toTell = false;
  private watching: AbortController | undefined;
  private egressOpen = false;
  private saving: Promise<void> = Promise.resolve();

  constructor(record: ClusterRecord, environment: ClusterEnvironment) {
    this.record = record;
    this.environment = environment;
    this.driver = environment.driver;
    this.folder = environment.folder;
    this.home = {
      spec: (node, which) => this.spec(node, which),
      identity: (node, withToken) => this.identity(node, withToken),
      hostFolders: () => environment.shareFolders(record.name, record.plan.mounts),
      imageProxy: () => (this.driver.features().containers ? environment.imageProxy() : undefined),
      log: environment.log,
      changed: environment.changed,
    };
    this.nodes = record.nodes.map((node) => new ClusterNode(node, this.home));
    const socket = path.join(
      environment.run,
      `egress-${createHash("sha256").update(record.name).digest("hex").slice(0, 10)}.sock`,
    );
    this.egress = new Egress(socket, (address, port) => this.route(address, port));
    const containers = this.driver.features().containers;
    this.controlPlane = new ControlPlaneProcess({
      data: path.join(this.folder, "control-plane"),
      port: record.apiServerPort,
      kubeconfig: this.adminKubeconfig,
      log: path.join(this.folder, "control-plane.log"),
      ...(containers ? { kubeletEgress: socket } : { simulatedNodes: () => record.nodes.map((node) => node.name) }),
      ...(record.plan.simulation === undefined ? {} : { simulation: this.simulation }),
    });
    this.controlPlane.topic.onChange(() => environment.changed());
    this.nodePorts = new NodePorts(
      record.name,
      () => {
        environment.changed();
        void this.tellBalancers();
      },
      (error) => environment.log(`${this.name}: node ports: ${String(error)}`),
    );
  }

  get name(): string {
    return this.record.name;
  }

  /** The cluster's own kubeconfig, for people. */
  get kubeconfig(): string {
    return path.join(this.folder, "kubeconfig");
  }

  /** Where the control plane reads how its simulated nodes behave. */
  private get simulation(): string {
    return path.join(this.folder, "simulation.yaml");
  }

  private get adminKubeconfig(): string {
    return path.join(this.folder, "control-plane", "admin.kubeconfig");
  }

  node(name: string): ClusterNode {
    const node = this.nodes.find((candidate) => candidate.name === name);
    if (!node)
      throw fail("NODE_UNKNOWN", `cluster ${this.name} has no node ${name}`, {
        lastLines: this.nodes.map((known) => known.name),
      });
    return node;
  }

  /** Nodes that are to be; `save` makes it last. */
  addNodes(records: NodeRecord[]): ClusterNode[] {
    const added = records.map((record) => new ClusterNode(record, this.home));
    this.record.nodes.push(...records);
    this.nodes.push(...added);
    this.recount();
    return added;
  }

  /** Its machine must be off. */
  forgetNode(node: ClusterNode): void {
    node.release();
    this.record.nodes = this.record.nodes.filter((record) => record !== node.record);
    this.nodes.splice(this.nodes.indexOf(node), 1);
    this.recount();
  }

  /** The plan tells of what there is. */
  private recount(): void {
    this.record.plan = {
      ...this.record.plan,
      workers: this.record.nodes.filter(({ role }) => role === "worker").length,
    };
    this.environment.changed();
  }

  /** The API of a running cluster; throws CLUSTER_STOPPED. */
  running(): KubeApi {
    if (!this.api || this.controlPlane.state() === "stopped")
      throw fail("CLUSTER_STOPPED", `cluster ${this.name} is not running`);
    return this.api;
  }

  /** Writes one after another. */
  save(): Promise<void> {
    this.saving = this.saving.then(() => writeClusterFile(this.folder, this.record));
    return this.saving;
  }

  async startControlPlane(log: (line: string) => void, signal?: AbortSignal): Promise<void> {
    if (this.driver.features().containers && !this.egressOpen) {
      await this.egress.listen();
      this.egressOpen = true;
    }
    const { simulation } = this.record.plan;
    if (simulation !== undefined) await writeFile(this.simulation, simulation, { mode: 0o600 });
    await this.controlPlane.start(log, signal);
    this.api?.close();
    this.api = new KubeApi(await readCredentials(this.adminKubeconfig));
    await writeKubeconfig(this.kubeconfig, this.name, this.api.credentials);
    this.watch(this.api);
  }

  /** Nodes that only pretend are told to the control plane when it starts. */
  async renewSimulatedNodes(log: (line: string) => void, signal?: AbortSignal): Promise<void> {
    if (this.driver.features().containers) return;
    await this.controlPlane.stop();
    await this.startControlPlane(log, signal);
  }

  async stopControlPlane(): Promise<void> {
    this.watching?.abort();
    this.watching = undefined;
    await this.nodePorts.set([], undefined);
    await this.controlPlane.stop();
    this.api?.close();
    this.api = undefined;
    if (this.egressOpen) await this.egress.close();
    this.egressOpen = false;
    for (const node of this.nodes) node.setReady(undefined);
  }

  /** Lets go of everything without stopping a machine: an engine that ends and leaves the cluster to its successor. */
  async release(): Promise<void> {
    for (const node of this.nodes) node.release();
    await this.stopControlPlane();
  }

  /** A node's machine has come or gone: node ports may have to move to another. */
  machinesChanged(): void {
    void this.nodePorts.set(undefined, this.carrier());
  }

  /** How to reach a node's kubelet; throws KUBELET_UNREACHABLE. */
  kubelet(node: ClusterNode): KubeletTarget {
    const hostPort = node.kubeletPort();
    if (!this.driver.features().containers)
      throw fail("UNSUPPORTED", `${node.name} only pretends: it runs no containers`);
    if (hostPort === undefined) throw fail("KUBELET_UNREACHABLE", `${node.name} does not run`);
    return { node: node.name, address: node.record.address, hostPort, credentials: this.running().credentials };
  }

  /** Puts its context into a kubeconfig of the user's, and remembers where, to take it out again. */
  async mergeInto(file: string): Promise<string> {
    await mergeKubeconfig(this.name, this.running().credentials, file);
    if (!this.record.mergedInto.includes(file)) {
      this.record.mergedInto.push(file);
      await this.save();
    }
    return file;
  }

  /** Puts its authority into this computer's stores, or takes it out. Throws CLUSTER_STOPPED before its first start. */
  async trust(undo: boolean): Promise<TrustReport> {
    const { ca } = this.api?.credentials ?? (await readCredentials(this.adminKubeconfig));
    const file = path.join(this.folder, "ca.crt");
    const pem = ca.toString("utf8");
    await writeFileAtomically(file, pem, 0o644);
    const report = await trustAuthority(this.name, file, pem, undo);
    // Commands that are left may be run by hand: then there is something to take back, too.
    this.record.trusted = !undo;
    await this.save();
    this.environment.changed();
    return report;
  }

  async measure(): Promise<void> {
    for (const node of this.nodes) {
      const machine = node.machine;
      if (machine?.state() === "running") node.hostMemoryBytes = (await machine.memory()).privateBytes;
      // A node whose clock was moved inside it has it right again soon; one that agrees does nothing.
      if (machine && node.ready) await node.setClock();
    }
  }

  /** Tells every agent the time. */
  async setClocks(): Promise<void> {
    const results = await Promise.allSettled(
      this.nodes.filter((node) => node.running()).map((node) => node.setClock()),
    );
    for (const result of results)
      if (result.status === "rejected") this.environment.log(`${this.name}: clock: ${String(result.reason)}`);
  }

  async dropToken(node: ClusterNode): Promise<void> {
    const id = this.tokens.get(node.name);
    if (id === undefined || !this.api) return;
    await deleteBootstrapToken(this.api, id);
    this.tokens.delete(node.name);
  }

  state(): ClusterState {
    if (this.activity) return this.activity;
    switch (this.record.phase) {
      case "creating":
        return "creating";
      case "deleting":
        return "deleting";
      case "stopped":
        return this.failure ? "failed" : "stopped";
      case "running": {
        const whole =
          this.controlPlane.state() === "running" && this.nodes.every((node) => node.running() && node.ready === true);
        return whole ? "running" : "degraded";
      }
    }
  }

  summary(): ClusterSummary {
    const { record } = this;
    const failure = this.failure ?? this.controlPlane.failure;
    const serving = this.controlPlane.state() === "running";
    return {
      name: record.name,
      state: this.state(),
      plan: record.plan,
      createdAt: record.createdAt,
      accelerator: record.accelerator,
      ...(serving ? { apiServer: `https://127.0.0.1:${record.apiServerPort}` } : {}),
      controlPlane: this.controlPlane.state(),
      kubeconfig: this.kubeconfig,
      trusted: record.trusted,
      nodes: this.nodes.map((node) => node.summary()),
      nodePorts: this.nodePorts.list(),
      loadBalancers: this.nodePorts.balancers(),
      ...(failure ? { failure } : {}),
    };
  }

  /** "running": as its machine was started last, when it was. */
  private spec(node: NodeRecord, which: "running" | "wanted"): MachineSpec {
    const { plan, accelerator } = this.record;
    const wanted = wantedShape(plan, node);
    const { cpus, memoryMiB, diskGiB } = which === "running" ? (node.runs ?? wanted) : wanted;
    return {
      id: `${this.name}-${node.name}`,
      folder: path.join(this.folder, "nodes", node.name),
      cpus,
      memoryMiB,
      diskGiB,
      mac: node.mac,
      accelerator: accelerator === "none" ? "tcg" : accelerator,
      networkId: this.name,
      forwards: [{ name: "kubelet", hostPort: 0, guestPort: KUBELET_PORT }],
    };
  }

  private async identity(node: NodeRecord, withToken: boolean): Promise<Omit<NodeIdentity, "unixMillis" | "entropy">> {
    const api = this.running();
    const old = this.tokens.get(node.name);
    if (old !== undefined) await deleteBootstrapToken(api, old);
    const token = withToken ? await createBootstrapToken(api, node.name) : undefined;
    if (token) this.tokens.set(node.name, token.id);
    const master = node.role === "master";
    const { mtu } = this.driver.features();
    const roleLabel = master ? "node-role.kubernetes.io/control-plane" : "node-role.kubernetes.io/worker";
    return {
      clusterName: this.name,
      nodeName: node.name,
      role: node.role,
      address: node.address,
      prefixLength: 24,
      ...(mtu === undefined ? {} : { mtu }),
      apiServer: `https://${HOST_ADDRESS}:${this.record.apiServerPort}`,
      caCertificate: api.credentials.ca.toString("utf8"),
      ...(token ? { bootstrapToken: token.token } : {}),
      hostFolders: await this.environment.shareFolders(this.name, this.record.plan.mounts),
      clusterCIDR: CLUSTER_CIDR,
      serviceCIDR: SERVICE_CIDR,
      clusterDNS: CLUSTER_DNS,
      clusterDomain: "cluster.local",
      labels: { [roleLabel]: "" },
      // A lone master also does the work.
      taints:
        master && this.record.plan.workers > 0
          ? [{ key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" }]
          : [],
    };
  }

  private route(address: string, port: number): number | undefined {
    if (port !== KUBELET_PORT) return undefined;
    return this.nodes.find((node) => node.record.address === address)?.kubeletPort();
  }

  /** The machine that carries node ports: a worker that runs, else a master. */
  private carrier(): ClusterNode["machine"] {
    const candidates = this.nodes.filter((node) => node.running());
    return (
      candidates.find((node) => node.record.role === "worker" && node.ready) ??
      candidates.find((node) => node.ready) ??
      candidates[0]
    )?.machine;
  }

  private watch(api: KubeApi): void {
    this.watching?.abort();
    const watching = (this.watching = new AbortController());
    const options = {
      signal: watching.signal,
      onProblem: (error: unknown) =>
        this.environment.log(`${this.name}: watch: ${error instanceof Error ? error.message : String(error)}`),
    };
    void follow<Node>(api, "/api/v1/nodes", (nodes) => this.sawNodes(nodes), options);
    if (this.driver.features().containers) {
      void follow<Service>(
        api,
        "/api/v1/services",
        (services) => {
          this.services = [...services.values()];
          void this.nodePorts.set(this.services, this.carrier()).then(() => this.tellBalancers());
        },
        options,
      );
    }
  }

  /** LoadBalancer Services say where they are reached: once it is so, and no longer when it is not. */
  private async tellBalancers(): Promise<void> {
    // One after another, and what changed meanwhile once more.
    this.toTell = true;
    if (this.telling) return;
    this.telling = true;
    try {
      while (this.toTell && this.api) {
        this.toTell = false;
        await tellServices(this.api, this.services, this.nodePorts.balancers());
      }
    } catch (error) {
      // Its next change, or the next machine's, tells it again.
      this.environment.log(`${this.name}: load balancers: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      this.telling = false;
    }
  }

  private sawNodes(nodes: ReadonlyMap<string, Node>): void {
    for (const node of this.nodes) {
      const conditions = nodes.get(node.name)?.status?.conditions;
      node.setReady(
        conditions === undefined
          ? undefined
          : conditions.find((condition) => condition.type === "Ready")?.status === "True",
      );
    }
    this.machinesChanged();
  }
}
