/** Addresses of Pods, from the range of their node. */

/** For nodes that have no range of their own, the cluster's being used up: one of RFC 6598, for each node another. */
export function spareCidr(index: number): string {
  return `100.${64 + (Math.floor(index / 256) % 64)}.${index % 256}.0/24`;
}

/** One node's podCIDR ("10.244.3.0/24"), handed out in turn; a /24 is assumed. */
export class PodAddresses {
  private next = 2;
  private readonly prefix: string;

  constructor(podCIDR: string) {
    this.prefix = podCIDR.split(".").slice(0, 3).join(".");
  }

  /** The next one that nobody has. When all are taken, one that somebody has. */
  take(taken: (address: string) => boolean = () => false): string {
    for (let tries = 0; ; tries += 1) {
      const address = `${this.prefix}.${this.next}`;
      this.next = this.next >= 254 ? 2 : this.next + 1;
      if (tries >= 252 || !taken(address)) return address;
    }
  }
}
