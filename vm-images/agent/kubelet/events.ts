/**
 * Tells of what happens to Pods as Events. The same event again raises the count of the one before;
 * each object may speak a bounded number of times, so that a Pod in a loop does not fill the store.
 */
import type { Client } from "../../../common/kube/client.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import type { Pod } from "../../../common/kube/types.ts";
import { isStatus } from "../../../common/kube/status.ts";
import type { Log } from "../log.ts";
import { timestamp } from "./status.ts";
import { monotonicNow } from "../monotonic.ts";

/** Burst and refill of events per object, as client-go's spam filter has them. */
const BURST = 25;
const REFILL_MILLIS = 300_000;
const KEPT = 1000;

interface Known {
  name: string;
  namespace: string;
  count: number;
}

interface ObjectReference {
  kind: string;
  namespace?: string;
  name: string;
  uid: string;
  apiVersion: string;
  resourceVersion?: string;
  fieldPath?: string;
}

export class EventRecorder {
  readonly #client: Client;
  readonly #host: string;
  readonly #log: Log;
  readonly #known = new Map<string, Known>();
  readonly #budget = new Map<string, { tokens: number; at: number }>();
  /** Events are written in the order they happened. */
  #queue: Promise<void> = Promise.resolve();

  constructor(client: Client, host: string, log: Log) {
    this.#client = client;
    this.#host = host;
    this.#log = log;
  }

  pod(pod: Pod, type: "Normal" | "Warning", reason: string, message: string, fieldPath?: string): void {
    this.record(
      {
        kind: "Pod",
        apiVersion: "v1",
        namespace: pod.metadata.namespace ?? "",
        name: pod.metadata.name ?? "",
        uid: pod.metadata.uid ?? "",
        ...(pod.metadata.resourceVersion ? { resourceVersion: pod.metadata.resourceVersion } : {}),
        ...(fieldPath ? { fieldPath } : {}),
      },
      type,
      reason,
      message,
    );
  }

  node(name: string, type: "Normal" | "Warning", reason: string, message: string): void {
    this.record({ kind: "Node", apiVersion: "v1", name, uid: name }, type, reason, message);
  }

  record(object: ObjectReference, type: "Normal" | "Warning", reason: string, message: string): void {
    this.#log.info("event", `${object.namespace ?? ""}/${object.name} ${type} ${reason}: ${message}`);
    if (!this.#take(object.uid)) return;
    const now = Date.now();
    this.#queue = this.#queue
      .then(() => this.#write(object, type, reason, message, now))
      .catch((error: unknown) => this.#log.error("event", "not written", error));
  }

  #take(uid: string): boolean {
    const now = monotonicNow();
    const budget = this.#budget.get(uid) ?? { tokens: BURST, at: now };
    budget.tokens = Math.min(BURST, budget.tokens + (now - budget.at) / REFILL_MILLIS);
    budget.at = now;
    this.#budget.set(uid, budget);
    if (this.#budget.size > KEPT) this.#budget.delete(this.#budget.keys().next().value as string);
    if (budget.tokens < 1) return false;
    budget.tokens -= 1;
    return true;
  }

  async #write(object: ObjectReference, type: string, reason: string, message: string, at: number): Promise<void> {
    const namespace = object.namespace || "default";
    const key = [object.uid, object.fieldPath, type, reason, message].join("|");
    const known = this.#known.get(key);
    const time = timestamp(at);
    const options = { signal: AbortSignal.timeout(30_000) };
    if (known) {
      known.count++;
      const ref = { group: "", version: "v1", resource: "events", namespace: known.namespace, name: known.name };
      try {
        await this.#client.patch(
          ref,
          "application/merge-patch+json",
          { count: known.count, lastTimestamp: time },
          options,
        );
        return;
      } catch (error) {
        if (!isStatus(error, "NotFound")) throw error;
        this.#known.delete(key);
      }
    }
    const name = `${object.name}.${(BigInt(at) * 1_000_000n + BigInt(Math.floor(Math.random() * 1_000_000))).toString(16)}`;
    const event: KubeObject = {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name, namespace },
      involvedObject: object,
      reason,
      message,
      type,
      source: { component: "kubelet", host: this.#host },
      firstTimestamp: time,
      lastTimestamp: time,
      count: 1,
      reportingComponent: "kubelet",
      reportingInstance: this.#host,
      eventTime: null,
    };
    try {
      await this.#client.create({ group: "", version: "v1", resource: "events", namespace, name }, event, options);
    } catch (error) {
      // The namespace is going away: nobody will read it.
      if (isStatus(error, "Forbidden", "NotFound")) return;
      throw error;
    }
    this.#known.set(key, { name, namespace, count: 1 });
    if (this.#known.size > KEPT) this.#known.delete(this.#known.keys().next().value as string);
  }
}
