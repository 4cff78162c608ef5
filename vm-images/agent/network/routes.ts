/** Routes to the Pods of the other nodes: each node's block by way of its address. */
import type { Node } from "../../../common/kube/types.ts";
import type { RunCommand } from "../command.ts";

/** podCIDR → the node's InternalIP, of every node but this one. Pure. */
export function wantedRoutes(nodes: Node[], self: string): Map<string, string> {
  const routes = new Map<string, string>();
  for (const node of nodes) {
    const address = node.status?.addresses?.find(({ type }) => type === "InternalIP")?.address;
    const block = node.spec?.podCIDR;
    if (node.metadata.name !== self && block && address) routes.set(block, address);
  }
  return routes;
}

export class Routes {
  readonly #run: RunCommand;
  readonly #device: string;
  #present: Map<string, string> | undefined;
  #working: Promise<void> = Promise.resolve();

  constructor(run: RunCommand, device: string) {
    this.#run = run;
    this.#device = device;
  }

  /** Makes the kernel's routes over the cluster's network be `wanted`; touches only what differs. */
  apply(wanted: Map<string, string>): Promise<void> {
    const next = this.#working.then(() => this.#apply(wanted));
    this.#working = next.catch(() => undefined);
    return next;
  }

  async #apply(wanted: Map<string, string>): Promise<void> {
    if (!this.#present) {
      // Left by an agent before this one.
      const routes = JSON.parse(
        (await this.#run("ip", ["-j", "-4", "route", "show", "dev", this.#device])) || "[]",
      ) as { dst: string; gateway?: string }[];
      this.#present = new Map(routes.flatMap(({ dst, gateway }) => (gateway ? [[dst, gateway]] : [])));
    }
    const present = this.#present;
    const commands = [
      ...[...present]
        .filter(([block]) => !wanted.has(block))
        .map(([block]) => `route del ${block} dev ${this.#device}`),
      ...[...wanted]
        .filter(([block, via]) => present.get(block) !== via)
        .map(([block, via]) => `route replace ${block} via ${via} dev ${this.#device}`),
    ];
    if (commands.length === 0) return;
    this.#present = undefined;
    await this.#run("ip", ["-batch", "-"], { input: `${commands.join("\n")}\n` });
    this.#present = new Map(wanted);
  }
}
