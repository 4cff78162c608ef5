/** From the policy rules that are there to those that should be, as one nft transaction: what did not change is not mentioned. Pure. */
import type { PolicyRules } from "./rules.ts";

export const TABLE = "ip drydock-policy";

export const NO_RULES: PolicyRules = { chains: new Map(), sets: new Map(), ingress: new Map(), egress: new Map() };

/**
 * The frame. What the node itself sends to its Pods (probes) passes no hook here. Pods that talk to the node, its DNS above
 * all, come by `input`; the DNS's answers are of connections that were let through.
 */
export const FRAME = `add table ${TABLE}
delete table ${TABLE}
table ${TABLE} {
  map ingress { type ipv4_addr : verdict; }
  map egress { type ipv4_addr : verdict; }
  chain forward {
    type filter hook forward priority filter + 10; policy accept;
    ct state established,related accept
    ip saddr vmap @egress
    ip daddr vmap @ingress
  }
  chain input {
    type filter hook input priority filter + 10; policy accept;
    ct state established,related accept
    ip saddr vmap @egress
  }
}
`;

/** "" when nothing has to be done. */
export function policyTransaction(old: PolicyRules, next: PolicyRules): string {
  const lines: string[] = [];
  for (const [name, addresses] of next.sets) {
    const before = old.sets.get(name);
    if (!before) lines.push(`add set ${TABLE} ${name} { type ipv4_addr; }`);
    const removed = [...(before ?? [])].filter((address) => !addresses.has(address));
    const added = [...addresses].filter((address) => !before?.has(address));
    if (removed.length > 0) lines.push(`delete element ${TABLE} ${name} { ${removed.join(", ")} }`);
    if (added.length > 0) lines.push(`add element ${TABLE} ${name} { ${added.join(", ")} }`);
  }
  for (const [name, rules] of next.chains) {
    const before = old.chains.get(name);
    if (before?.join("\n") === rules.join("\n")) continue;
    lines.push(before ? `flush chain ${TABLE} ${name}` : `add chain ${TABLE} ${name}`);
    for (const rule of rules) lines.push(`add rule ${TABLE} ${name} ${rule}`);
  }
  for (const map of ["ingress", "egress"] as const) {
    const removed = [...old[map]].filter(([address, chain]) => next[map].get(address) !== chain);
    const added = [...next[map]].filter(([address, chain]) => old[map].get(address) !== chain);
    if (removed.length > 0)
      lines.push(`delete element ${TABLE} ${map} { ${removed.map(([address]) => address).join(", ")} }`);
    if (added.length > 0)
      lines.push(
        `add element ${TABLE} ${map} { ${added.map(([address, chain]) => `${address} : jump ${chain}`).join(", ")} }`,
      );
  }
  const gone = [...old.chains.keys()].filter((name) => !next.chains.has(name));
  for (const name of gone) lines.push(`flush chain ${TABLE} ${name}`);
  for (const name of gone) lines.push(`delete chain ${TABLE} ${name}`);
  for (const name of old.sets.keys()) if (!next.sets.has(name)) lines.push(`delete set ${TABLE} ${name}`);
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}
