/** Keeps the kernel's rules equal to the Services and their endpoints: one transaction for all that changed meanwhile. */
import type { EndpointSlice, Service } from "../../../common/kube/types.ts";
import type { NodeIdentity } from "../../../common/node/identity.ts";
import type { Watched } from "../api/watched.ts";
import { sleep } from "../command.ts";
import type { RunCommand } from "../command.ts";
import type { Log } from "../log.ts";
import { formatAddress, parseCidr } from "../network/address.ts";
import { proxyRules } from "./rules.ts";
import type { HostPort, Ruleset } from "./rules.ts";
import { staleFlows } from "./stale-flows.ts";
import { EMPTY, frame, transaction } from "./transaction.ts";
import type { StaticRules } from "./transaction.ts";

/** Changes that come together are applied together. */
const GATHER = 30;
const RETRY = 2_000;

export interface ProxyOptions {
  identity: NodeIdentity;
  services: Watched<Service>;
  slices: Watched<EndpointSlice>;
  hostPorts(): HostPort[];
  run: RunCommand;
  log: Log;
}

export class ServiceProxy {
  readonly #options: ProxyOptions;
  #applied: Ruleset | undefined;
  #wake = Promise.withResolvers<void>();
  #podCIDR: string | undefined;

  constructor(options: ProxyOptions) {
    this.#options = options;
    options.services.onChange(() => this.poke());
    options.slices.onChange(() => this.poke());
  }

  /** Something that the rules are made from has changed. */
  poke(): void {
    this.#wake.resolve();
  }

  async run(podCIDR: string, signal: AbortSignal): Promise<void> {
    this.#podCIDR = podCIDR;
    const { services, slices, log } = this.#options;
    await Promise.all([services.whenSynced(), slices.whenSynced()]);
    while (!signal.aborted) {
      this.#wake = Promise.withResolvers<void>();
      try {
        await this.#apply();
      } catch (error) {
        log.error("proxy", "nft", error);
        // The kernel's table is in doubt: begin anew, all of it in one transaction.
        this.#applied = undefined;
        await sleep(RETRY, signal);
        continue;
      }
      await Promise.race([this.#wake.promise, aborted(signal)]);
      await sleep(GATHER, signal);
    }
  }

  async #apply(): Promise<void> {
    const { identity, services, slices, hostPorts, run, log } = this.#options;
    const begin = performance.now();
    const next = proxyRules({
      services: services.items(),
      slices: slices.items(),
      hostPorts: hostPorts(),
      nodeName: identity.nodeName,
      clusterCIDR: identity.clusterCIDR,
      clusterDNS: identity.clusterDNS,
    });
    const changes = transaction(this.#applied ?? EMPTY, next);
    const input = this.#applied ? changes : this.#frame() + changes;
    if (input === "") return;
    await run("nft", ["-f", "-"], { input });
    const stale = this.#applied ? staleFlows(this.#applied, next) : [];
    this.#applied = next;
    // It ends with 1 when there was no such flow.
    for (const args of stale) await run("conntrack", args).catch(() => undefined);
    log.info(
      "proxy",
      `${next.services.size} service ports, ${next.nodePorts.size} node ports, ${input.split("\n").length - 1} lines in ${Math.round(performance.now() - begin)} ms`,
    );
  }

  #frame(): string {
    const { identity } = this.#options;
    const block = parseCidr(this.#podCIDR as string);
    const addresses = Array.from({ length: Math.min(2 ** (32 - block.prefix), 1024) - 2 }, (_, index) =>
      formatAddress(block.base + index + 1),
    );
    const { base, prefix } = parseCidr(`${identity.address}/${identity.prefixLength}`);
    const rules: StaticRules = {
      clusterCIDR: identity.clusterCIDR,
      serviceCIDR: identity.serviceCIDR,
      clusterDNS: identity.clusterDNS,
      nodeNetwork: `${formatAddress(base)}/${prefix}`,
      podCIDR: this.#podCIDR as string,
    };
    return frame(rules, addresses);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
