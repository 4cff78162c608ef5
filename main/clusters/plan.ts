/**
 * From what the user asks for to the nodes of a cluster, and what this computer says to it. Pure: the
 * same check serves the live remarks beside the choices and the door of `create`.
 */
import { createHash } from "node:crypto";
import { ClusterPlan } from "../../common/contract/cluster.ts";
import type { Finding } from "../../common/contract/cluster.ts";
import { readSimulation } from "../control-plane/simulated-nodes/rules/read.ts";
import { DrydockError, fail } from "./failure.ts";
import type { FailureCode } from "./failure.ts";
import type { NodeRecord } from "./cluster-file.ts";

/** What there is to build from, as measured by the caller. */
export interface Host {
  cpus: number;
  memoryFreeBytes: number;
  diskFreeBytes: number;
  clusterNames: string[];
  /** Absent: not probed yet, so nothing is said about it. */
  machines?: { ok: boolean; problem?: { code: string; message: string; advice: string } };
  accelerators?: { name: string; works: boolean; reason: string }[];
}

const MiB = 1024 * 1024;
const GiB = 1024 * MiB;

/** What the control plane and the engine take, beside the nodes. */
const OVERHEAD_BYTES = 300 * MiB;
/** A node's disk grows as it is written; this much must be there for each to begin with. */
const DISK_START_BYTES = 1 * GiB;
const IMAGE_BYTES = 2 * GiB;

/** Names, addresses and MACs: masters from .11, workers from .21 of 10.240.0.0/24 (many simulated ones beyond it). */
export function nodesOf(plan: ClusterPlan): NodeRecord[] {
  const nodes: NodeRecord[] = [];
  const add = (role: "master" | "worker", count: number, first: number): void => {
    for (let index = 1; index <= count; index++) {
      const host = first + index - 1;
      const address = `10.240.${Math.floor(host / 256)}.${host % 256}`;
      nodes.push(nodeRecord(`${plan.name}-${role}-${index}`, role, address));
    }
  };
  add("master", plan.masters, 11);
  add("worker", plan.workers, 21);
  return nodes;
}

/** A node that has not been made yet. */
export function nodeRecord(name: string, role: "master" | "worker", address: string): NodeRecord {
  return { name, role, address, mac: macOf(name), joined: false, stopped: false, wanted: {} };
}

/** Locally administered, unicast, the same for the same name; 52:54:00 is QEMU's usual beginning. */
function macOf(name: string): string {
  const hash = createHash("sha256").update(name).digest();
  return ["52:54:00", ...[0, 1, 2].map((index) => (hash[index] as number).toString(16).padStart(2, "0"))].join(":");
}

/** Findings for a plan that may be incomplete or wrong, each at its field; at least one ("ok") always. */
export function checkPlan(input: unknown, host: Host): Finding[] {
  const parsed = ClusterPlan.safeParse(input);
  if (!parsed.success) {
    return parsed.error.issues.map((issue) => ({
      severity: "error" as const,
      field: fieldOf(issue.path[0]),
      message: `${issue.path.join(".") || "plan"}: ${issue.message}`,
    }));
  }
  const plan = parsed.data;
  const findings = [...nameFindings(plan, host), ...(plan.driver === "simulated" ? [] : machineFindings(plan, host))];
  const driver: Finding[] =
    plan.driver === "simulated"
      ? [{ severity: "ok", field: "driver", message: "simulated nodes: no virtual machines, no containers" }]
      : [];
  return [...findings, ...driver, ...simulationFindings(plan)];
}

function simulationFindings({ simulation, driver }: ClusterPlan): Finding[] {
  if (simulation === undefined) return [];
  const error = (message: string, advice: string): Finding[] => [
    { severity: "error", field: "simulation", message, advice },
  ];
  if (driver !== "simulated")
    return error("a simulation says how simulated nodes behave; these are virtual machines", "use --driver simulated");
  try {
    readSimulation(simulation);
    return [];
  } catch (thrown) {
    return error((thrown as Error).message, "mend the file; docs/simulated-nodes.md describes it");
  }
}

function nameFindings(plan: ClusterPlan, host: Host): Finding[] {
  if (!host.clusterNames.includes(plan.name)) return [];
  return [
    {
      severity: "error",
      field: "name",
      message: `a cluster named ${plan.name} exists already`,
      advice: "choose another name",
    },
  ];
}

/** What this computer says to more nodes of that shape. */
export function checkNodes(
  plan: ClusterPlan,
  shape: Pick<ClusterPlan, "cpus" | "memoryMiB" | "diskGiB">,
  count: number,
  host: Host,
): Finding[] {
  return plan.driver === "simulated" ? [] : machineFindings({ ...plan, ...shape, masters: 0, workers: count }, host);
}

