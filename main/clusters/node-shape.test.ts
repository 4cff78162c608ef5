import { describe, expect, it } from "vitest";
import { ClusterPlan } from "../../common/contract/cluster.ts";
import type { ClusterRecord } from "./cluster-file.ts";
import { changedShape, nextWorkers, wantedShape } from "./node-shape.ts";
import { nodeRecord, nodesOf } from "./plan.ts";

const plan = ClusterPlan.parse({ name: "lab", workers: 3 });
const record = { name: "lab", plan, nodes: nodesOf(plan) } as ClusterRecord;
const worker = nodeRecord("lab-worker-1", "worker", "10.240.0.21");

describe("the next workers", () => {
  it("take the lowest free numbers and addresses", () => {
    const nodes = record.nodes.filter(({ name }) => name !== "lab-worker-2");
    expect(nextWorkers({ ...record, nodes }, 2, { cpus: 4 })).toMatchObject([
      { name: "lab-worker-2", address: "10.240.0.22", role: "worker", joined: false, wanted: { cpus: 4 } },
      { name: "lab-worker-4", address: "10.240.0.24" },
    ]);
  });

  it("end when the network is full", () => {
    const full = Array.from({ length: 234 }, (_, index) =>
      nodeRecord(`n-${index}`, "worker", `10.240.0.${21 + index}`),
    );
    expect(() => nextWorkers({ ...record, nodes: full }, 1, {})).toThrow(/no address left/);
  });
});

describe("a node's shape", () => {
  it("is the plan's but for what was asked of it", () => {
    expect(wantedShape(plan, { wanted: { memoryMiB: 4096 } })).toEqual({ cpus: 2, memoryMiB: 4096, diskGiB: 20 });
  });

  it("changes, keeping what was asked before", () => {
    expect(changedShape(plan, { ...worker, wanted: { cpus: 3 } }, { memoryMiB: 2048, diskGiB: undefined })).toEqual({
      cpus: 3,
      memoryMiB: 2048,
    });
  });

  it.each([
    [{}, /nothing to change/],
    [{ diskGiB: 10 }, /only grow/],
  ])("refuses %j", (change, message) => {
    expect(() => changedShape(plan, worker, change)).toThrow(message);
  });

  it("never shrinks a disk that has grown already", () => {
    const grown = { ...worker, wanted: { diskGiB: 30 } };
    expect(() => changedShape(plan, grown, { diskGiB: 25 })).toThrow(/30 GiB/);
  });
});
