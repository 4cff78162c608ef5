/**
 * UDP has no connections, but the kernel remembers where it sent a client's packets, and goes on sending them there for as long as
 * they keep coming: to a Pod that is gone, or nowhere when the Service had no endpoint at first. What follows from a change of
 * the rules, as arguments of `conntrack`. Pure.
 */
import type { Ruleset } from "./rules.ts";

export function staleFlows(old: Ruleset, next: Ruleset): string[][] {
  const commands: string[][] = [];
  for (const key of new Set([...old.udp.keys(), ...next.udp.keys()])) {
    const before = old.udp.get(key) ?? [];
    const after = new Set(next.udp.get(key));
    const where = destination(key);
    if (before.length === 0 && after.size > 0) commands.push(["-D", "-p", "udp", ...where]);
    for (const address of before)
      if (!after.has(address)) commands.push(["-D", "-p", "udp", ...where, "--dst-nat", address]);
  }
  return commands;
}

/** "10.96.0.7 . 53", or ". 30053" for a port of every address of the node. */
function destination(key: string): string[] {
  const [address = "", port = ""] = key.split(" . ");
  return [...(address === "" ? [] : ["--orig-dst", address]), "--orig-port-dst", port];
}
