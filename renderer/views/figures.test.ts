/** Progress, counts, names and column widths: what the screens show, without the screens. */
import { describe, expect, it } from "vitest";
import type { Step } from "../../common/contract/index.ts";
import { fitColumns } from "../components/columns.ts";
import { shownColumns } from "../kube/table.ts";
import { countPods } from "./overview.ts";
import { freeName } from "./plan.ts";
import { groupSteps, isSlow, progressOf, waterLevel } from "./progress.ts";

const step = (patch: Partial<Step>): Step => ({
  id: "x",
  title: "x",
  group: "g",
  state: "waiting",
  deadlineMillis: 1000,
  usualMillis: 1000,
  ...patch,
});

describe("progress", () => {
  it("goes by usual times, and a running step never counts whole", () => {
    const steps = [step({ state: "done", usualMillis: 3000 }), step({ state: "running", startedAt: 0 })];
    expect(progressOf(steps, 500)).toBeCloseTo(3.5 / 4);
    expect(progressOf(steps, 60_000)).toBeCloseTo(3.9 / 4);
    expect(progressOf([step({ state: "running", startedAt: 0, fraction: 0.25 })], 9999)).toBe(0.25);
    expect(progressOf([], 0)).toBe(0);
  });
  it("marks a step that takes noticeably longer than usual", () => {
    expect(isSlow(step({ state: "running", startedAt: 0 }), 2400)).toBe(false);
    expect(isSlow(step({ state: "running", startedAt: 0 }), 2600)).toBe(true);
    expect(isSlow(step({ state: "done", startedAt: 0 }), 99_999)).toBe(false);
  });
  it("keeps groups in the order of the plan; the water falls when a cluster goes", () => {
    expect(
      groupSteps([step({ group: "b" }), step({ group: "a" }), step({ group: "b" })]).map((group) => [
        group.title,
        group.steps.length,
      ]),
    ).toEqual([
      ["b", 2],
      ["a", 1],
    ]);
    expect([waterLevel("create", 0.3), waterLevel("stop", 0.25)]).toEqual([0.3, 0.75]);
  });
});

describe("the overview", () => {
  it("counts Pods by state and by node", () => {
    const columns = ["Name", "Status", "Node"].map((name) => ({ name, type: "string", priority: 0 }));
    const rows = [
      ["a", "Running", "n1"],
      ["b", "Running", "n2"],
      ["c", "Pending", "<none>"],
    ].map((cells, index) => ({ id: String(index), cells, object: { apiVersion: "v1", kind: "Pod", metadata: {} } }));
    const counted = countPods({ columns, rows });
    expect(counted.byStatus).toEqual([
      { status: "Running", tone: "ok", count: 2 },
      { status: "Pending", tone: "busy", count: 1 },
    ]);
    expect([...counted.byNode]).toEqual([
      ["n1", 1],
      ["n2", 1],
    ]);
  });
});

describe("a new cluster", () => {
  it("gets the first free name", () => {
    expect([freeName([]), freeName(["drydock"]), freeName(["drydock", "drydock-2"])]).toEqual([
      "drydock",
      "drydock-2",
      "drydock-3",
    ]);
  });
});

describe("columns", () => {
  const columns = shownColumns(
    [
      { name: "Name", type: "string", format: "name", priority: 0 },
      ...["Type", "Status", "Ports", "Age"].map((name) => ({ name, type: "string", priority: 0 })),
    ],
    { namespaced: true, wide: false },
  );
  const shown = (width: number): string =>
    fitColumns(columns, [], width)
      .columns.map((column) => column.title)
      .join();
  it("give way from the right, name and status last", () => {
    expect(shown(1400)).toBe("Name,Namespace,Type,Status,Ports,Age");
    expect(shown(520)).not.toContain("Ports");
    expect(shown(200)).toBe("Name,Status");
  });
});
