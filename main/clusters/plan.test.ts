import { describe, expect, it } from "vitest";
import { ClusterPlan } from "../../common/contract/cluster.ts";
import { checkPlan, failureOf, nodesOf } from "./plan.ts";
import type { Host } from "./plan.ts";

const GiB = 1024 ** 3;
const roomy: Host = {
  cpus: 8,
  memoryFreeBytes: 32 * GiB,
  diskFreeBytes: 500 * GiB,
  clusterNames: ["old"],
  machines: { ok: true },
  accelerators: [
    { name: "kvm", works: true, reason: "the node kernel boots" },
    { name: "tcg", works: true, reason: "" },
  ],
};

function errors(input: unknown, host: Host = roomy): string[] {
  return checkPlan(input, host)
    .filter((finding) => finding.severity === "error")
    .map((finding) => finding.field);
}

describe("nodesOf", () => {
  it("numbers masters from .11 and workers from .21, with addresses and MACs of their own", () => {
    const nodes = nodesOf(ClusterPlan.parse({ name: "lab", masters: 3, workers: 2 }));
    expect(nodes.map((node) => `${node.name} ${node.address}`)).toEqual([
      "lab-master-1 10.240.0.11",
      "lab-master-2 10.240.0.12",
      "lab-master-3 10.240.0.13",
      "lab-worker-1 10.240.0.21",
      "lab-worker-2 10.240.0.22",
    ]);
    expect(new Set(nodes.map((node) => node.mac)).size).toBe(5);
    expect(nodes.every((node) => /^52:54:00(:[0-9a-f]{2}){3}$/.test(node.mac))).toBe(true);
  });
});

describe("checkPlan", () => {
  it("has nothing against the one-click cluster on a roomy computer", () => {
    expect(errors({})).toEqual([]);
    expect(checkPlan({}, roomy).length).toBeGreaterThan(0);
  });

  it.each([
    [{ name: "Not A Label" }, "name"],
    [{ name: "-x" }, "name"],
    [{ name: "old" }, "name"],
    [{ masters: 0 }, "masters"],
    [{ workers: -1 }, "workers"],
    [{ memoryMiB: 100 }, "memoryMiB"],
    [{ driver: "vmware" }, "driver"],
    [{ accelerator: "hvf" }, "accelerator"],
  ])("refuses %j at %s", (input, field) => {
    expect(errors(input)).toEqual([field]);
  });

  it("warns when memory is tight and refuses when it is hopeless", () => {
    const small = { ...roomy, memoryFreeBytes: 2.5 * GiB };
    expect(checkPlan({}, small).find((finding) => finding.field === "memoryMiB")?.severity).toBe("warning");
    expect(errors({ memoryMiB: 8192 }, small)).toEqual(["memoryMiB"]);
  });

  it("refuses when the disk has no room to begin with", () => {
    expect(errors({}, { ...roomy, diskFreeBytes: 1 * GiB })).toEqual(["diskGiB"]);
  });

  it("says that QEMU is missing, with its advice, and turns it into the typed failure", () => {
    const host: Host = {
      ...roomy,
      machines: { ok: false, problem: { code: "QEMU_MISSING", message: "no qemu", advice: "install it" } },
    };
    const findings = checkPlan({}, host);
    expect(failureOf(findings, host)?.failure).toMatchObject({ code: "QEMU_MISSING", advice: "install it" });
  });

  it("needs neither memory nor QEMU for simulated nodes", () => {
    const host: Host = { ...roomy, memoryFreeBytes: 0, diskFreeBytes: 0, machines: { ok: false } };
    expect(errors({ driver: "simulated", workers: 50 }, host)).toEqual([]);
  });

  it("takes many workers, and a simulation, only where nodes are simulated", () => {
    const simulation = "apiVersion: simulation.drydock.dev/v1alpha1\nkind: Simulation\n";
    expect(errors({ driver: "simulated", workers: 1000, simulation })).toEqual([]);
    expect(errors({ workers: 51 })).toEqual(["workers"]);
    expect(errors({ driver: "simulated", workers: 1001 })).toEqual(["workers"]);
    expect(errors({ simulation })).toEqual(["simulation"]);
    const [wrong] = checkPlan({ driver: "simulated", simulation: `${simulation}pods: [{ run: soon }]` }, roomy).filter(
      ({ severity }) => severity === "error",
    );
    expect(wrong?.message).toContain("pods[0].run");
    const addresses = nodesOf(ClusterPlan.parse({ driver: "simulated", workers: 1000 })).map(({ address }) => address);
    expect(new Set(addresses).size).toBe(1001);
    expect(addresses.at(-1)).toBe("10.240.3.252");
  });

  it("warns about emulation, saying why nothing faster works", () => {
    const host: Host = {
      ...roomy,
      accelerators: [
        { name: "kvm", works: false, reason: "no /dev/kvm" },
        { name: "tcg", works: true, reason: "" },
      ],
    };
    const finding = checkPlan({}, host).find((candidate) => candidate.field === "accelerator");
    expect(finding).toMatchObject({ severity: "warning" });
    expect(finding?.message).toContain("no /dev/kvm");
  });
});

describe("failureOf", () => {
  it("names the first error and keeps the others", () => {
    const findings = checkPlan({ memoryMiB: 65536, accelerator: "hvf" }, roomy);
    const failure = failureOf(findings, roomy)?.failure;
    expect(failure?.code).toBe("MEMORY_SHORT");
    expect(failure?.lastLines).toHaveLength(1);
    expect(failureOf(checkPlan({}, roomy), roomy)).toBeUndefined();
  });
});
