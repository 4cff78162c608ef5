/** What this computer says to a plan: measured, then held against it. */
import { Driver } from "../../common/contract/cluster.ts";
import type { Finding, NodeShapeChange } from "../../common/contract/cluster.ts";
import type { MachineDriver } from "../machines/driver.ts";
import type { DriverName } from "../machines/drivers.ts";
import type { Cluster } from "./cluster.ts";
import { fail } from "./failure.ts";
import { checkMounts, cpuCount, diskFreeBytes, memoryFreeBytes } from "./host.ts";
import { wantedShape } from "./node-shape.ts";
import type { StepContext } from "./operation.ts";
import { checkNodes, checkPlan, failureOf } from "./plan.ts";
import type { Host } from "./plan.ts";

export interface HostCheckOptions {
  /** The folder whose disk counts. */
  folder: string;
  clusterNames(): string[];
  driver(name: DriverName): Promise<MachineDriver>;
}

const DETAILS: Record<DriverName, string> = {
  qemu: "looking for QEMU and trying accelerators",
  lima: "looking for Lima and trying accelerators",
  simulated: "",
};

export class HostCheck {
  private readonly options: HostCheckOptions;

  constructor(options: HostCheckOptions) {
    this.options = options;
  }

  /** Of a plan that may be incomplete or wrong. */
  async findings(input: unknown): Promise<Finding[]> {
    const driver = Driver.safeParse((input as { driver?: unknown }).driver);
    return [...checkPlan(input, await this.host(driver.data ?? "qemu")), ...(await checkMounts(input))];
  }

  async host(driverName: DriverName): Promise<Host> {
    const host: Host = {
      cpus: cpuCount(),
      memoryFreeBytes: await memoryFreeBytes(),
      diskFreeBytes: await diskFreeBytes(this.options.folder),
      clusterNames: this.options.clusterNames(),
    };
    if (driverName === "simulated") return host;
    const probe = await (await this.options.driver(driverName)).probe();
    return {
      ...host,
      machines: { ok: probe.ok, ...(probe.problem ? { problem: probe.problem } : {}) },
      ...(probe.ok ? { accelerators: probe.accelerators } : {}),
    };
  }

  /** Throws what stands against a new cluster's plan; notes the accelerator that its machines will have. */
  async newCluster(cluster: Cluster, context: StepContext): Promise<void> {
    const { plan } = cluster.record;
    context.detail(DETAILS[plan.driver]);
    const host = await this.host(plan.driver);
    const findings = checkPlan(plan, { ...host, clusterNames: host.clusterNames.filter((name) => name !== plan.name) });
    for (const finding of findings)
      context.log(`${finding.severity}: ${finding.message}${finding.advice ? ` (${finding.advice})` : ""}`);
    const failure = failureOf([...findings, ...(await checkMounts(plan))], host);
    if (failure) throw failure;
    if (plan.driver === "simulated") return;
    const best =
      plan.accelerator === "auto"
        ? host.accelerators?.find((accelerator) => accelerator.works)?.name
        : plan.accelerator;
    if (best !== "kvm" && best !== "hvf" && best !== "tcg")
      throw fail("ACCELERATOR_UNUSABLE", "no accelerator runs a guest here");
    cluster.record.accelerator = best;
  }

  /** Throws what stands against more nodes of that shape. */
  async moreNodes(cluster: Cluster, count: number, shape: NodeShapeChange, context: StepContext): Promise<void> {
    const { plan } = cluster.record;
    const host = await this.host(plan.driver);
    const findings = checkNodes(plan, wantedShape(plan, { wanted: shape }), count, host);
    for (const finding of findings) context.log(`${finding.severity}: ${finding.message}`);
    const failure = failureOf(findings, host);
    if (failure) throw failure;
  }
}
