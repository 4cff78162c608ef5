/** The kubelets of the simulated nodes: brings each Pod's status to what its rules say is so by now. */
import type { Client, ObjectRef } from "../../../common/kube/client.ts";
import type { Clock } from "../../../common/kube/clock.ts";
import type { EventRecorder } from "../../../common/kube/events.ts";
import type { Informer } from "../../../common/kube/informer.ts";
import { referenceTo } from "../../../common/kube/events.ts";
import { objectKey } from "../../../common/kube/object.ts";
import { isStatus } from "../../../common/kube/status.ts";
import type { Node, Pod, PodStatus } from "../../../common/kube/types.ts";
import { WorkQueue } from "../../../common/kube/workqueue.ts";
import { isTerminated, podRef } from "../controllers/kernel/pods.ts";
import { same } from "../resources/validation/problems.ts";
import { PodAddresses, spareCidr } from "./addresses.ts";
import type { SimulatedNodes } from "./nodes.ts";
import { eventsOfChange, eventsOfEnd } from "./pods/events.ts";
import type { PodEvent } from "./pods/events.ts";
import { decidePod } from "./pods/status.ts";
import { draw } from "./rules/chance.ts";
import { behaviourOf } from "./rules/read.ts";
import { podRuleOf, resolve } from "./rules/resolve.ts";
import type { Behaviour } from "./rules/resolve.ts";
import type { Simulation } from "./rules/schema.ts";

export interface PodsOptions {
  client: Client;
  simulation: Simulation;
  clock: Clock;
  pods: Informer<Pod>;
  nodes: Informer<Node>;
  machines: SimulatedNodes;
  events: EventRecorder;
  /** For what a kubelet would tell of its Pods; undefined: these say nothing. */
  kubeletEvents: EventRecorder | undefined;
  log(line: string): void;
}

/** Writes at once: many, so that they become few commits. */
const CONCURRENCY = 64;
const BY_NODE = "node";

export class SimulatedPods {
  readonly #options: PodsOptions;
  readonly #queue: WorkQueue;
  readonly #addresses = new Map<string, PodAddresses>();
  /** By uid, of Pods that something will still happen to. */
  readonly #moments = new Map<string, Map<string, number>>();
  /** Addresses given out, and not yet seen in a status: uid → address. */
  readonly #given = new Map<string, string>();
  #removeHandler: (() => void) | undefined;

