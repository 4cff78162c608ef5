import { describe, expect, test } from "vitest";
import type { KubeObject } from "../../../../../common/kube/object.ts";
import type { Pod, PodSpec } from "../../../../../common/kube/types.ts";
import { context, definitionOf, fromYaml, judgeCreate, judgeUpdate, row } from "../../testing/judge.ts";

const hello = (): KubeObject =>
  fromYaml(`
apiVersion: v1
kind: Pod
metadata: {name: hello, labels: {app: hello}}
spec:
  containers:
  - {name: web, image: nginx}
`);

/** The hello Pod with its spec changed. */
function withSpec(change: (spec: PodSpec) => void): KubeObject {
  const pod = hello();
  change((pod as Pod).spec as PodSpec);
  return pod;
}

const container = (changes: object): KubeObject =>
  withSpec((spec) => Object.assign(spec.containers[0] as object, changes));

describe("creation", () => {
  test("a plain Pod is fine, pending and of its class", () => {
    const { object, problems } = judgeCreate(hello());
    expect(problems).toEqual([]);
    expect(object["status"]).toEqual({ phase: "Pending", qosClass: "BestEffort" });
  });

  const label =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

  test.each<[string, KubeObject, string[]]>([
    ["no containers", withSpec((spec) => (spec.containers = [])), ["spec.containers: Required value"]],
    ["no name", container({ name: undefined }), ["spec.containers[0].name: Required value"]],
    ["a bad name", container({ name: "Web" }), [`spec.containers[0].name: Invalid value: "Web": ${label}`]],
    ["no image", container({ image: undefined }), ["spec.containers[0].image: Required value"]],
    [
      "an image with spaces",
      container({ image: " nginx" }),
      ['spec.containers[0].image: Invalid value: " nginx": must not have leading or trailing whitespace'],
    ],
    [
      "two of a name",
      withSpec((spec) => spec.containers.push({ name: "web", image: "x" })),
      ['spec.containers[1].name: Duplicate value: "web"'],
    ],
    [
      "a port out of range",
      container({ ports: [{ containerPort: 70_000 }] }),
      ["spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive"],
    ],
    [
      "a protocol nobody speaks",
      container({ ports: [{ containerPort: 80, protocol: "HTTP" }] }),
      ['spec.containers[0].ports[0].protocol: Unsupported value: "HTTP": supported values: "SCTP", "TCP", "UDP"'],
    ],
    [
      "a pull policy that is none",
      container({ imagePullPolicy: "Sometimes" }),
      [
        'spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"',
      ],
    ],
    [
      "a mount of nothing",
      container({ volumeMounts: [{ name: "data", mountPath: "/data" }] }),
      ['spec.containers[0].volumeMounts[0].name: Not found: "data"'],
    ],
    [
      "more requested than allowed",
      container({ resources: { requests: { memory: "2Gi" }, limits: { memory: "1Gi" } } }),
      [
        'spec.containers[0].resources.requests: Invalid value: "2Gi": must be less than or equal to memory limit of 1Gi',
      ],
    ],
    [
      "an unknown resource",
      container({ resources: { limits: { gpu: "1" } } }),
      [
        'spec.containers[0].resources.limits[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified',
        'spec.containers[0].resources.limits[gpu]: Invalid value: "gpu": must be a standard resource for containers',
        'spec.containers[0].resources.requests[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified',
        'spec.containers[0].resources.requests[gpu]: Invalid value: "gpu": must be a standard resource for containers',
      ],
    ],
    [
      "an environment from two places",
      container({ env: [{ name: "A", value: "1", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }] }),
      ['spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty'],
    ],
    [
      "a probe without a handler",
      container({ livenessProbe: {} }),
      ["spec.containers[0].livenessProbe: Required value: must specify a handler type"],
    ],
    [
      "a volume of no kind and one of two",
      withSpec((spec) => (spec.volumes = [{ name: "a" }, { name: "b", emptyDir: {}, hostPath: { path: "/x" } }])),
      [
        "spec.volumes[0]: Required value: must specify a volume type",
        "spec.volumes[1].hostPath: Forbidden: may not specify more than 1 volume type",
      ],
    ],
    [
      "a restart policy that is none",
      withSpec((spec) => (spec.restartPolicy = "Maybe" as "Never")),
      ['spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always", "OnFailure", "Never"'],
    ],
    [
      "a toleration with seconds for another effect",
      withSpec(
        (spec) => (spec.tolerations = [{ key: "a", operator: "Exists", effect: "NoSchedule", tolerationSeconds: 3 }]),
      ),
      [
        "spec.tolerations[0].effect: Invalid value: \"NoSchedule\": effect must be 'NoExecute' when `tolerationSeconds` is set",
      ],
    ],
    [
      "probes on an init container",
      withSpec(
        (spec) => (spec.initContainers = [{ name: "i", image: "x", readinessProbe: { exec: { command: ["a"] } } }]),
      ),
      [
        "spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without restartPolicy=Always",
      ],
    ],
    [
      "an ephemeral container",
      withSpec((spec) => (spec.ephemeralContainers = [{ name: "d", image: "x" }])),
      ["spec.ephemeralContainers: Forbidden: cannot be set on create"],
    ],
  ])("%s", (_, pod, expected) => {
    expect(judgeCreate(pod).problems).toEqual(expected);
  });

  test.each([
    [{}, "BestEffort"],
    [{ requests: { cpu: "1" } }, "Burstable"],
    [{ limits: { cpu: "1", memory: "1Gi" } }, "Guaranteed"],
    [{ requests: { cpu: "500m", memory: "1Gi" }, limits: { cpu: "1", memory: "1Gi" } }, "Burstable"],
    [{ requests: { cpu: "1000m", memory: "1024Mi" }, limits: { cpu: "1", memory: "1Gi" } }, "Guaranteed"],
  ])("resources %j make it %s", (resources, expected) => {
    expect(judgeCreate(container({ resources })).object["status"]).toMatchObject({ qosClass: expected });
  });
});

