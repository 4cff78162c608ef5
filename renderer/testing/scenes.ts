/** The facts the pretended engine tells: this computer, its clusters, the steps of its operations. */
import {
  ClusterPlan,
  type ClusterSummary,
  type Failure,
  type Finding,
  type Operation,
  type Step,
  type SystemInfo,
} from "../../common/contract/index.ts";

const GIB = 1024 ** 3;

export const SYSTEM: SystemInfo = {
  version: "0.1.0",
  platform: "linux",
  arch: "x64",
  cpus: 8,
  memoryBytes: 16 * GIB,
  memoryFreeBytes: 9.4 * GIB,
  diskFreeBytes: 212 * GIB,
  home: "/home/user/.drydock",
  engine: { pid: 4711, startedAt: new Date(Date.now() - 3_600_000).toISOString(), memoryBytes: 96 * 1024 ** 2 },
  qemu: { found: true, version: "7.2.15" },
  lima: {
    found: false,
    reason: "limactl is not installed",
    advice: "Install Lima, or choose the driver qemu.",
  },
  accelerator: {
    best: "tcg",
    reasons: [
      {
        name: "kvm",
        works: false,
        reason: "/dev/kvm opens, but a probe kernel did not reach its first line within 4 s",
      },
      { name: "tcg", works: true, reason: "always works; about ten times slower" },
    ],
  },
  image: { state: "present", version: "1", bytes: 525 * 1024 ** 2 },
};

export function clusterNamed(name: string, state: ClusterSummary["state"], input?: ClusterPlan): ClusterSummary {
  const plan = input ?? ClusterPlan.parse({ name });
  const up = state === "running" || state === "degraded";
  const nodes = [
    ...Array.from({ length: plan.masters }, (_, index) => ({
      role: "master" as const,
      name: `${name}-master-${index + 1}`,
      address: `10.240.0.${11 + index}`,
    })),
    ...Array.from({ length: plan.workers }, (_, index) => ({
      role: "worker" as const,
      name: `${name}-worker-${index + 1}`,
      address: `10.240.0.${21 + index}`,
    })),
  ].map((node, index): ClusterSummary["nodes"][number] => {
    const dead = state === "degraded" && index === 2;
    return {
      ...node,
      machine: dead ? "failed" : up ? "running" : state === "stopped" ? "stopped" : "starting",
      ...(up && { ready: !dead }),
      ...(state === "creating" && { stage: index === 0 ? "registering" : "certificate" }),
      cpus: plan.cpus,
      memoryMiB: plan.memoryMiB,
      diskGiB: plan.diskGiB,
      ...(up && !dead && { hostMemoryBytes: (index === 0 ? 182 : 264 + index * 31) * 1024 ** 2, pid: 5000 + index }),
      ...(dead && {
        failure: {
          code: "MACHINE_DIED",
          message: `${node.name}'s machine ended by itself (signal 9).`,
          lastLines: ["qemu-system-x86_64: terminating on signal 9"],
          advice: "Something killed the process, often the kernel for want of memory. Start the node again.",
          action: { label: "Start node", kind: "start" as const },
        },
      }),
    };
  });
  return {
    name,
    state,
    plan,
    createdAt: new Date(Date.now() - 10_800_000).toISOString(),
    accelerator: "tcg",
    ...(up && { apiServer: "https://127.0.0.1:40123" }),
    controlPlane: up ? "running" : state === "stopped" ? "stopped" : "starting",
    kubeconfig: `/home/user/.drydock/clusters/${name}/kubeconfig`,
    trusted: false,
    nodes,
    nodePorts: up
      ? [{ namespace: "default", service: "hello", nodePort: 30080, hostPort: 30080, protocol: "TCP" }]
      : [],
    loadBalancers: up
      ? [
          {
            namespace: "shop",
            service: "front",
            address: "127.77.14.3",
            ports: [{ port: 80, nodePort: 30443, hostPort: 8080, protocol: "TCP" }],
          },
        ]
      : [],
  };
}