  constructor(options: PodsOptions) {
    this.#options = options;
    const { clock, pods, log } = options;
    pods.addIndex(BY_NODE, ({ spec }) => (spec?.nodeName ? [spec.nodeName] : []));
    this.#queue = new WorkQueue({
      clock,
      concurrency: CONCURRENCY,
      work: (key) => this.#reconcile(key),
      failed: (key, error) => log(`${key}: ${String(error)}`),
    });
  }

  start(): void {
    const { pods, machines } = this.#options;
    const look = (pod: Pod): void => {
      if (machines.has(pod.spec?.nodeName ?? "")) this.#queue.add(objectKey(pod));
    };
    this.#removeHandler = pods.addHandler({ add: look, update: look, delete: (pod) => this.#forget(pod) });
  }

  async stop(): Promise<void> {
    this.#removeHandler?.();
    await this.#queue.stop();
  }

  /** The node's kubelet has come back, or gone. */
  lookAtNode(name: string): void {
    for (const pod of this.#options.pods.byIndex(BY_NODE, name)) this.#queue.add(objectKey(pod));
  }

  behaviour(pod: Pod): Behaviour {
    const { simulation, events } = this.#options;
    const { value, problem } = behaviourOf(pod.metadata.annotations);
    if (problem) events.record(pod, "Warning", "InvalidSimulation", problem);
    return resolve(pod, podRuleOf(simulation.pods, pod), value);
  }

  #forget({ metadata: { uid = "" } }: Pod): void {
    this.#moments.delete(uid);
    this.#given.delete(uid);
  }

  async #reconcile(key: string): Promise<{ again: number } | undefined> {
    const { pods, machines, clock, simulation, client } = this.#options;
    const pod = pods.get(key);
    const node = pod?.spec?.nodeName ?? "";
    if (!pod || !machines.works(node)) return undefined;
    if (isTerminated(pod) && pod.metadata.deletionTimestamp === undefined) {
      this.#forget(pod);
      return undefined;
    }
    const { uid = "" } = pod.metadata;
    const moments = this.#moments.get(uid) ?? new Map<string, number>();
    this.#moments.set(uid, moments);
    const host = machines.address(node);
    const asked = pod.metadata.deletionTimestamp !== undefined && !moments.has("deleted");
    const decision = decidePod({
      pod,
      behaviour: this.behaviour(pod),
      addresses: { host, pod: pod.spec?.hostNetwork ? host : this.#addressOf(pod, node) },
      now: clock.now(),
      moments,
      chance: (question) => draw(simulation.seed, "pod", uid, question),
    });
    if (decision.kind === "nothing") return undefined;
    if (asked) this.#tell(pod, eventsOfEnd(pod, pod.status));
    try {
      if (decision.status && !same(decision.status, pod.status)) {
        await this.#write(pod, decision.status);
        if (decision.kind === "run" && pod.metadata.deletionTimestamp === undefined)
          this.#tell(pod, eventsOfChange(pod, pod.status, decision.status));
      }
      if (decision.kind === "remove")
        await client.delete(podRef(pod), { gracePeriodSeconds: 0, preconditions: { uid } });
    } catch (error) {
      // Gone meanwhile, or changed by somebody else: its own event comes.
      if (!isStatus(error, "NotFound", "Conflict")) throw error;
      return undefined;
    }
    if (decision.kind === "remove") return undefined;
    if (decision.again === undefined) this.#moments.delete(uid);
    return decision.again === undefined ? undefined : { again: decision.again };
  }

  #tell(pod: Pod, told: readonly PodEvent[]): void {
    const recorder = this.#options.kubeletEvents;
    for (const { type, reason, message, fieldPath } of recorder ? told : [])
      recorder?.record(
        { ...referenceTo(pod), ...(fieldPath === undefined ? {} : { fieldPath }) },
        type,
        reason,
        message,
        pod.spec?.nodeName,
      );
  }

  async #write(pod: Pod, status: PodStatus): Promise<void> {
    const { uid, resourceVersion } = pod.metadata;
    const ref: ObjectRef = { ...podRef(pod), subresource: "status" };
    await this.#options.client.patch(ref, "application/merge-patch+json", {
      metadata: { uid, resourceVersion },
      status: changed(pod.status, status),
    });
  }

  #addressOf(pod: Pod, node: string): string {
    const { uid = "" } = pod.metadata;
    const known = pod.status?.podIP ?? this.#given.get(uid);
    if (known) return known;
    const { nodes, pods, machines } = this.#options;
    const podCIDR = nodes.get(node)?.spec?.podCIDR;
    let addresses = this.#addresses.get(node);
    if (!addresses) {
      addresses = new PodAddresses(podCIDR ?? spareCidr(machines.index(node)));
      // It may have its range in a moment.
      if (podCIDR) this.#addresses.set(node, addresses);
    }
    const taken = new Set<string | undefined>();
    for (const other of pods.byIndex(BY_NODE, node))
      taken.add(other.status?.podIP ?? this.#given.get(other.metadata.uid ?? ""));
    const address = addresses.take((one) => taken.has(one));
    this.#given.set(uid, address);
    return address;
  }
}

/** Only the fields that differ; those that are gone are null. */
function changed(old: PodStatus | undefined, status: PodStatus): Record<string, unknown> {
  const before = (old ?? {}) as Record<string, unknown>;
  const after = status as Record<string, unknown>;
  const patch: Record<string, unknown> = {};
  for (const field of new Set([...Object.keys(before), ...Object.keys(after)]))
    if (!same(before[field], after[field])) patch[field] = after[field] ?? null;
  return patch;
}