describe("update", () => {
  const spec = (object: KubeObject): PodSpec => (object as Pod).spec as PodSpec;

  test("images may change, other things may not", () => {
    expect(
      judgeUpdate(hello(), (pod) => ((spec(pod).containers[0] as { image: string }).image = "nginx:2")).problems,
    ).toEqual([]);
    const { problems } = judgeUpdate(hello(), (pod) => (spec(pod).nodeName = "w1"));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(/^spec: Forbidden: pod updates may not change fields other than/);
    expect(problems[0]).toContain('+ nodeName: "w1"');
  });

  test("containers neither come nor go", () => {
    const { problems } = judgeUpdate(hello(), (pod) => spec(pod).containers.push({ name: "b", image: "b" }));
    expect(problems).toEqual(["spec.containers: Forbidden: pod updates may not add or remove containers"]);
  });

  test("tolerations may be added, not taken away", () => {
    const tolerant = withSpec((one) => (one.tolerations = [{ key: "a", operator: "Exists" }]));
    expect(
      judgeUpdate(tolerant, (pod) => spec(pod).tolerations?.push({ key: "b", operator: "Exists" })).problems,
    ).toEqual([]);
    expect(judgeUpdate(tolerant, (pod) => (spec(pod).tolerations = [])).problems).toEqual([
      "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds",
    ]);
  });

  test("a gate may be opened", () => {
    const gated = withSpec((one) => (one.schedulingGates = [{ name: "wait" }]));
    expect(judgeUpdate(gated, (pod) => delete spec(pod).schedulingGates).problems).toEqual([]);
    expect(judgeUpdate(hello(), (pod) => (spec(pod).schedulingGates = [{ name: "wait" }])).problems[0]).toBe(
      "spec.schedulingGates: Forbidden: only deletion is allowed, but found new scheduling gate 'wait'",
    );
  });
});

describe("subresources", () => {
  const definition = definitionOf(hello());
  const sub = (name: string) => definition.subresources?.find((one) => one.name === name);
  const binding = {
    apiVersion: "v1",
    kind: "Binding",
    metadata: { name: "hello" },
    target: { kind: "Node", name: "w1" },
  };

  test("binding names the node, once", () => {
    const { object } = judgeCreate(hello());
    Object.assign(object["status"] as object, { nominatedNodeName: "w2" });
    const bound = sub("binding")?.prepareForUpdate?.(binding, object, context()) as Pod;
    expect(bound.status?.nominatedNodeName).toBeUndefined();
    expect(bound.spec?.nodeName).toBe("w1");
    expect(bound.status?.conditions).toMatchObject([{ type: "PodScheduled", status: "True" }]);
    expect(() => sub("binding")?.prepareForUpdate?.(binding, bound, context())).toThrow(
      'Operation cannot be fulfilled on pods/binding "hello": pod hello is already assigned to node "w1"',
    );
  });

  test("status leaves the spec alone and keeps the class", () => {
    const { object } = judgeCreate(hello());
    const written = { ...structuredClone(object), spec: { containers: [] }, status: { phase: "Running" } };
    const updated = sub("status")?.prepareForUpdate?.(written, object, context());
    expect(updated?.["spec"]).toEqual(object["spec"]);
    expect(updated?.["status"]).toEqual({ phase: "Running", qosClass: "BestEffort" });
  });

  test("ephemeral containers come in by their own door and stay", () => {
    const { object } = judgeCreate(hello());
    const door = sub("ephemeralcontainers");
    const debugged = structuredClone(object) as Pod;
    (debugged.spec as PodSpec).ephemeralContainers = [
      { name: "debug", image: "busybox", imagePullPolicy: "IfNotPresent", terminationMessagePolicy: "File" },
    ];
    const updated = door?.prepareForUpdate?.(debugged, object, context()) as KubeObject;
    expect(door?.validateUpdate?.(updated, object, context())).toEqual([]);
    expect(door?.validateUpdate?.(object, updated, context())).toHaveLength(1);
  });

  test.each([
    [{}, undefined, 0],
    [{ nodeName: "w1" }, undefined, 30],
    [{ nodeName: "w1", terminationGracePeriodSeconds: 5 }, undefined, 5],
    [{ nodeName: "w1" }, 0, 0],
  ])("spec %j deleted with %s: %d seconds", (changes, requested, expected) => {
    const pod = withSpec((spec) => Object.assign(spec, changes));
    expect(definition.strategy.gracePeriodSeconds?.(judgeCreate(pod).object, requested)).toBe(expected);
  });
});

