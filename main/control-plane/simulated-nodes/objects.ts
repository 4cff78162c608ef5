/** What a simulated node writes of itself: its Node and its Lease. Pure. */
import { microTimestamp, timestamp } from "../../../common/kube/clock.ts";
import type { Lease, Node } from "../../../common/kube/types.ts";
import type { Fault, NodeRule } from "./rules/schema.ts";

export const LEASE_SECONDS = 40;
export const SIMULATED_LABEL = "drydock.dev/simulated";

/** Names for a number of nodes: simulated-1, simulated-2, … */
export function simulatedNames(nodes: number | readonly string[]): string[] {
  return typeof nodes === "number" ? Array.from({ length: nodes }, (_, index) => `simulated-${index + 1}`) : [...nodes];
}

export function isMaster(name: string): boolean {
  return name.includes("-master-");
}

/** Addresses of a range that is for documentation (RFC 2544): nobody may mistake them for real ones. */
export function nodeAddress(index: number): string {
  return `198.${18 + Math.floor(index / 62_500)}.${Math.floor(index / 250) % 250}.${(index % 250) + 1}`;
}

/** `reserved`: a master that leaves the work to others; `index`: its number among the nodes, for its zone. */
export function simulatedNode(name: string, reserved: boolean, index = 0, rule: NodeRule = {}): Node {
  const master = isMaster(name);
  const role = master ? "node-role.kubernetes.io/control-plane" : "node-role.kubernetes.io/worker";
  const zone = rule.zones?.[index % rule.zones.length];
  const taints = [
    ...(master && reserved ? [{ key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" }] : []),
    ...(rule.taints ?? []),
  ];
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name,
      labels: {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        [SIMULATED_LABEL]: "true",
        [role]: "",
        ...(zone ? { "topology.kubernetes.io/zone": zone } : {}),
        ...rule.labels,
      },
    },
    spec: taints.length > 0 ? { taints } : {},
  } as Node;
}

const AMOUNTS = { cpu: "32", memory: "256Gi", "ephemeral-storage": "1Ti", pods: "110" };

const PRESSURES: readonly [Fault, string, string][] = [
  ["MemoryPressure", "KubeletHasInsufficientMemory", "KubeletHasSufficientMemory"],
  ["DiskPressure", "KubeletHasDiskPressure", "KubeletHasNoDiskPressure"],
  ["PIDPressure", "KubeletHasInsufficientPID", "KubeletHasSufficientPID"],
];

type Status = NonNullable<Node["status"]>;
type NodeCondition = NonNullable<Status["conditions"]>[number];

function conditions(faults: ReadonlySet<Fault>, known: readonly NodeCondition[], now: number): NodeCondition[] {
  const time = timestamp(now);
  const condition = (type: string, status: string, reason: string, message: string): NodeCondition => {
    const old = known.find((one) => one.type === type);
    const since = old?.status === status ? (old.lastTransitionTime ?? time) : time;
    return { type, status, reason, message, lastHeartbeatTime: time, lastTransitionTime: since } as NodeCondition;
  };
  const ready = !faults.has("NotReady");
  const own = [
    ...PRESSURES.map(([type, yes, no]) =>
      faults.has(type)
        ? condition(type, "True", yes, "a simulated fault")
        : condition(type, "False", no, "a simulated node"),
    ),
    condition(
      "Ready",
      ready ? "True" : "False",
      ready ? "KubeletReady" : "KubeletNotReady",
      ready ? "a simulated node" : "a simulated fault",
    ),
  ];
  return [...known.filter(({ type }) => !own.some((one) => one.type === type)), ...own];
}

export interface NodeStatusInput {
  name: string;
  address: string;
  version: string;
  faults: ReadonlySet<Fault>;
  rule?: NodeRule | undefined;
  /** As it is known. */
  known?: Node | undefined;
  now: number;
}

export function nodeStatus({ name, address, version, faults, rule, known, now }: NodeStatusInput): Status {
  const amounts = { ...AMOUNTS, ...rule?.capacity };
  return {
    capacity: amounts,
    allocatable: amounts,
    addresses: [
      { type: "InternalIP", address },
      { type: "Hostname", address: name },
    ],
    conditions: conditions(faults, known?.status?.conditions ?? [], now),
    daemonEndpoints: { kubeletEndpoint: { Port: 10250 } },
    nodeInfo: {
      machineID: name,
      systemUUID: name,
      bootID: name,
      kernelVersion: "simulated",
      osImage: "simulated",
      containerRuntimeVersion: "simulated://1",
      kubeletVersion: version,
      kubeProxyVersion: "",
      operatingSystem: "linux",
      architecture: "amd64",
    },
  } as Status;
}

/** Whether the conditions say what is so. */
export function saysTheSame(node: Node, faults: ReadonlySet<Fault>): boolean {
  const of = (type: string): string | undefined =>
    node.status?.conditions?.find((condition) => condition.type === type)?.status;
  return (
    of("Ready") === (faults.has("NotReady") ? "False" : "True") &&
    PRESSURES.every(([type]) => of(type) === (faults.has(type) ? "True" : "False"))
  );
}

export function nodeLease(name: string, now: number): Lease {
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name, namespace: "kube-node-lease" },
    spec: { holderIdentity: name, leaseDurationSeconds: LEASE_SECONDS, renewTime: microTimestamp(now) },
  } as Lease;
}
