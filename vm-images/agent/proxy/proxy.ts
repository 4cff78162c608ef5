/** Keeps the kernel's rules equal to the Services and their endpoints: one transaction for all that changed meanwhile. */
import type { EndpointSlice, Service } from "../../../common/kube/types.ts";
import type { NodeIdentity } from "../../../common/node/identity.ts";
import type { Watched } from "../api/watched.ts";
import { sleep } from "../command.ts";
import type { RunCommand } from "../command.ts";
import type { Log } from "../log.ts";
import { formatAddress, parseCidr } from "../network/address.ts";
import { RuleBook } from "./rule-book.ts";
import { proxyRules } from "./rules.ts";
import type { HostPort, ProxyInput, Ruleset } from "./rules.ts";
import { ServiceIndex } from "./service-index.ts";
import { staleFlows } from "./stale-flows.ts";
import { frame, transaction } from "./transaction.ts";
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

/** Sorts after every Service: a port that a Pod has taken on the node is not a Service's. */
const HOST_PORTS = "~";

export class ServiceProxy {
  readonly #options: ProxyOptions;
  readonly #index: ServiceIndex;
  /** What the kernel has; undefined when that is not known. */
  #book: RuleBook | undefined;
  #wake = Promise.withResolvers<void>();
  #podCIDR: string | undefined;

  /** Before the collections are followed. */
  constructor(options: ProxyOptions) {
    this.#options = options;
    this.#index = new ServiceIndex(options.services, options.slices, () => this.poke());
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
        this.#book = undefined;
        await sleep(RETRY, signal);
        continue;
      }
      await Promise.race([this.#wake.promise, aborted(signal)]);
      await sleep(GATHER, signal);
    }
  }

  async #apply(): Promise<void> {
    const { hostPorts, run, log } = this.#options;
    const begin = performance.now();
    const concerned = this.#index.take();
    const book = this.#book ?? new RuleBook();
    const pieces = new Map<string, Ruleset | undefined>();
    for (const key of this.#book ? concerned : this.#index.all()) pieces.set(key, this.#piece(key));
    pieces.set(HOST_PORTS, this.#rules({ hostPorts: hostPorts() }));
    const { old, next } = book.revise(pieces);
    const changes = transaction(old, next);
    const input = this.#book ? changes : this.#frame() + changes;
    if (input === "") return;
    const made = performance.now();
    await run("nft", ["-f", "-"], { input });
    const stale = this.#book ? staleFlows(old, next) : [];
    this.#book = book;
    // It ends with 1 when there was no such flow.
    for (const args of stale) await run("conntrack", args).catch(() => undefined);
    const millis = (from: number): string => `${Math.round(performance.now() - from)} ms`;
    log.info(
      "proxy",
      `${pieces.size - 1} Services changed, ${input.split("\n").length - 1} lines in ${millis(begin)}, nft ${millis(made)}`,
    );
  }

  #piece(key: string): Ruleset | undefined {
    const service = this.#index.service(key);
    return service && this.#rules({ services: [service], slices: this.#index.slices(key) });
  }

  #rules(input: Partial<ProxyInput>): Ruleset {
    const { nodeName, clusterCIDR, clusterDNS } = this.#options.identity;
    return proxyRules({ services: [], slices: [], hostPorts: [], nodeName, clusterCIDR, clusterDNS, ...input });
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