describe("kubectl get pods", () => {
  const running = { name: "web", ready: true, restartCount: 0, state: { running: {} } };
  const stamp = "2025-12-31T23:55:00Z";
  const cases: [string, object, object, string, string, string][] = [
    ["pending", {}, { phase: "Pending" }, "0/1", "Pending", "0"],
    ["running", {}, { phase: "Running", containerStatuses: [running] }, "1/1", "Running", "0"],
    [
      "crashing",
      {},
      {
        phase: "Running",
        containerStatuses: [
          {
            ...running,
            ready: false,
            restartCount: 3,
            state: { waiting: { reason: "CrashLoopBackOff" } },
            lastState: { terminated: { exitCode: 1, finishedAt: stamp } },
          },
        ],
      },
      "0/1",
      "CrashLoopBackOff",
      "3 (5m ago)",
    ],
    [
      "completed",
      {},
      {
        phase: "Succeeded",
        containerStatuses: [{ ...running, ready: false, state: { terminated: { exitCode: 0, reason: "Completed" } } }],
      },
      "0/1",
      "Completed",
      "0",
    ],
    [
      "killed without a reason",
      {},
      {
        phase: "Failed",
        containerStatuses: [{ ...running, ready: false, state: { terminated: { exitCode: 137, signal: 9 } } }],
      },
      "0/1",
      "Signal:9",
      "0",
    ],
    [
      "initializing",
      { initContainers: [{ name: "i" }, { name: "j" }] },
      {
        phase: "Pending",
        initContainerStatuses: [
          { name: "i", state: { terminated: { exitCode: 0 } } },
          { name: "j", state: { running: {} } },
        ],
      },
      "0/1",
      "Init:1/2",
      "0",
    ],
    [
      "failing to initialize",
      { initContainers: [{ name: "i" }] },
      {
        phase: "Pending",
        initContainerStatuses: [
          { name: "i", restartCount: 2, state: { terminated: { exitCode: 1, reason: "Error" } } },
        ],
      },
      "0/1",
      "Init:Error",
      "2",
    ],
    [
      "with a sidecar",
      { initContainers: [{ name: "s", restartPolicy: "Always" }] },
      {
        phase: "Running",
        conditions: [{ type: "Initialized", status: "True" }],
        initContainerStatuses: [{ name: "s", started: true, ready: true, restartCount: 1, state: { running: {} } }],
        containerStatuses: [running],
      },
      "2/2",
      "Running",
      "1",
    ],
    [
      "gated",
      {},
      { phase: "Pending", conditions: [{ type: "PodScheduled", status: "False", reason: "SchedulingGated" }] },
      "0/1",
      "SchedulingGated",
      "0",
    ],
    ["evicted", {}, { phase: "Failed", reason: "Evicted" }, "0/1", "Evicted", "0"],
  ];

  test.each(cases)("%s", (_, spec, status, ready, said, restarts) => {
    const pod = { ...withSpec((one) => Object.assign(one, spec)), status };
    expect(row(pod)).toMatchObject({ Name: "hello", Ready: ready, Status: said, Restarts: restarts, IP: "<none>" });
  });

  test("terminating, while it has not ended", () => {
    const pod = { ...hello(), status: { phase: "Running", containerStatuses: [running] } };
    pod.metadata.deletionTimestamp = stamp;
    expect(row(pod)["Status"]).toBe("Terminating");
  });
});