function machineFindings(plan: ClusterPlan, host: Host): Finding[] {
  const nodes = plan.masters + plan.workers;
  const findings: Finding[] = [];
  const needed = nodes * plan.memoryMiB * MiB + OVERHEAD_BYTES;
  const what = `${nodes} ${nodes === 1 ? "node needs" : "nodes need"} up to ${gib(needed)} of memory; ${gib(host.memoryFreeBytes)} are free`;
  if (needed > host.memoryFreeBytes) {
    // Pages are shared between clones and taken as they are used: twice too much is a risk, more is not going to work.
    const severity = needed > 2 * host.memoryFreeBytes ? "error" : "warning";
    findings.push({
      severity,
      field: "memoryMiB",
      message: what,
      advice: "choose fewer nodes or less memory for each",
    });
  } else findings.push({ severity: "ok", field: "memoryMiB", message: what });
  if (plan.memoryMiB < 768) {
    findings.push({
      severity: "warning",
      field: "memoryMiB",
      message: "under 768 MiB a node has little room for Pods",
    });
  }
  const disk = nodes * DISK_START_BYTES + IMAGE_BYTES;
  if (disk > host.diskFreeBytes) {
    findings.push({
      severity: "error",
      field: "diskGiB",
      message: `about ${gib(disk)} of disk are needed; ${gib(host.diskFreeBytes)} are free`,
    });
  } else if (nodes * plan.diskGiB * GiB > host.diskFreeBytes) {
    findings.push({
      severity: "warning",
      field: "diskGiB",
      message: `full node disks would take ${gib(nodes * plan.diskGiB * GiB)}; ${gib(host.diskFreeBytes)} are free`,
      advice: "disks grow as they are used; choose smaller ones to be safe",
    });
  }
  if (plan.cpus > host.cpus) {
    findings.push({
      severity: "warning",
      field: "cpus",
      message: `${plan.cpus} CPUs per node on a computer with ${host.cpus}: nodes will be slow`,
    });
  }
  if (host.machines && !host.machines.ok) {
    const problem = host.machines.problem;
    findings.push({
      severity: "error",
      field: "driver",
      message: problem?.message ?? `${plan.driver} is not usable`,
      ...(problem ? { advice: problem.advice } : {}),
    });
  }
  findings.push(...acceleratorFindings(plan, host));
  return findings;
}

function acceleratorFindings(plan: ClusterPlan, host: Host): Finding[] {
  if (!host.accelerators) return [];
  if (plan.accelerator === "auto") {
    const best = host.accelerators.find((accelerator) => accelerator.works);
    if (!best) return [{ severity: "error", field: "accelerator", message: "no accelerator runs a guest here" }];
    if (best.name !== "tcg") return [{ severity: "ok", field: "accelerator", message: `${best.name} works` }];
    const reasons = host.accelerators.filter((accelerator) => !accelerator.works).map((a) => `${a.name}: ${a.reason}`);
    return [
      {
        severity: "warning",
        field: "accelerator",
        message: `software emulation (tcg): about ten times slower${reasons.length > 0 ? `; ${reasons.join("; ")}` : ""}`,
      },
    ];
  }
  const chosen = host.accelerators.find((accelerator) => accelerator.name === plan.accelerator);
  if (chosen?.works) return [{ severity: "ok", field: "accelerator", message: `${chosen.name} works` }];
  return [
    {
      severity: "error",
      field: "accelerator",
      message: `${plan.accelerator} does not work here${chosen ? `: ${chosen.reason}` : ""}`,
      advice: "choose auto",
    },
  ];
}

const CODES: Partial<Record<Finding["field"], FailureCode>> = {
  memoryMiB: "MEMORY_SHORT",
  diskGiB: "DISK_SHORT",
  accelerator: "ACCELERATOR_UNUSABLE",
  driver: "QEMU_MISSING",
  name: "CLUSTER_EXISTS",
};

/** The failure that the errors among these findings amount to; undefined when there are none. */
export function failureOf(findings: Finding[], host: Host): DrydockError | undefined {
  const errors = findings.filter((finding) => finding.severity === "error");
  const first = errors[0];
  if (!first) return undefined;
  const problem = first.field === "driver" ? host.machines?.problem : undefined;
  if (problem) return new DrydockError({ code: problem.code, message: problem.message, advice: problem.advice });
  const others = errors.slice(1).map((finding) => finding.message);
  return fail(CODES[first.field] ?? "PLAN_INVALID", first.message, others.length > 0 ? { lastLines: others } : {});
}

function fieldOf(key: PropertyKey | undefined): Finding["field"] {
  const fields: Finding["field"][] = [
    "name",
    "masters",
    "workers",
    "cpus",
    "memoryMiB",
    "diskGiB",
    "driver",
    "accelerator",
    "simulation",
    "mounts",
  ];
  return fields.find((field) => field === key) ?? "host";
}

function gib(bytes: number): string {
  return `${(bytes / GiB).toFixed(1)} GiB`;
}
