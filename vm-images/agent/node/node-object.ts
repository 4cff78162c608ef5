/** The Node as the API shows it: registration, status and conditions. Pure. */
import type { Node } from "../../../common/kube/types.ts";
import { KUBELET_PORT } from "../../../common/node/identity.ts";
import type { NodeIdentity } from "../../../common/node/identity.ts";
import { timestamp } from "../kubelet/status.ts";
import type { MachineFacts } from "../machine/facts.ts";
import type { RuntimeImage } from "../runtime/runtime.ts";

export const KUBELET_VERSION = "v1.36.0";
export const MAX_PODS = 110;
/** What the node keeps for itself: agent, Docker, kernel. */
const SYSTEM_RESERVED = 100 * 1024 * 1024;
const MAX_IMAGES = 50;

type NodeStatus = NonNullable<Node["status"]>;
type NodeCondition = NonNullable<NodeStatus["conditions"]>[number];

export interface NodeHealth {
  /** Why the node cannot take Pods; undefined when it can. */
  notReady: string | undefined;
  memoryPressure: boolean;
  diskPressure: boolean;
  pidPressure: boolean;
}

export function allocatable(facts: MachineFacts): { cpuMilli: number; memoryBytes: number } {
  return {
    cpuMilli: facts.cpus * 1000,
    memoryBytes: Math.max(facts.memoryBytes - SYSTEM_RESERVED, facts.memoryBytes / 2),
  };
}

const kibibytes = (bytes: number): string => `${Math.floor(bytes / 1024)}Ki`;

export function nodeLabels(identity: NodeIdentity): Record<string, string> {
  return {
    "kubernetes.io/hostname": identity.nodeName,
    "kubernetes.io/os": "linux",
    "kubernetes.io/arch": "amd64",
    "beta.kubernetes.io/os": "linux",
    "beta.kubernetes.io/arch": "amd64",
    ...identity.labels,
  };
}

export function nodeObject(identity: NodeIdentity, status: NodeStatus): Node {
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: identity.nodeName, labels: nodeLabels(identity) },
    spec: identity.taints.length > 0 ? { taints: identity.taints } : {},
    status,
  } as Node;
}

/** `previous`: the status as last written, for the conditions' times of transition. */
export function nodeStatus(
  identity: NodeIdentity,
  facts: MachineFacts,
  dockerVersion: string,
  images: RuntimeImage[],
  health: NodeHealth,
  previous: NodeStatus | undefined,
  now: number,
): NodeStatus {
  const spare = allocatable(facts);
  const common = { "ephemeral-storage": kibibytes(facts.diskBytes), "hugepages-2Mi": "0", pods: String(MAX_PODS) };
  const heartbeat = timestamp(now);
  const condition = (type: string, isTrue: boolean, reason: string, message: string): NodeCondition => {
    const status = isTrue ? "True" : "False";
    const old = previous?.conditions?.find((other) => other.type === type);
    return {
      type,
      status,
      reason,
      message,
      lastHeartbeatTime: heartbeat,
      lastTransitionTime: old?.status === status && old.lastTransitionTime ? old.lastTransitionTime : heartbeat,
    } as NodeCondition;
  };
  return {
    capacity: { cpu: String(facts.cpus), memory: kibibytes(facts.memoryBytes), ...common },
    allocatable: { cpu: String(facts.cpus), memory: kibibytes(spare.memoryBytes), ...common },
    addresses: [
      { type: "InternalIP", address: identity.address },
      { type: "Hostname", address: identity.nodeName },
    ],
    conditions: [
      health.memoryPressure
        ? condition("MemoryPressure", true, "KubeletHasInsufficientMemory", "kubelet has insufficient memory available")
        : condition("MemoryPressure", false, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
      health.diskPressure
        ? condition("DiskPressure", true, "KubeletHasDiskPressure", "kubelet has disk pressure")
        : condition("DiskPressure", false, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
      health.pidPressure
        ? condition("PIDPressure", true, "KubeletHasInsufficientPID", "kubelet has insufficient PID available")
        : condition("PIDPressure", false, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
      health.notReady === undefined
        ? condition("Ready", true, "KubeletReady", "kubelet is posting ready status")
        : condition("Ready", false, "KubeletNotReady", health.notReady),
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: KUBELET_PORT } },
    nodeInfo: {
      machineID: facts.machineId,
      systemUUID: facts.machineId,
      bootID: facts.bootId,
      kernelVersion: facts.kernelVersion,
      osImage: facts.osImage,
      containerRuntimeVersion: `docker://${dockerVersion}`,
      kubeletVersion: KUBELET_VERSION,
      kubeProxyVersion: "",
      operatingSystem: "linux",
      architecture: "amd64",
    },
    images: images
      .toSorted((a, b) => b.bytes - a.bytes)
      .slice(0, MAX_IMAGES)
      .map((image) => ({ names: [...image.digests, ...image.names], sizeBytes: image.bytes })),
  } as unknown as NodeStatus;
}

/** The same but for the times at which it was looked at: such a status need not be written. */
export function sameStatus(a: NodeStatus, b: NodeStatus): boolean {
  const withoutTimes = (status: NodeStatus): string =>
    JSON.stringify(status, (key, value: unknown) =>
      key === "lastHeartbeatTime" || key === "lastTransitionTime" ? undefined : value,
    );
  return withoutTimes(a) === withoutTimes(b);
}
