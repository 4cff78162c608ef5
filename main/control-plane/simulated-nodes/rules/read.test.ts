import { describe, expect, it } from "vitest";
import type { Pod } from "../../../../common/kube/types.ts";
import { behaviourOf, readSimulation } from "./read.ts";
import { podRuleOf, resolve } from "./resolve.ts";
import { parseDuration } from "./schema.ts";

const HEAD = "apiVersion: simulation.drydock.dev/v1alpha1\nkind: Simulation\n";

describe("durations", () => {
  it.each([
    ["1.5s", 1500],
    ["250ms", 250],
    ["1h30m", 5_400_000],
    ["2", 2000],
    ["", undefined],
    ["soon", undefined],
    ["5 s", undefined],
    ["-1s", undefined],
  ])("%s", (text, millis) => {
    expect(parseDuration(text)).toBe(millis);
  });
});

describe("a simulation that is none", () => {
  it.each([
    ["of another kind", "kind: Simulation", 'apiVersion: Invalid input: expected "simulation.drydock.dev/v1alpha1"'],
    ["with a field that is not there", `${HEAD}pods: [{ colour: red }]`, 'pods[0]: Unrecognized key: "colour"'],
    ["with a time that is none", `${HEAD}pods: [{ init: soon }]`, "pods[0].init: expected a duration"],
    ["with a chance above one", `${HEAD}pods: [{ fail: { probability: 2 } }]`, "pods[0].fail.probability: Too big"],
    [
      "with an unknown fault",
      `${HEAD}nodes: [{ faults: [{ fault: Flood }] }]`,
      "nodes[0].faults[0].fault: Invalid option",
    ],
    [
      "with a quantity that is none",
      `${HEAD}nodes: [{ capacity: { cpu: many } }]`,
      "nodes[0].capacity.cpu: expected a quantity",
    ],
    ["that is no YAML", "pods: [", "sim.yaml is not YAML"],
    ["that is empty", "", "sim.yaml is no simulation"],
  ])("%s is refused by the name of the field", (_, text, message) => {
    expect(() => readSimulation(text, "sim.yaml")).toThrow(message);
  });

  it("has every problem told at once", () => {
    expect(() => readSimulation(`${HEAD}pods: [{ run: soon }, { exitCode: 300 }]`, "f")).toThrow(
      /pods\[0\]\.run[\s\S]*pods\[1\]\.exitCode/,
    );
  });
});

describe("annotations", () => {
  it.each<[string, Record<string, string>, object, string | undefined]>([
    ["none", { other: "x" }, {}, undefined],
    [
      "one by one",
      { "simulation.drydock.dev/fail-probability": "0.5", "simulation.drydock.dev/fail-exit-code": "9" },
      { fail: { probability: 0.5, exitCode: 9 } },
      undefined,
    ],
    [
      "a whole behaviour, which the single ones override",
      { "simulation.drydock.dev/behaviour": "{run: 5s, exitCode: 1}", "simulation.drydock.dev/exit-code": "2" },
      { run: { duration: 5000, jitter: 0 }, exitCode: 2 },
      undefined,
    ],
    ["a bad value", { "simulation.drydock.dev/exit-code": "many" }, {}, "exitCode: Invalid input"],
    [
      "an unknown one",
      { "simulation.drydock.dev/colour": "red" },
      {},
      "simulation.drydock.dev/colour: no such annotation",
    ],
    ["a behaviour that is none", { "simulation.drydock.dev/behaviour": "[" }, {}, "not an object in YAML or JSON"],
  ])("%s", (_, annotations, value, problem) => {
    const said = behaviourOf(annotations);
    expect(said.value).toEqual(value);
    if (problem === undefined) expect(said.problem).toBeUndefined();
    else expect(said.problem).toContain(problem);
  });
});

describe("rules", () => {
  const { pods } = readSimulation(`${HEAD}
pods:
  - name: by owner
    match: { owners: [Job], namespaces: [batch] }
    run: 5s
  - name: by label
    match: { selector: { matchExpressions: [{ key: app, operator: In, values: [web] }] } }
    ready: 3s
    containers: { log: { ready: never } }
  - name: by node
    match: { nodes: ["sim.*-1"] }
`);
  const pod = (namespace: string, app: string, node: string, owner?: string): Pod =>
    ({
      metadata: {
        namespace,
        labels: { app },
        ...(owner ? { ownerReferences: [{ kind: owner, controller: true }] } : {}),
      },
      spec: { nodeName: node },
    }) as unknown as Pod;

  it.each([
    [pod("batch", "web", "n", "Job"), "by owner"],
    [pod("default", "web", "n", "Job"), "by label"],
    [pod("default", "db", "sim.zone-1", "Job"), "by node"],
    [pod("default", "db", "simxzone-1"), undefined],
  ])("the first that fits decides (%#)", (one, name) => {
    expect(podRuleOf(pods, one)?.name).toBe(name);
  });

  it("count less than annotations and more than defaults, field by field", () => {
    const one = pod("default", "web", "n");
    const behaviour = resolve(one, podRuleOf(pods, one), behaviourOf({ "simulation.drydock.dev/run": "9s" }).value);
    expect(behaviour.of("web", false)).toMatchObject({
      ready: { duration: 3000 },
      run: { duration: 9000 },
      exitCode: 0,
    });
    expect(behaviour.of("log", false)).toMatchObject({ ready: "never", run: { duration: 9000 } });
    expect(behaviour.of("setup", true)).toMatchObject({ ready: { duration: 0 }, run: { duration: 0 } });
  });
});
