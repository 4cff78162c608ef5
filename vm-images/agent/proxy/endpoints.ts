/** Which endpoints serve a Service's port: from its EndpointSlices, by the rules of kube-proxy. Pure. */
import type { EndpointSlice, Service } from "../../../common/kube/types.ts";

export type ServicePort = NonNullable<NonNullable<Service["spec"]>["ports"]>[number];

export interface Endpoint {
  address: string;
  port: number;
  nodeName: string | undefined;
}

const SERVICE_LABEL = "kubernetes.io/service-name";

/** "namespace/name" of the Service that a slice is of; undefined for one that is of none, or of no use here. */
export function serviceOf(slice: EndpointSlice): string | undefined {
  const name = slice.metadata.labels?.[SERVICE_LABEL];
  return name && slice.addressType === "IPv4" ? `${slice.metadata.namespace}/${name}` : undefined;
}

/** Slices by "namespace/service". */
export function slicesByService(slices: EndpointSlice[]): Map<string, EndpointSlice[]> {
  const result = new Map<string, EndpointSlice[]>();
  for (const slice of slices) {
    const key = serviceOf(slice);
    if (key === undefined) continue;
    const list = result.get(key);
    if (list) list.push(slice);
    else result.set(key, [slice]);
  }
  return result;
}

/** Ready endpoints in a stable order; when there are none, those that end but still serve. */
export function endpointsOf(port: ServicePort, slices: EndpointSlice[]): Endpoint[] {
  const ready = new Map<string, Endpoint>();
  const terminating = new Map<string, Endpoint>();
  for (const slice of slices) {
    const target = (slice.ports ?? []).find(
      (candidate) =>
        (candidate.name ?? "") === (port.name ?? "") && (candidate.protocol ?? "TCP") === (port.protocol ?? "TCP"),
    )?.port;
    if (target === undefined || target === null) continue;
    for (const { addresses, conditions, nodeName } of slice.endpoints ?? []) {
      const address = addresses[0];
      if (!address) continue;
      const endpoint = { address, port: target, nodeName: nodeName ?? undefined };
      const key = `${address}:${target}`;
      if (conditions?.ready !== false) ready.set(key, endpoint);
      else if (conditions.serving && conditions.terminating) terminating.set(key, endpoint);
    }
  }
  const chosen = ready.size > 0 ? ready : terminating;
  return [...chosen.values()].toSorted((a, b) => (`${a.address}:${a.port}` < `${b.address}:${b.port}` ? -1 : 1));
}
