/**
 * Turns a machine that is a copy of the template into the node that its identity says: clock, randomness, names,
 * address. Everything here is also right (and harmless) on a node that boots again.
 */
import { readFile, writeFile } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import type { NodeIdentity } from "../../../common/node/identity.ts";
import type { RunCommand } from "../command.ts";
import { parseAddress } from "../network/address.ts";

/** The cluster's network is our own switch: large frames cost as much as small ones there. */
export const CLUSTER_MTU = 9000;
export const CLUSTER_DEVICE = "eth1";
const ONE_DAY = 86_400;

/** Sets the clock; `unixMillis` is the host's. */
export async function setClock(unixMillis: number, run: RunCommand): Promise<void> {
  await run("date", ["-s", `@${(unixMillis / 1000).toFixed(3)}`]);
}

/**
 * Copies of a machine share the state of every random generator in its programs. The kernel's is told of the copying
 * (vmgenid), OpenSSL's is not; but it seeds itself anew when its seed is older than an hour. So the template lives a day
 * in the past: a copy that sets its clock finds every seed old.
 */
export async function agePseudoRandomness(run: RunCommand): Promise<void> {
  await setClock(Date.now() - ONE_DAY * 1000, run);
  // The clock went back: this seeds anew, and notes the time of the past.
  randomBytes(16);
}

/** "52:54:00:f0:" and the last two bytes of the address. */
export function macAddress(address: string): string {
  const value = parseAddress(address);
  const hex = (byte: number): string => (byte & 255).toString(16).padStart(2, "0");
  return `52:54:00:f0:${hex(value >>> 8)}:${hex(value)}`;
}

export async function become(identity: NodeIdentity, run: RunCommand): Promise<void> {
  await setClock(identity.unixMillis, run);
  await writeFile("/dev/urandom", Buffer.from(identity.entropy, "base64"));
  await writeFile("/proc/sys/kernel/hostname", identity.nodeName);
  await writeFile("/etc/hostname", `${identity.nodeName}\n`);
  const old = await readFile("/etc/machine-id", "utf8").catch(() => "");
  const kept = await readFile("/var/lib/drydock/node-name", "utf8").catch(() => "");
  if (old.trim() === "" || kept.trim() !== identity.nodeName) {
    await writeFile("/etc/machine-id", `${randomBytes(16).toString("hex")}\n`);
    await writeFile("/var/lib/drydock/node-name", identity.nodeName);
  }
  const hosts = `127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n${identity.address}\t${identity.nodeName}\n`;
  await writeFile("/etc/hosts", hosts);
}

/** Brings the node up on the cluster's network; pods' traffic leaves by either interface. One call for all. */
export function networkCommands(identity: NodeIdentity, mtu: number): string {
  return [
    `link set dev ${CLUSTER_DEVICE} down`,
    `link set dev ${CLUSTER_DEVICE} address ${macAddress(identity.address)} mtu ${mtu}`,
    `address flush dev ${CLUSTER_DEVICE}`,
    `address add ${identity.address}/${identity.prefixLength} dev ${CLUSTER_DEVICE}`,
    `link set dev ${CLUSTER_DEVICE} up`,
    // The cluster's DNS answers on every node by itself.
    `address replace ${identity.clusterDNS}/32 dev lo`,
    "",
  ].join("\n");
}
