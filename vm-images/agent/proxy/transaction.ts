/** From the rules that are there to the rules that should be, as one nft transaction: what did not change is not mentioned. Pure. */
import { MASQUERADE_MARK } from "./rules.ts";
import type { Ruleset } from "./rules.ts";

export const TABLE = "ip drydock";

export interface StaticRules {
  clusterCIDR: string;
  serviceCIDR: string;
  clusterDNS: string;
  nodeNetwork: string;
  /** Every address that a Pod of this node may have: for connections that come back to where they began. */
  podCIDR: string;
}

/** The table's frame. Replaces whatever an agent before this one has left, in the same transaction as the rules that follow. */
export function frame(rules: StaticRules, podAddresses: string[]): string {
  return `add table ${TABLE}
delete table ${TABLE}
table ${TABLE} {
  map services { type ipv4_addr . inet_proto . inet_service : verdict; }
  map node-ports { type inet_proto . inet_service : verdict; }
  set hairpin { type ipv4_addr . ipv4_addr; elements = { ${podAddresses.map((address) => `${address} . ${address}`).join(", ")} } }
  chain dispatch {
    ip daddr . meta l4proto . th dport vmap @services
    fib daddr type local ip daddr != 127.0.0.0/8 meta l4proto . th dport vmap @node-ports
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    jump dispatch
  }
  chain output {
    type nat hook output priority -100; policy accept;
    jump dispatch
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    meta mark & ${MASQUERADE_MARK} == ${MASQUERADE_MARK} masquerade
    ip saddr . ip daddr @hairpin masquerade
    ip saddr ${rules.clusterCIDR} ip daddr != { ${rules.clusterCIDR}, ${rules.nodeNetwork} } masquerade
  }
  chain unserved {
    ip daddr ${rules.serviceCIDR} ip daddr != ${rules.clusterDNS} reject
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    jump unserved
  }
  chain local-output {
    type filter hook output priority filter; policy accept;
    jump unserved
  }
}
`;
}

/** "" when nothing has to be done. */
export function transaction(old: Ruleset, next: Ruleset): string {
  const lines: string[] = [];
  for (const [name, declaration] of next.sets)
    if (!old.sets.has(name)) lines.push(`add set ${TABLE} ${name} { ${declaration} }`);
  const changed = [...next.chains].filter(([name, rules]) => old.chains.get(name)?.join("\n") !== rules.join("\n"));
  // All chains before any rule: rules go from one to another.
  for (const [name] of changed) if (!old.chains.has(name)) lines.push(`add chain ${TABLE} ${name}`);
  for (const [name, rules] of changed) {
    if (old.chains.has(name)) lines.push(`flush chain ${TABLE} ${name}`);
    for (const rule of rules) lines.push(`add rule ${TABLE} ${name} ${rule}`);
  }
  for (const [map, before, after] of [
    ["services", old.services, next.services],
    ["node-ports", old.nodePorts, next.nodePorts],
  ] as const) {
    const removed = [...before].filter(([key, chain]) => after.get(key) !== chain);
    const added = [...after].filter(([key, chain]) => before.get(key) !== chain);
    if (removed.length > 0) lines.push(`delete element ${TABLE} ${map} { ${removed.map(([key]) => key).join(", ")} }`);
    if (added.length > 0)
      lines.push(`add element ${TABLE} ${map} { ${added.map(([key, chain]) => `${key} : goto ${chain}`).join(", ")} }`);
  }
  const gone = [...old.chains.keys()].filter((name) => !next.chains.has(name));
  for (const name of gone) lines.push(`flush chain ${TABLE} ${name}`);
  for (const name of gone) lines.push(`delete chain ${TABLE} ${name}`);
  for (const name of old.sets.keys()) if (!next.sets.has(name)) lines.push(`delete set ${TABLE} ${name}`);
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}
