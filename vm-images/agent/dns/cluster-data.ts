/** What DNS answers from: the watched Services and EndpointSlices, with indexes that are made again after a change. */
import type { EndpointSlice, Service } from "../../../common/kube/types.ts";
import type { NodeIdentity } from "../../../common/node/identity.ts";
import type { Watched } from "../api/watched.ts";
import { contains, parseCidr } from "../network/address.ts";
import { slicesByService } from "../proxy/endpoints.ts";
import { endpointRecords } from "./records.ts";
import type { DnsData } from "./records.ts";

export function clusterData(
  identity: NodeIdentity,
  services: Watched<Service>,
  slices: Watched<EndpointSlice>,
): DnsData {
  const blocks = [parseCidr(identity.serviceCIDR), parseCidr(identity.clusterCIDR)];
  let byService: Map<string, EndpointSlice[]> | undefined;
  let byAddress: Map<string, string[]> | undefined;
  slices.onChange(() => (byService = byAddress = undefined));
  services.onChange(() => (byAddress = undefined));
  const index = (): Map<string, EndpointSlice[]> => (byService ??= slicesByService(slices.items()));

  function names(): Map<string, string[]> {
    const result = new Map<string, string[]>();
    const add = (address: string, name: string): void =>
      void result.set(address, [...(result.get(address) ?? []), name]);
    for (const service of services.items()) {
      const { name = "", namespace = "" } = service.metadata;
      const full = `${name}.${namespace}.svc.${identity.clusterDomain}`;
      const ip = service.spec?.clusterIP;
      if (ip && ip !== "None") add(ip, full);
      else if (ip === "None")
        for (const { address, hostname } of endpointRecords(index().get(`${namespace}/${name}`) ?? [], true))
          add(address, `${hostname}.${full}`);
    }
    return result;
  }

  return {
    domain: identity.clusterDomain,
    service: (namespace, name) => services.get(`${namespace}/${name}`),
    slices: (namespace, name) => index().get(`${namespace}/${name}`) ?? [],
    namespaceExists: (namespace) =>
      namespace === "default" || services.items().some(({ metadata }) => metadata.namespace === namespace),
    namesOf: (address) => (byAddress ??= names()).get(address) ?? [],
    isClusterAddress: (address) => blocks.some((block) => contains(block, address)),
  };
}
