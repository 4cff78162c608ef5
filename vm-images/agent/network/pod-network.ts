/**
 * Joins sandboxes to the node's network. Each has a veth pair and a /32 of the node's block; everything
 * goes through the node's routing, so the service proxy sees every packet, on the same node too:
 *
 *     Pod  eth0 10.244.1.5/32, default via 10.244.1.1
 *       └── node  dk<sandbox id>  10.244.1.1/32, route 10.244.1.5/32
 *
 * The routes are the record of who has which address: after a restart they are read back.
 */
import type { RunCommand } from "../command.ts";
import { formatAddress, gatewayOf, nextAddress } from "./address.ts";
import type { Cidr } from "./address.ts";

/** Interface names have at most 15 characters: this, then the beginning of the sandbox's id. */
const PREFIX = "dk";
const ID_LENGTH = 12;

export class PodNetwork {
  readonly #run: RunCommand;
  readonly #mtu: number;
  #block: Cidr | undefined;
  /** Beginning of the sandbox's id → address. */
  readonly #addresses = new Map<string, string>();
  readonly #reserved = new Set<string>();
  readonly #attaching = new Map<string, Promise<string>>();
  #last: string | undefined;

  constructor(run: RunCommand, mtu: number) {
    this.#run = run;
    this.#mtu = mtu;
  }

  /** The node's block is known once the Node has a podCIDR. Reads back what is wired already, unless this is a `fresh` node. */
  async open(block: Cidr, fresh = false): Promise<void> {
    if (fresh) {
      this.#block = block;
      return;
    }
    const routes = JSON.parse((await this.#run("ip", ["-j", "-4", "route", "show"])) || "[]") as {
      dst: string;
      dev?: string;
    }[];
    for (const { dst, dev } of routes) {
      if (dev?.startsWith(PREFIX) && dev.length === PREFIX.length + ID_LENGTH)
        this.#addresses.set(dev.slice(PREFIX.length), dst.replace("/32", ""));
    }
    this.#block = block;
  }

  get ready(): boolean {
    return this.#block !== undefined;
  }

  address(sandboxId: string): string | undefined {
    return this.#addresses.get(sandboxId.slice(0, ID_LENGTH));
  }

  /** Wires the network namespace of process `pid`; returns the Pod's address. A sandbox that is wired keeps its own. */
  attach(sandboxId: string, pid: number): Promise<string> {
    let attaching = this.#attaching.get(sandboxId);
    if (!attaching) {
      attaching = this.#attach(sandboxId, pid).finally(() => this.#attaching.delete(sandboxId));
      this.#attaching.set(sandboxId, attaching);
    }
    return attaching;
  }

  async #attach(sandboxId: string, pid: number): Promise<string> {
    const block = this.#block;
    if (!block) throw new Error("the node has no podCIDR yet");
    const key = sandboxId.slice(0, ID_LENGTH);
    const known = this.#addresses.get(key);
    if (known) return known;
    const address = nextAddress(block, new Set([...this.#addresses.values(), ...this.#reserved]), this.#last);
    if (!address) throw new Error(`no address left in ${formatAddress(block.base)}/${block.prefix}`);
    // Taken before the work begins: another Pod may ask meanwhile.
    this.#reserved.add(address);
    this.#last = address;
    const device = PREFIX + key;
    const gateway = gatewayOf(block);
    try {
      await this.#run("ip", ["-batch", "-"], {
        input: [
          `link add ${device} mtu ${this.#mtu} type veth peer name eth0 mtu ${this.#mtu} netns ${pid}`,
          `address add ${gateway}/32 dev ${device}`,
          `link set ${device} up`,
          `route replace ${address}/32 dev ${device}`,
          "",
        ].join("\n"),
      });
      await this.#run("nsenter", ["-t", String(pid), "-n", "ip", "-batch", "-"], {
        input: [
          "link set lo up",
          `address add ${address}/32 dev eth0`,
          "link set eth0 up",
          `route add ${gateway} dev eth0 scope link`,
          `route add default via ${gateway}`,
          "",
        ].join("\n"),
      });
      this.#addresses.set(key, address);
      return address;
    } catch (error) {
      await this.#run("ip", ["link", "delete", device]).catch(() => undefined);
      throw error;
    } finally {
      this.#reserved.delete(address);
    }
  }

  /** The sandbox is gone, and its end of the pair with it. */
  release(sandboxId: string): void {
    this.#addresses.delete(sandboxId.slice(0, ID_LENGTH));
  }

  /** Forgets the addresses of sandboxes that do not run (any more). */
  retain(running: Iterable<string>): void {
    const keys = new Set([...running].map((id) => id.slice(0, ID_LENGTH)));
    for (const key of this.#addresses.keys()) if (!keys.has(key)) this.#addresses.delete(key);
  }
}
