/** Holds this node's Pods to the NetworkPolicies. The cluster's Pods are only watched once there is a policy. */
import type { Client } from "../../../common/kube/client.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import type { Namespace, NetworkPolicy, Pod } from "../../../common/kube/types.ts";
import { Watched } from "../api/watched.ts";
import { sleep } from "../command.ts";
import type { RunCommand } from "../command.ts";
import type { Log } from "../log.ts";
import { policyRules } from "./rules.ts";
import type { PolicyRules } from "./rules.ts";
import { FRAME, NO_RULES, policyTransaction } from "./transaction.ts";

/** Changes that come together are applied together. */
const GATHER = 30;
const RETRY = 2_000;

export interface EnforcerOptions {
  client: Client;
  nodeName: string;
  clusterDNS: string;
  run: RunCommand;
  log: Log;
}

export class PolicyEnforcer {
  readonly #options: EnforcerOptions;
  readonly #policies: Watched<NetworkPolicy>;
  readonly #pods: Watched<Pod>;
  readonly #namespaces: Watched<Namespace>;
  #applied: PolicyRules | undefined;
  #wake = Promise.withResolvers<void>();

  constructor(options: EnforcerOptions) {
    this.#options = options;
    const watched = <T extends KubeObject>(group: string, resource: string): Watched<T> => {
      const one = new Watched<T>(options.client, { group, version: "v1", resource }, {}, options.log);
      one.onChange(() => this.#wake.resolve());
      return one;
    };
    this.#policies = watched<NetworkPolicy>("networking.k8s.io", "networkpolicies");
    this.#pods = watched<Pod>("", "pods");
    this.#namespaces = watched<Namespace>("", "namespaces");
  }

  async run(signal: AbortSignal): Promise<void> {
    const aborted = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    void this.#policies.run(signal);
    await Promise.race([this.#policies.whenSynced(), aborted]);
    while (this.#policies.items().length === 0 && !signal.aborted) await this.#change(aborted);
    if (signal.aborted) return;
    void this.#pods.run(signal);
    void this.#namespaces.run(signal);
    await Promise.race([Promise.all([this.#pods.whenSynced(), this.#namespaces.whenSynced()]), aborted]);
    while (!signal.aborted) {
      this.#wake = Promise.withResolvers<void>();
      try {
        await this.#apply();
      } catch (error) {
        this.#options.log.error("policy", "nft", error);
        // The kernel's table is in doubt: begin anew, all of it in one transaction.
        this.#applied = undefined;
        await sleep(RETRY, signal);
        continue;
      }
      await Promise.race([this.#wake.promise, aborted]);
      await sleep(GATHER, signal);
    }
  }

  async #change(aborted: Promise<void>): Promise<void> {
    this.#wake = Promise.withResolvers<void>();
    if (this.#policies.items().length > 0) return;
    await Promise.race([this.#wake.promise, aborted]);
  }

  async #apply(): Promise<void> {
    const { run, log, nodeName, clusterDNS } = this.#options;
    const next = policyRules({
      policies: this.#policies.items(),
      pods: this.#pods.items(),
      namespaces: this.#namespaces.items(),
      nodeName,
      clusterDNS,
    });
    const changes = policyTransaction(this.#applied ?? NO_RULES, next);
    const input = this.#applied ? changes : FRAME + changes;
    if (input === "") return;
    await run("nft", ["-f", "-"], { input });
    this.#applied = next;
    log.info("policy", `${next.ingress.size} Pods isolated inward, ${next.egress.size} outward`);
  }
}
