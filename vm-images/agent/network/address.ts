/** IPv4 addresses and blocks as numbers. Pure. */

export interface Cidr {
  /** The first address, as a number. */
  base: number;
  prefix: number;
}

export function parseAddress(text: string): number {
  const parts = text.split(".").map(Number);
  if (parts.length !== 4 || parts.some((part) => !Number.isInteger(part) || part < 0 || part > 255))
    throw new Error(`not an IPv4 address: ${text}`);
  return parts.reduce((value, part) => value * 256 + part, 0);
}

export function formatAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join(".");
}

export function parseCidr(text: string): Cidr {
  const [address = "", prefix = ""] = text.split("/");
  const bits = Number(prefix);
  if (prefix === "" || !Number.isInteger(bits) || bits < 0 || bits > 32) throw new Error(`not an IPv4 block: ${text}`);
  const size = 2 ** (32 - bits);
  return { base: Math.floor(parseAddress(address) / size) * size, prefix: bits };
}

export function contains(cidr: Cidr, address: string): boolean {
  const value = parseAddress(address);
  return value >= cidr.base && value < cidr.base + 2 ** (32 - cidr.prefix);
}

/** The first address of a node's block is the Pods' gateway. */
export function gatewayOf(cidr: Cidr): string {
  return formatAddress(cidr.base + 1);
}

/**
 * A free address of the block, going round from the one given last, so that an address rests as long as
 * possible before another Pod gets it. undefined when all are taken.
 */
export function nextAddress(cidr: Cidr, taken: ReadonlySet<string>, last: string | undefined): string | undefined {
  const first = cidr.base + 2;
  const count = 2 ** (32 - cidr.prefix) - 3;
  const start = last && contains(cidr, last) ? parseAddress(last) + 1 : first;
  for (let step = 0; step < count; step++) {
    const candidate = formatAddress(first + ((start - first + step + count) % count));
    if (!taken.has(candidate)) return candidate;
  }
  return undefined;
}
