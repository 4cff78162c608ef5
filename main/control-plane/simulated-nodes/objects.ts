/** What a simulated node writes: its Node, its Lease, and the status of a Pod that it pretends to run. Pure. */
import { microTimestamp, timestamp } from "../../../common/kube/clock.ts";
import type { Lease, Node, Pod } from "../../../common/kube/types.ts";

export const LEASE_SECONDS = 40;

/** Names for a number of nodes: simulated-1, simulated-2, … */
export function simulatedNames(nodes: number | readonly string[]): string[] {
  return typeof nodes === "number" ? Array.from({ length: nodes }, (_, index) => `simulated-${index + 1}`) : [...nodes];
}

export function isMaster(name: string): boolean {
  return name.includes("-master-");
}

/** Addresses of a range that is for documentation (RFC 2544): nobody may mistake them for real ones. */
export function nodeAddress(index: number): string {
  return `198.18.${Math.floor(index / 250)}.${(index % 250) + 1}`;
}

/** `reserved`: a master that leaves the work to others. */
export function simulatedNode(name: string, reserved: boolean): Node {
  const master = isMaster(name);
  const role = master ? "node-role.kubernetes.io/control-plane" : "node-role.kubernetes.io/worker";
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name,
      labels: {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "drydock.dev/simulated": "true",
        [role]: "",
      },
    },
    spec:
      master && reserved ? { taints: [{ key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" }] } : {},
  } as Node;
}

const CONDITIONS = [
  ["MemoryPressure", "False", "KubeletHasSufficientMemory"],
  ["DiskPressure", "False", "KubeletHasNoDiskPressure"],
  ["PIDPressure", "False", "KubeletHasSufficientPID"],
  ["Ready", "True", "KubeletReady"],
] as const;

export function nodeStatus(name: string, address: string, version: string, now: number): NonNullable<Node["status"]> {
  const amounts = { cpu: "32", memory: "256Gi", "ephemeral-storage": "1Ti", pods: "110" };
  const time = timestamp(now);
  return {
    capacity: amounts,
    allocatable: amounts,
    addresses: [
      { type: "InternalIP", address },
      { type: "Hostname", address: name },
    ],
    conditions: CONDITIONS.map(([type, status, reason]) => ({
      type,
      status,
      reason,
      message: "a simulated node",
      lastHeartbeatTime: time,
      lastTransitionTime: time,
    })),
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
  } as NonNullable<Node["status"]>;
}

export function nodeLease(name: string, now: number): Lease {
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name, namespace: "kube-node-lease" },
    spec: { holderIdentity: name, leaseDurationSeconds: LEASE_SECONDS, renewTime: microTimestamp(now) },
  } as Lease;
}

/** What to do about a Pod on a simulated node. */
export type PodDecision = "ignore" | "remove" | "run";

export function decidePod(pod: Pod): PodDecision {
  if (pod.metadata.deletionTimestamp) return "remove";
  return (pod.status?.phase ?? "Pending") === "Pending" ? "run" : "ignore";
}

/** Running and ready at once; a Pod of a Job has succeeded at once. */
export function podStatus(pod: Pod, addresses: { pod: string; host: string }, now: number): NonNullable<Pod["status"]> {
  const time = timestamp(now);
  const finished = pod.metadata.ownerReferences?.some((owner) => owner.controller && owner.kind === "Job") ?? false;
  const ready = finished ? "False" : "True";
  const condition = (type: string, status: string): object => ({
    type,
    status,
    lastTransitionTime: time,
    ...(status === "False" ? { reason: "PodCompleted" } : {}),
  });
  const ended = { terminated: { exitCode: 0, reason: "Completed", startedAt: time, finishedAt: time } };
  const container = (
    spec: { name: string; image?: string },
    state: object,
    isReady: boolean,
    started: boolean,
  ): object => ({
    name: spec.name,
    image: spec.image ?? "",
    imageID: `simulated://${spec.image ?? ""}`,
    containerID: `simulated://${pod.metadata.uid}-${spec.name}`,
    ready: isReady,
    started,
    restartCount: 0,
    state,
  });
  const running = finished ? ended : { running: { startedAt: time } };
  return {
    ...pod.status,
    phase: finished ? "Succeeded" : "Running",
    hostIP: addresses.host,
    hostIPs: [{ ip: addresses.host }],
    podIP: addresses.pod,
    podIPs: [{ ip: addresses.pod }],
    startTime: pod.status?.startTime ?? time,
    conditions: [
      ...(pod.status?.conditions ?? []).filter((present) => present.type === "PodScheduled"),
      condition("PodReadyToStartContainers", finished ? "False" : "True"),
      condition("Initialized", "True"),
      condition("Ready", ready),
      condition("ContainersReady", ready),
    ],
    initContainerStatuses: (pod.spec?.initContainers ?? []).map((spec) => container(spec, ended, true, false)),
    containerStatuses: (pod.spec?.containers ?? []).map((spec) => container(spec, running, !finished, !finished)),
  } as NonNullable<Pod["status"]>;
}

/** Addresses of one node's podCIDR ("10.244.3.0/24"), handed out in turn; a /24 is assumed. */
export class PodAddresses {
  private next = 2;
  private readonly prefix: string;

  constructor(podCIDR: string | undefined) {
    const [network = "10.255.0.0"] = (podCIDR ?? "").split("/");
    this.prefix = (network === "" ? "10.255.0.0" : network).split(".").slice(0, 3).join(".");
  }

  take(): string {
    const address = `${this.prefix}.${this.next}`;
    this.next = this.next >= 254 ? 2 : this.next + 1;
    return address;
  }
}
