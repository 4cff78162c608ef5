/** Addresses of Pods, from the range of their node. */

/** One node's podCIDR ("10.244.3.0/24"), handed out in turn; a /24 is assumed. */
export class PodAddresses {
  private next = 2;
  private readonly prefix: string;

  constructor(podCIDR: string | undefined) {
    const [network = "10.255.0.0"] = (podCIDR ?? "").split("/");
    this.prefix = (network === "" ? "10.255.0.0" : network).split(".").slice(0, 3).join(".");
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
