/** A cluster whose file cannot be used: shown with what is wrong, left alone, deletable when the user says so. */
import { existsSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import path from "node:path";
import { ClusterPlan } from "../../common/contract/cluster.ts";
import type { ClusterSummary } from "../../common/contract/cluster.ts";
import type { Failure } from "../../common/contract/failure.ts";
import type { MachineDriver, MachineSpec } from "../machines/driver.ts";
import type { DriverName } from "../machines/drivers.ts";
import { TEMPLATE_FILE } from "../machines/paths.ts";
import { DrydockError, toFailure } from "./failure.ts";

export class Broken {
  readonly name: string;
  private readonly folder: string;
  private readonly failure: Failure;

  constructor(name: string, folder: string, error: unknown) {
    this.name = name;
    this.folder = folder;
    this.failure = toFailure(error);
  }

  error(): DrydockError {
    return new DrydockError(this.failure);
  }

  summary(): ClusterSummary {
    return {
      name: this.name,
      state: "failed",
      plan: ClusterPlan.parse({}),
      createdAt: new Date(0).toISOString(),
      accelerator: "none",
      controlPlane: "stopped",
      kubeconfig: path.join(this.folder, "kubeconfig"),
      trusted: false,
      nodes: [],
      nodePorts: [],
      loadBalancers: [],
      failure: this.failure,
    };
  }

  /** Stops the machines that its folders name, then removes everything. */
  async remove(driverOf: (name: DriverName) => Promise<MachineDriver>): Promise<void> {
    for (const node of await this.nodeNames()) {
      const spec = this.specOf(node);
      // Whose plan it was is not known: the machine's own folder tells who made it.
      const driver = await driverOf(existsSync(path.join(spec.folder, TEMPLATE_FILE)) ? "lima" : "qemu");
      const machine = await driver.adopt(spec);
      if (machine) await driver.stop(machine, { gracePeriodSeconds: 0, force: true });
      await driver.delete(spec);
    }
    await rm(this.folder, { recursive: true, force: true });
  }

  private async nodeNames(): Promise<string[]> {
    try {
      return await readdir(path.join(this.folder, "nodes"));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  }

  /** Enough to find and remove a machine; its sizes are not known and do not matter. */
  private specOf(node: string): MachineSpec {
    return {
      id: `${this.name}-${node}`,
      folder: path.join(this.folder, "nodes", node),
      cpus: 1,
      memoryMiB: 512,
      diskGiB: 4,
      mac: "52:54:00:00:00:00",
      accelerator: "tcg",
      networkId: this.name,
      forwards: [],
    };
  }
}
