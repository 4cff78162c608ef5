import { describe, expect, it } from "vitest";
import type { Pod } from "../../../common/kube/types.ts";
import type { RuntimeContainer } from "../runtime/runtime.ts";
import { containerHash, decide, formatSeconds, LABEL_BACKOFF, LABEL_HASH, restartBackoff } from "./decide.ts";
import type { Plan, ProbeView } from "./decide.ts";
import { viewOf } from "./pod.ts";
import { LABEL_GENERATION } from "./restart-all.ts";

const NOW = 1_000_000_000;

function pod(spec: object = {}): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p", namespace: "n", uid: "u" },
    spec: { containers: [{ name: "a", image: "i" }], ...spec },
  } as unknown as Pod;
}

/** "a:running", "a:exited(1)", "POD:running", "a#2:exited(0)": one container; times are seconds before now. */
function container(
  text: string,
  more: Partial<RuntimeContainer> & { backoff?: number; generation?: number } = {},
): RuntimeContainer {
  const [, name = "", attempt = "0", state = "", code = "0"] =
    /^(\w+)(?:#(\d+))?:(\w+)(?:\((\d+)\))?$/.exec(text) ?? [];
  return {
    id: text,
    name: { container: name, pod: "p", namespace: "n", uid: "u", attempt: Number(attempt) },
    state: state as RuntimeContainer["state"],
    sandboxId: name === "POD" ? "" : "POD:running",
    pid: 1,
    exitCode: Number(code),
    oomKilled: false,
    error: "",
    createdAt: NOW - 60_000 + Number(attempt),
    startedAt: NOW - 50_000,
    finishedAt: state === "exited" ? NOW - 1000 : 0,
    image: "i",
    imageId: "sha256:1",
    tty: false,
    stopSignal: "SIGTERM",
    logPath: "",
    layerPath: "",
    resources: { oomScoreAdjust: 0 },
    labels: {
      [LABEL_HASH]: containerHash({ name, image: "i" } as never),
      [LABEL_BACKOFF]: String(more.backoff ?? 0),
      ...(more.generation === undefined ? {} : { [LABEL_GENERATION]: String(more.generation) }),
    },
    ...more,
  };
}

const healthy: ProbeView = { started: () => true, failed: () => undefined };
const SANDBOX = container("POD:running");

/** A plan in few words. */
function words(plan: Plan): string[] {
  return [
    ...(plan.killPod ? ["kill pod"] : []),
    ...(plan.createSandbox ? [`sandbox ${plan.createSandbox.attempt}`] : []),
    ...plan.kill.map(({ message }) => `kill: ${message}`),
    ...plan.start.map(
      ({ spec, attempt, kind, generation }) =>
        `start ${spec.name}#${attempt}${kind === "regular" ? "" : ` ${kind}`}${generation ? ` of ${generation}` : ""}`,
    ),
    ...[...plan.backoff.keys()].map((name) => `back off ${name}`),
  ];
}

const init = {
  initContainers: [
    { name: "i1", image: "i" },
    { name: "i2", image: "i" },
  ],
};
const ruled = {
  restartPolicy: "Never",
  containers: [
    {
      name: "a",
      image: "i",
      restartPolicy: "Never",
      restartPolicyRules: [{ action: "Restart", exitCodes: { operator: "In", values: [42] } }],
    },
  ],
};
const together = {
  restartPolicy: "Never",
  initContainers: [{ name: "i1", image: "i" }],
  containers: [
    {
      ...ruled.containers[0],
      restartPolicyRules: [{ action: "RestartAllContainers", exitCodes: { operator: "In", values: [42] } }],
    },
    { name: "b", image: "i" },
  ],
};
const sidecar = { initContainers: [{ name: "s", image: "i", restartPolicy: "Always" }] };
const rows: [
  what: string,
  spec: object,
  containers: RuntimeContainer[],
  expected: string[],
  probes?: Partial<ProbeView>,
][] = [
  ["nothing there", {}, [], ["sandbox 0"]],
  ["sandbox runs", {}, [SANDBOX], ["start a#0"]],
  ["all runs", {}, [SANDBOX, container("a:running")], []],
  ["made but never started", {}, [SANDBOX, container("a:created")], ["start a#0"]],
  ["could not be started", {}, [SANDBOX, container("a:created", { error: "no such file" })], ["start a#1"]],
  ["first crash restarts at once", {}, [SANDBOX, container("a:exited(1)")], ["start a#1"]],
  ["later crash waits", {}, [SANDBOX, container("a#1:exited(1)", { backoff: 10 })], ["back off a"]],
  [
    "back-off is over",
    {},
    [SANDBOX, container("a#1:exited(1)", { backoff: 10, finishedAt: NOW - 11_000 })],
    ["start a#2"],
  ],
  [
    "a long run forgets the back-off",
    {},
    [SANDBOX, container("a#5:exited(1)", { backoff: 160, startedAt: NOW - 700_000 })],
    ["start a#6"],
  ],
  ["success with Always restarts", {}, [SANDBOX, container("a:exited(0)")], ["start a#1"]],
  [
    "success with OnFailure is the end",
    { restartPolicy: "OnFailure" },
    [SANDBOX, container("a:exited(0)")],
    ["kill pod"],
  ],
  [
    "failure with OnFailure restarts",
    { restartPolicy: "OnFailure" },
    [SANDBOX, container("a:exited(2)")],
    ["start a#1"],
  ],
  ["failure with Never is the end", { restartPolicy: "Never" }, [SANDBOX, container("a:exited(2)")], ["kill pod"]],
  [
    "failure with Never restarts where a rule of the container says so",
    ruled,
    [SANDBOX, container("a:exited(42)")],
    ["start a#1"],
  ],
  ["failure that no rule knows is the end", ruled, [SANDBOX, container("a:exited(1)")], ["kill pod"]],
  [
    "a container's own policy comes before the Pod's",
    { containers: [{ name: "a", image: "i", restartPolicy: "Never" }] },
    [SANDBOX, container("a:exited(1)")],
    ["kill pod"],
  ],
  [
    "a rebooted node starts again what a rule may start again",
    ruled,
    [container("POD#3:exited(255)"), container("a#2:exited(42)")],
    ["sandbox 4"],
  ],
  [
    "an init container's own policy ends the Pod",
    { initContainers: [{ name: "i1", image: "i", restartPolicy: "Never" }] },
    [SANDBOX, container("i1:exited(1)")],
    ["kill pod"],
  ],
  [
    "an init container's rule starts it again",
    { restartPolicy: "Never", initContainers: [{ ...ruled.containers[0], name: "i1" }] },
    [SANDBOX, container("i1:exited(42)")],
    ["start i1#1 init"],
  ],
  [
    "an end that has all begin again ends the others at once",
    together,
    [SANDBOX, container("i1:exited(0)"), container("a:exited(42)"), container("b:running")],
    ["kill: Stopping container b"],
  ],
  [
    "then the init containers run once more",
    together,
    [SANDBOX, container("i1:exited(0)"), container("a:exited(42)"), container("b:exited(137)")],
    ["start i1#1 init of 1"],
  ],
  [
    "then the others, whatever the Pod's policy",
    together,
    [
      SANDBOX,
      container("i1#1:exited(0)", { generation: 1 }),
      container("a:exited(42)"),
      container("b:exited(137)"),
      container("i1:exited(0)"),
    ],
    ["start a#1 of 1", "start b#1 of 1"],
  ],
  [
    "all have begun again",
    together,
    [
      SANDBOX,
      container("i1#1:exited(0)", { generation: 1 }),
      container("a#1:running", { generation: 1 }),
      container("b#1:running", { generation: 1 }),
      container("a:exited(42)"),
      container("b:exited(137)"),
    ],
    [],
  ],
  [
    "once more after a back-off, whoever else has ended meanwhile",
    together,
    [
      SANDBOX,
      container("i1#1:exited(0)", { generation: 1 }),
      container("a#1:exited(42)", { generation: 1, backoff: 10 }),
      container("b#1:exited(42)", { generation: 1 }),
      container("a:exited(42)"),
    ],
    ["back off a"],
  ],
  [
    "another exit code is the end of that container alone",
    together,
    [SANDBOX, container("i1:exited(0)"), container("a:exited(1)"), container("b:running")],
    [],
  ],
  ["sandbox died under a running container", {}, [container("POD:exited(137)"), container("a:running")], ["kill pod"]],
  ["node rebooted", {}, [container("POD#3:exited(255)"), container("a#2:exited(255)")], ["sandbox 4"]],
  [
    "rebooted, but had finished",
    { restartPolicy: "Never" },
    [container("POD:exited(255)"), container("a:exited(0)")],
    [],
  ],
  [
    "a Pod that never restarts ends with its sandbox",
    { restartPolicy: "Never" },
    [container("POD:exited(255)"), container("a:exited(255)")],
    [],
  ],
  [
    "another image",
    { containers: [{ name: "a", image: "other" }] },
    [SANDBOX, container("a:running")],
    ["kill: Container a definition changed, will be restarted"],
  ],
  [
    "liveness failed",
    {},
    [SANDBOX, container("a:running")],
    ["kill: Container a failed liveness probe, will be restarted"],
    { failed: () => "liveness" },
  ],
  [
    "startup failed and Never",
    { restartPolicy: "Never" },
    [SANDBOX, container("a:running")],
    ["kill: Container a failed startup probe"],
    { failed: () => "startup" },
  ],
  ["init first", init, [SANDBOX], ["start i1#0 init"]],
  ["init one after another", init, [SANDBOX, container("i1:exited(0)")], ["start i2#0 init"]],
  ["init done", init, [SANDBOX, container("i1:exited(0)"), container("i2:exited(0)")], ["start a#0"]],
  ["init failed", init, [SANDBOX, container("i1:exited(1)")], ["start i1#1 init"]],
  ["init failed and Never", { ...init, restartPolicy: "Never" }, [SANDBOX, container("i1:exited(1)")], ["kill pod"]],
  [
    "a new sandbox runs init again",
    init,
    [container("POD#1:running"), container("i1:exited(0)"), container("i2:exited(0)"), container("a:exited(137)")],
    ["start i1#1 init"],
  ],
  [
    "a sandbox that was made while the clock was ahead does not",
    init,
    [
      container("POD:running", { createdAt: NOW + 86_400_000 }),
      container("i1:exited(0)"),
      container("i2:exited(0)"),
      container("a:exited(137)", { backoff: 10 }),
    ],
    ["back off a"],
  ],
  ["sidecar first", sidecar, [SANDBOX], ["start s#0 sidecar"]],
  ["sidecar runs", sidecar, [SANDBOX, container("s:running")], ["start a#0"]],
  ["sidecar runs but has not started", sidecar, [SANDBOX, container("s:running")], [], { started: () => false }],
  [
    "sidecar crashed beside a regular one",
    sidecar,
    [SANDBOX, container("s:exited(1)"), container("a:running")],
    ["start s#1 sidecar"],
  ],
  [
    "debug container",
    { ephemeralContainers: [{ name: "d", image: "i" }] },
    [SANDBOX, container("a:running")],
    ["start d#0 ephemeral"],
  ],
  [
    "debug container is not restarted",
    { ephemeralContainers: [{ name: "d", image: "i" }] },
    [SANDBOX, container("a:running"), container("d:exited(1)")],
    [],
  ],
];

describe("decide", () => {
  it.each(rows)("%s", (_, spec, containers, expected, probes) => {
    expect(words(decide(pod(spec), viewOf(containers), { ...healthy, ...probes }, NOW))).toEqual(expected);
  });

  it("says when a back-off is over", () => {
    const plan = decide(pod(), viewOf([SANDBOX, container("a#1:exited(1)", { backoff: 20 })]), healthy, NOW);
    expect(plan.wakeAt).toBe(NOW + 19_000);
    expect(plan.backoff.get("a")).toBe("back-off 20s restarting failed container=a pod=p_n(u)");
  });
});

describe("restartBackoff", () => {
  it("doubles from ten seconds to five minutes", () => {
    const delays: string[] = [];
    let label = 0;
    for (let attempt = 0; attempt < 8; attempt++) {
      const { delay, next } = restartBackoff(container("a:exited(1)", { backoff: label }));
      delays.push(formatSeconds(delay));
      label = next;
    }
    expect(delays).toEqual(["0s", "10s", "20s", "40s", "1m20s", "2m40s", "5m0s", "5m0s"]);
  });
});

it("begins the next attempt of who had all begin again with a back-off, and knows a generation without its cause", () => {
  const cause = container("a:exited(42)");
  const view = viewOf([SANDBOX, container("i1#1:exited(0)", { generation: 1 }), cause, container("b:exited(137)")]);
  expect(decide(pod(together), view, healthy, NOW).start).toMatchObject([
    { attempt: 1, backoffSeconds: 10, generation: 1 },
    { attempt: 1, backoffSeconds: 0, generation: 1 },
  ]);
  const later = viewOf([
    SANDBOX,
    container("a#3:running", { generation: 2 }),
    container("b#1:exited(0)", { generation: 1 }),
  ]);
  expect(decide(pod(together), later, healthy, NOW).start).toMatchObject([{ spec: { name: "b" }, generation: 2 }]);
});
