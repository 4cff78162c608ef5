/**
 * What the ConfigMap kube-system/coredns asks of the cluster's DNS, in CoreDNS' own words (https://coredns.io/manual/toc/):
 * `forward` for names of a zone, and `hosts` with entries inside. The rest of a Corefile is about CoreDNS itself. Pure.
 */
import { isIP } from "node:net";

export interface ServerAddress {
  address: string;
  port: number;
}

export interface Zone {
  /** "." or "corp.example", without a dot at its end. */
  name: string;
  /** Empty: the zone's names are in `hosts` alone. "node": the resolvers of the node. */
  servers: (ServerAddress | "node")[];
  /** Name → addresses. */
  hosts: Map<string, string[]>;
}

export interface Corefile {
  zones: Zone[];
  /** Directives that mean nothing here, each once. */
  ignored: string[];
}

/** Of no consequence for answers, or done by the agent anyway. */
const UNDERSTOOD = new Set([
  "kubernetes",
  "cache",
  "errors",
  "health",
  "ready",
  "prometheus",
  "loop",
  "reload",
  "loadbalance",
  "log",
]);
const DNS_PORT = 53;

/** Throws an error that says what is wrong and where. */
export function parseCorefile(text: string): Corefile {
  const lines = text.split("\n").map((line, index) => ({ number: index + 1, words: wordsOf(line) }));
  const zones: Zone[] = [];
  const ignored = new Set<string>();
  let block: Zone[] | undefined;
  /** The directive whose own braces are open. */
  let inside: string | undefined;
  for (const { number, words } of lines) {
    if (words.length === 0) continue;
    const opens = words.at(-1) === "{";
    const plain = opens ? words.slice(0, -1) : words;
    const [first = "", ...rest] = plain;
    const wrong = (what: string): Error => new Error(`Corefile, line ${number}: ${what}`);
    if (first === "}") {
      if (inside !== undefined) inside = undefined;
      else if (block) block = undefined;
      else throw wrong('a "}" too many');
    } else if (!block) {
      if (!opens) throw wrong(`a block of ${plain.join(" ")} is not opened`);
      block = plain.map((key) => ({ name: zoneName(key), servers: [], hosts: new Map() }));
      zones.push(...block);
    } else if (inside === "hosts") {
      if (isIP(first)) for (const zone of block) for (const name of rest) addHost(zone.hosts, name, first);
    } else if (inside === undefined) {
      if (first === "forward") {
        const servers = rest.slice(1).map((to) => serverOf(to) ?? wrong(`${to} is no address of a DNS server`));
        const bad = servers.find((server) => server instanceof Error);
        if (bad) throw bad;
        if (servers.length === 0) throw wrong("forward wants FROM and TO");
        const from = zoneName(rest[0] ?? ".");
        for (const zone of block) {
          // "forward sub.zone TO" inside a block of the zone is for a part of it.
          const target: Zone =
            from === "." || from === zone.name ? zone : { name: from, servers: [], hosts: new Map() };
          if (target !== zone) zones.push(target);
          target.servers.push(...(servers as Zone["servers"]));
        }
      } else if (first !== "hosts" && !UNDERSTOOD.has(first)) ignored.add(first);
      if (opens) inside = first;
    }
  }
  if (block) throw new Error('Corefile: a "}" is missing at its end');
  return { zones: zones.filter(({ servers, hosts }) => servers.length + hosts.size > 0), ignored: [...ignored] };
}

/** The zone that a name belongs to: the longest that fits. */
export function zoneOf(zones: readonly Zone[], name: string): Zone | undefined {
  const lower = name.toLowerCase().replace(/\.$/, "");
  return zones
    .filter((zone) => zone.name === "." || lower === zone.name || lower.endsWith(`.${zone.name}`))
    .toSorted((a, b) => lengthOf(b) - lengthOf(a))[0];
}

function lengthOf({ name }: Zone): number {
  return name === "." ? 0 : name.length;
}

function wordsOf(line: string): string[] {
  return line
    .replace(/#.*$/, "")
    .replace(/^\s*\}/, "} ")
    .split(/\s+/)
    .filter((word) => word !== "");
}

/** "dns://Example.org.:53" → "example.org". */
function zoneName(key: string): string {
  const name = key
    .replace(/^[a-z]+:\/\//, "")
    .replace(/:\d+$/, "")
    .toLowerCase();
  return name === "." || name === "" ? "." : name.replace(/\.$/, "");
}

function serverOf(text: string): ServerAddress | "node" | undefined {
  if (text.startsWith("/")) return "node";
  const match = /^(?:dns:\/\/)?([\d.]+)(?::(\d+))?$/.exec(text);
  const [, address = "", port] = match ?? [];
  if (isIP(address) !== 4) return undefined;
  return { address, port: Number(port ?? DNS_PORT) };
}

function addHost(hosts: Map<string, string[]>, name: string, address: string): void {
  const key = name.toLowerCase().replace(/\.$/, "");
  hosts.set(key, [...(hosts.get(key) ?? []), address]);
}
