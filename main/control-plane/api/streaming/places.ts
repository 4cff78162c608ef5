/** Where a Pod's kubelet is to be found. */
import { StatusError } from "../../../../common/kube/status.ts";
import type { Node, Pod } from "../../../../common/kube/types.ts";
import type { Reader } from "../../resources/reader.ts";
import type { KubeletAddress } from "./kubelet-proxy.ts";

const KUBELET_PORT = 10250;

/** Throws ServiceUnavailable when no address is known. */
export async function nodeKubelet(reader: Reader, nodeName: string): Promise<KubeletAddress> {
  const node = (await reader.live("nodes", undefined, nodeName)) as Node | undefined;
  const address = node?.status?.addresses?.find(({ type }) => type === "InternalIP")?.address;
  if (!address) throw new StatusError("ServiceUnavailable", `no address is known of node ${nodeName}`);
  return { address, port: node?.status?.daemonEndpoints?.kubeletEndpoint?.Port ?? KUBELET_PORT };
}

/** Throws BadRequest as long as the Pod has no node. */
export async function podKubelet(reader: Reader, pod: Pod): Promise<KubeletAddress> {
  const nodeName = pod.spec?.nodeName;
  if (!nodeName) throw new StatusError("BadRequest", `pod ${pod.metadata.name} does not have a host assigned`);
  return nodeKubelet(reader, nodeName);
}
