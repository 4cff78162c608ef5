/** Registers the Node, keeps its Lease and its status: the Lease every ten seconds, the status when it changes or five minutes have passed. */
import type { Client } from "../../../common/kube/client.ts";
import type { Lease, Node } from "../../../common/kube/types.ts";
import { isStatus } from "../../../common/kube/status.ts";
import type { NodeIdentity } from "../../../common/node/identity.ts";
import { sleep } from "../command.ts";
import type { Log } from "../log.ts";
import { nodeLabels, nodeObject, sameStatus } from "./node-object.ts";
import { monotonicNow } from "../monotonic.ts";

const RENEW = 10_000;
const RETRY = 1_000;
const RENEW_TRIES = 3;
const LEASE_SECONDS = 40;
const STATUS_EVERY = 300_000;
const DEADLINE = 10_000;

type NodeStatus = NonNullable<Node["status"]>;

export class Registration {
  readonly #client: Client;
  readonly #identity: NodeIdentity;
  readonly #log: Log;
  readonly #makeStatus: (previous: NodeStatus | undefined) => Promise<NodeStatus>;
  #written: NodeStatus | undefined;
  #writtenAt = 0;
  #lease: Lease | undefined;
  #updating: Promise<void> = Promise.resolve();

  constructor(
    client: Client,
    identity: NodeIdentity,
    makeStatus: (previous: NodeStatus | undefined) => Promise<NodeStatus>,
    log: Log,
  ) {
    this.#client = client;
    this.#identity = identity;
    this.#makeStatus = makeStatus;
    this.#log = log;
  }

  #ref(subresource?: string): { group: string; version: string; resource: string; name: string; subresource?: string } {
    return {
      group: "",
      version: "v1",
      resource: "nodes",
      name: this.#identity.nodeName,
      ...(subresource ? { subresource } : {}),
    };
  }

  /** Creates the Node, or takes an existing one over (a reboot): its labels are brought up to date, the rest stays. */
  async register(signal: AbortSignal): Promise<Node> {
    const status = await this.#makeStatus(undefined);
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(DEADLINE)]);
    try {
      const node = await this.#client.create<Node>(this.#ref(), nodeObject(this.#identity, status), {
        signal: deadline,
      });
      this.#written = node.status?.conditions ? status : undefined;
      this.#writtenAt = monotonicNow();
      return node;
    } catch (error) {
      if (!isStatus(error, "AlreadyExists")) throw error;
    }
    const node = await this.#client.get<Node>(this.#ref(), { signal: deadline });
    this.#written = node.status;
    const missing = Object.entries(nodeLabels(this.#identity)).filter(
      ([key, value]) => node.metadata.labels?.[key] !== value,
    );
    if (missing.length > 0)
      await this.#client.patch(
        this.#ref(),
        "application/merge-patch+json",
        { metadata: { labels: Object.fromEntries(missing) } },
        { signal: deadline },
      );
    return node;
  }

  /** Looks at the node again and writes its status where it has changed. Calls come one after another. */
  updateStatus(): Promise<void> {
    this.#updating = this.#updating
      .then(() => this.#update())
      .catch((error: unknown) => this.#log.error("node", "status", error));
    return this.#updating;
  }

  async #update(): Promise<void> {
    const status = await this.#makeStatus(this.#written);
    if (this.#written && sameStatus(status, this.#written) && monotonicNow() - this.#writtenAt < STATUS_EVERY) return;
    await this.#client.patch(
      this.#ref("status"),
      "application/strategic-merge-patch+json",
      { status },
      { signal: AbortSignal.timeout(DEADLINE) },
    );
    this.#written = status;
    this.#writtenAt = monotonicNow();
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const renewed = await this.#renewAgain(signal);
      await this.updateStatus();
      await sleep(renewed ? RENEW : RETRY, signal);
    }
  }

  /** A write that timed out may have been done all the same, and the next one conflicts: so it is read anew and tried at once. */
  async #renewAgain(signal: AbortSignal): Promise<boolean> {
    for (let attempt = 0; attempt < RENEW_TRIES && !signal.aborted; attempt++) {
      try {
        await this.#renew();
        return true;
      } catch (error) {
        this.#lease = undefined;
        if (!isStatus(error, "Conflict")) this.#log.error("node", "lease", error);
      }
    }
    return false;
  }

  async #renew(): Promise<void> {
    const { nodeName } = this.#identity;
    const ref = {
      group: "coordination.k8s.io",
      version: "v1",
      resource: "leases",
      namespace: "kube-node-lease",
      name: nodeName,
    };
    const options = { signal: AbortSignal.timeout(DEADLINE) };
    const spec = {
      holderIdentity: nodeName,
      leaseDurationSeconds: LEASE_SECONDS,
      renewTime: new Date().toISOString().replace("Z", "000Z"),
    };
    if (!this.#lease) {
      const fresh = {
        apiVersion: "coordination.k8s.io/v1",
        kind: "Lease",
        metadata: { name: nodeName, namespace: "kube-node-lease" },
        spec,
      };
      try {
        this.#lease = await this.#client.create<Lease>(ref, fresh, options);
        return;
      } catch (error) {
        if (!isStatus(error, "AlreadyExists")) throw error;
        this.#lease = await this.#client.get<Lease>(ref, options);
      }
    }
    this.#lease = await this.#client.update<Lease>(
      ref,
      { ...this.#lease, spec: { ...this.#lease.spec, ...spec } },
      options,
    );
  }
}
