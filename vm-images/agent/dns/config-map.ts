/** The ConfigMap kube-system/coredns, taken into use as it changes; one that cannot be understood leaves the former in use. */
import type { ConfigMap } from "../../../common/kube/types.ts";
import type { Log } from "../log.ts";
import { describeError } from "../log.ts";
import { parseCorefile } from "./corefile.ts";
import type { DnsServer } from "./server.ts";

export const DNS_CONFIG = "coredns";
/** The key that CoreDNS' own Deployment mounts. */
const KEY = "Corefile";

export function useCorefile(dns: DnsServer, config: ConfigMap | undefined, log: Log): void {
  const text = config?.data?.[KEY];
  try {
    const { zones, ignored } = parseCorefile(text ?? "");
    dns.useZones(zones);
    if (text !== undefined) log.info("dns", `zones of its own: ${zones.map(({ name }) => name).join(", ") || "none"}`);
    if (ignored.length > 0) log.info("dns", `of no effect here: ${ignored.join(", ")}`);
  } catch (error) {
    log.info("dns", `kube-system/${DNS_CONFIG} is left out of account: ${describeError(error)}`);
  }
}
