/** Kubernetes' CEL functions of URLs, IP addresses and CIDRs. */
import { BlockList, isIP } from "node:net";
import type { Environment } from "@marcbachmann/cel-js";
import { CelError } from "../errors.ts";
import { registerNamespace } from "./namespace.ts";

class CelUrl {
  readonly url: URL;
  /** As it was written: absolute paths are URLs too. */
  readonly relative: boolean;
  readonly text: string;
  constructor(text: string) {
    this.text = text;
    this.relative = text.startsWith("/");
    if (!this.relative && !/^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(text))
      throw new CelError(
        `URL parse error during conversion from string: parse ${JSON.stringify(text)}: invalid URI for request`,
      );
    try {
      this.url = new URL(text, "relative://");
    } catch {
      throw new CelError(
        `URL parse error during conversion from string: parse ${JSON.stringify(text)}: invalid URI for request`,
      );
    }
  }
}

/** The port as it was written: URL leaves a scheme's usual one out. */
function authorityPort(text: string): string {
  const authority = /^[^:]+:\/\/([^/?#]*)/.exec(text)?.[1] ?? "";
  return /:(\d+)$/.exec(authority)?.[1] ?? "";
}

/** An address as a number, so that it can be compared and masked. */
class CelIp {
  readonly bits: 32 | 128;
  readonly value: bigint;
  constructor(value: bigint, bits: 32 | 128) {
    this.value = value;
    this.bits = bits;
  }
  toString(): string {
    return showAddress(this.value, this.bits);
  }
}

class CelCidr {
  readonly address: CelIp;
  readonly length: number;
  constructor(address: CelIp, length: number) {
    this.address = address;
    this.length = length;
  }
  get masked(): bigint {
    const shift = BigInt(this.address.bits - this.length);
    return (this.address.value >> shift) << shift;
  }
  contains(ip: CelIp): boolean {
    const shift = BigInt(this.address.bits - this.length);
    return ip.bits === this.address.bits && ip.value >> shift === this.address.value >> shift;
  }
  toString(): string {
    return `${this.address.toString()}/${this.length}`;
  }
}

function showAddress(value: bigint, bits: 32 | 128): string {
  if (bits === 32) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join(".");
  const groups = Array.from({ length: 8 }, (_, at) => ((value >> BigInt(112 - at * 16)) & 0xffffn).toString(16));
  const text = groups.join(":");
  const [longest] = [...text.matchAll(/(?:^|:)(?:0(?::|$)){2,}/g)].toSorted((a, b) => b[0].length - a[0].length);
  return longest ? `${text.slice(0, longest.index)}::${text.slice(longest.index + longest[0].length)}` : text;
}

export function parseAddress(text: string): { value: bigint; bits: 32 | 128 } | undefined {
  const version = isIP(text);
  if (version === 4) return { value: text.split(".").reduce((sum, part) => sum * 256n + BigInt(part), 0n), bits: 32 };
  if (version !== 6 || text.includes("%")) return undefined;
  let whole = text;
  const dotted = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  // An IPv4 address inside an IPv6 one is not allowed.
  if (dotted) return undefined;
  if (whole.includes("::")) {
    const [head = "", tail = ""] = whole.split("::");
    const left = head === "" ? [] : head.split(":");
    const right = tail === "" ? [] : tail.split(":");
    whole = [...left, ...Array<string>(8 - left.length - right.length).fill("0"), ...right].join(":");
  }
  return { value: whole.split(":").reduce((sum, part) => sum * 65_536n + BigInt(`0x${part}`), 0n), bits: 128 };
}

function ipOf(text: string): CelIp {
  const parsed = parseAddress(text);
  if (!parsed)
    throw new CelError(
      `IP Address '${text}' parse error during conversion from string: ParseAddr(${JSON.stringify(text)}): unable to parse IP`,
    );
  return new CelIp(parsed.value, parsed.bits);
}

function cidrOf(text: string): CelCidr {
  const match = /^(.*)\/(0|[1-9]\d*)$/.exec(text);
  const parsed = match ? parseAddress(match[1] ?? "") : undefined;
  const length = Number(match?.[2]);
  if (!parsed || length > parsed.bits)
    throw new CelError(
      `network address parse error during conversion from string: netip.ParsePrefix(${JSON.stringify(text)}): no '/'`,
    );
  return new CelCidr(new CelIp(parsed.value, parsed.bits), length);
}

function tries(make: () => unknown): boolean {
  try {
    make();
    return true;
  } catch (error) {
    if (error instanceof CelError) return false;
    throw error;
  }
}

function within(ip: CelIp, ...ranges: [string, number][]): boolean {
  const list = new BlockList();
  for (const [address, length] of ranges) list.addSubnet(address, length, address.includes(":") ? "ipv6" : "ipv4");
  return list.check(ip.toString(), ip.bits === 32 ? "ipv4" : "ipv6");
}

const isLoopback = (ip: CelIp): boolean => within(ip, ["127.0.0.0", 8], ["::1", 128]);
const isMulticast = (ip: CelIp): boolean => within(ip, ["224.0.0.0", 4], ["ff00::", 8]);
const isLinkLocal = (ip: CelIp): boolean => within(ip, ["169.254.0.0", 16], ["fe80::", 10]);
const sameIp = (a: CelIp, b: CelIp): boolean => a.bits === b.bits && a.value === b.value;

export function registerNetwork(environment: Environment): void {
  environment.registerType("net.URL", { ctor: CelUrl, fields: {} });
  environment.registerType("net.IP", { ctor: CelIp, fields: {} });
  environment.registerType("net.CIDR", { ctor: CelCidr, fields: {} });
  registerNamespace(environment, "ip", "IpNamespace");
  environment.registerOperator("net.IP == net.IP", sameIp);
  environment.registerOperator(
    "net.CIDR == net.CIDR",
    (a: CelCidr, b: CelCidr) => sameIp(a.address, b.address) && a.length === b.length,
  );
  environment.registerOperator("net.URL == net.URL", (a: CelUrl, b: CelUrl) => a.text === b.text);
  const functions: [string, (...args: never[]) => unknown][] = [
    ["url(string): net.URL", (text: string) => new CelUrl(text)],
    ["isURL(string): bool", (text: string) => tries(() => new CelUrl(text))],
    ["net.URL.getScheme(): string", (one: CelUrl) => (one.relative ? "" : one.url.protocol.slice(0, -1))],
    [
      "net.URL.getHost(): string",
      (one: CelUrl) =>
        one.relative ? "" : one.url.hostname + (authorityPort(one.text) ? `:${authorityPort(one.text)}` : ""),
    ],
    [
      "net.URL.getHostname(): string",
      (one: CelUrl) => (one.relative ? "" : one.url.hostname.replace(/^\[(.*)\]$/, "$1")),
    ],
    ["net.URL.getPort(): string", (one: CelUrl) => (one.relative ? "" : authorityPort(one.text))],
    [
      "net.URL.getEscapedPath(): string",
      (one: CelUrl) => (!one.relative && /^[^:]+:\/\/[^/?#]*$/.test(one.text) ? "" : one.url.pathname),
    ],
    [
      "net.URL.getQuery(): map<string, list<string>>",
      (one: CelUrl) => new Map([...one.url.searchParams.keys()].map((key) => [key, one.url.searchParams.getAll(key)])),
    ],
    ["ip(string): net.IP", ipOf],
    ["isIP(string): bool", (text: string) => parseAddress(text) !== undefined],
    ["IpNamespace.isCanonical(string): bool", (_: unknown, text: string) => ipOf(text).toString() === text],
    ["net.IP.family(): int", (ip: CelIp) => (ip.bits === 32 ? 4n : 6n)],
    ["net.IP.isUnspecified(): bool", (ip: CelIp) => ip.value === 0n],
    ["net.IP.isLoopback(): bool", isLoopback],
    [
      "net.IP.isGlobalUnicast(): bool",
      (ip: CelIp) =>
        ip.value !== 0n &&
        !isLoopback(ip) &&
        !isMulticast(ip) &&
        !isLinkLocal(ip) &&
        ip.toString() !== "255.255.255.255",
    ],
    ["net.IP.isLinkLocalMulticast(): bool", (ip: CelIp) => within(ip, ["224.0.0.0", 24], ["ff02::", 16])],
    ["net.IP.isLinkLocalUnicast(): bool", isLinkLocal],
    ["string(net.IP): string", (ip: CelIp) => ip.toString()],
    ["cidr(string): net.CIDR", cidrOf],
    ["isCIDR(string): bool", (text: string) => tries(() => cidrOf(text))],
    ["net.CIDR.containsIP(string): bool", (cidr: CelCidr, text: string) => cidr.contains(ipOf(text))],
    ["net.CIDR.containsIP(net.IP): bool", (cidr: CelCidr, ip: CelIp) => cidr.contains(ip)],
    ["net.CIDR.containsCIDR(string): bool", (cidr: CelCidr, text: string) => covers(cidr, cidrOf(text))],
    ["net.CIDR.containsCIDR(net.CIDR): bool", (cidr: CelCidr, other: CelCidr) => covers(cidr, other)],
    ["net.CIDR.ip(): net.IP", (cidr: CelCidr) => cidr.address],
    ["net.CIDR.prefixLength(): int", (cidr: CelCidr) => BigInt(cidr.length)],
    [
      "net.CIDR.masked(): net.CIDR",
      (cidr: CelCidr) => new CelCidr(new CelIp(cidr.masked, cidr.address.bits), cidr.length),
    ],
    ["string(net.CIDR): string", (cidr: CelCidr) => cidr.toString()],
  ];
  for (const [signature, handler] of functions) environment.registerFunction(signature, handler, { async: false });
}

const covers = (cidr: CelCidr, other: CelCidr): boolean =>
  other.length >= cidr.length && cidr.contains(new CelIp(other.masked, other.address.bits));
