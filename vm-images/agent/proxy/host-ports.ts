/** Ports of the node that Pods ask for with hostPort. Pure. */
import type { Pod } from "../../../common/kube/types.ts";
import { isHostNetwork } from "../kubelet/pod.ts";
import type { HostPort } from "./rules.ts";

/** Pods on the host's network have theirs by themselves; a hostIP of another address is not ours. */
export function hostPorts(pods: Pod[], nodeAddress: string): HostPort[] {
  const result: HostPort[] = [];
  for (const pod of pods) {
    const address = pod.status?.podIP;
    if (!address || isHostNetwork(pod) || pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed") continue;
    for (const container of [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])]) {
      for (const { hostPort, hostIP, containerPort, protocol } of container.ports ?? []) {
        if (!hostPort || (hostIP && hostIP !== "0.0.0.0" && hostIP !== nodeAddress)) continue;
        result.push({ protocol: protocol ?? "TCP", hostPort, address, port: containerPort });
      }
    }
  }
  return result;
}