/** As the engine's live check would say. */
export function findings(input: Record<string, unknown>, taken: string[]): Finding[] {
  const found: Finding[] = [];
  const parsed = ClusterPlan.safeParse(input);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      found.push({ severity: "error", field: String(issue.path[0]) as Finding["field"], message: issue.message });
    }
    return found;
  }
  const plan = parsed.data;
  const count = plan.masters + plan.workers;
  const gib = (count * plan.memoryMiB) / 1024;
  if (taken.includes(plan.name))
    found.push({ severity: "error", field: "name", message: `There is already a cluster named ${plan.name}.` });
  if (gib > 16)
    found.push({
      severity: "error",
      field: "memoryMiB",
      message: `${count} nodes need ${gib} GiB of memory; this computer has 16 GiB.`,
      advice: "Choose fewer nodes or less memory each.",
    });
  else if (gib > 9.4)
    found.push({
      severity: "warning",
      field: "memoryMiB",
      message: `${count} nodes may use ${gib} GiB of memory; 9.4 GiB are free now.`,
    });
  else found.push({ severity: "ok", field: "memoryMiB", message: `${gib} GiB at most, of 9.4 GiB free` });
  if (count * plan.cpus > 16)
    found.push({ severity: "warning", field: "cpus", message: `${count * plan.cpus} virtual CPUs share 8 real ones.` });
  found.push({
    severity: "ok",
    field: "diskGiB",
    message: `grows as used, to ${count * plan.diskGiB} GiB; 212 GiB are free`,
  });
  found.push({
    severity: "warning",
    field: "accelerator",
    message: "KVM does not work here, so machines are emulated: about ten times slower.",
  });
  return found;
}

const PLAN: Record<string, [title: string, usual: number][]> = {
  Image: [["Check the node image", 120]],
  "Control plane": [
    ["Issue certificates", 310],
    ["Start the API server", 740],
    ["Write the kubeconfig", 12],
  ],
};
const NODE_STEPS: [title: string, usual: number][] = [
  ["Clone the machine", 480],
  ["Agent answers", 700],
  ["Join the network", 350],
  ["Certificate signed", 620],
  ["Node registered", 400],
  ["Node Ready", 1900],
];

/** `progress` 0…1: how far along the operation is when first seen. */
export function createSteps(
  kind: Operation["kind"],
  cluster: string,
  began: number,
  progress: number,
  failure?: Failure,
): Step[] {
  const groups: [string, [string, number][]][] = [];
  if (kind === "create") groups.push(...Object.entries(PLAN));
  const nodes = [`${cluster}-master-1`, `${cluster}-worker-1`, `${cluster}-worker-2`];
  if (kind === "create" || kind === "start") for (const node of nodes) groups.push([node, NODE_STEPS]);
  else if (kind === "image")
    groups.push([
      "Image",
      [
        ["Install Debian packages", 61_000],
        ["Pack the file system", 22_000],
        ["Check that it boots", 31_000],
      ],
    ]);
  else
    for (const node of nodes)
      groups.push([
        node,
        [
          ["Stop Pods in order", 2100],
          ["Power off", 600],
        ],
      ]);
  return groups.flatMap(([group, steps], groupIndex) =>
    steps.map(([title, usualMillis], index): Step => {
      const reached = group in PLAN ? steps.length : Math.floor(progress * steps.length + (groupIndex % 2));
      const doomed = failure !== undefined && group.endsWith("worker-2") && index === 1;
      const cut = failure !== undefined && group.endsWith("worker-2") && index > 1;
      const state = doomed
        ? "failed"
        : cut
          ? "cancelled"
          : progress > 0 && index < reached
            ? "done"
            : index === (progress > 0 ? reached : 0)
              ? "running"
              : "waiting";
      const startedAt = began + index * 700 + groupIndex * 120;
      return {
        id: `${group}/${index}`,
        title,
        group,
        state: failure && state === "running" ? "cancelled" : state,
        usualMillis,
        deadlineMillis: Math.max(30_000, usualMillis * 10),
        ...(state !== "waiting" && state !== "cancelled" && { startedAt }),
        ...(state === "done" && { endedAt: startedAt + usualMillis * 1.1 }),
        ...(doomed && { endedAt: startedAt + 90_000, failure }),
        ...(state === "running" && {
          detail: title === "Node Ready" ? "waiting for the pod network" : "asking again every 200 ms",
        }),
      };
    }),
  );
}
