/** The scheduler: takes Pods without a node from its queue, finds each a node, and binds it there. */
import type { Client } from "../../../common/kube/client.ts";
import { systemClock } from "../../../common/kube/clock.ts";
import type { Clock } from "../../../common/kube/clock.ts";
import { EventRecorder } from "../../../common/kube/events.ts";
import { InformerFactory } from "../../../common/kube/informer.ts";
import { selectorFromObject } from "../../../common/kube/selector.ts";
import { isStatus } from "../../../common/kube/status.ts";
import type { Namespace, Node, Pod } from "../../../common/kube/types.ts";
import { text } from "../controllers/kernel/controller.ts";
import { kinds } from "../controllers/kernel/kinds.ts";
import { conditionOf, isTerminated, podRef } from "../controllers/kernel/pods.ts";
import { ClusterCache } from "./cache.ts";
import { Cycle, explain } from "./cycle.ts";
import type { Refused } from "./cycle.ts";
import type { Plugin } from "./framework.ts";
import { PodInfo } from "./model.ts";
import { defaultPlugins } from "./plugins/index.ts";
import { decidePreemption } from "./preemption.ts";
import type { Preemption } from "./preemption.ts";
import { SchedulingQueue } from "./queue.ts";
import type { QueuedPod } from "./queue.ts";
import { setPodCondition } from "./pod-condition.ts";

export interface SchedulerOptions {
  client: Client;
  /** Shared with the controllers, where they run together; else the scheduler has its own. */
  informers?: InformerFactory;
  /** Pods whose spec.schedulerName is this are ours. Default "default-scheduler". */
  name?: string;
  plugins?: readonly Plugin[];
  clock?: Clock;
  random?(): number;
  log?(line: string): void;
}

export interface RunningScheduler {
  /** Resolves when it has seen the cluster once and works. */
  ready: Promise<void>;
  stop(): Promise<void>;
}

/** Bindings on their way to the API at once; more Pods than these wait for their cycle. */
const MOST_BINDINGS = 256;
/** After so long without a pause the scheduler lets others have the thread. */
const SLICE_MILLIS = 8;

export function startScheduler(options: SchedulerOptions): RunningScheduler {
  const scheduler = new Scheduler(options);
  return { ready: scheduler.start(), stop: () => scheduler.stop() };
}

interface Budget {
  namespace: string;
  matches(labels: Record<string, string>): boolean;
  allowed: number;
}

class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #name: string;
  readonly #clock: Clock;
  readonly #plugins: readonly Plugin[];
  readonly #informers: InformerFactory;
  readonly #cache = new ClusterCache();
  readonly #queue: SchedulingQueue;
  readonly #cycle: Cycle;
  readonly #events: EventRecorder;
  readonly #removeHandlers: (() => void)[] = [];
  #bindings = 0;
  #working = false;
  #ready = false;
  #stopped = false;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#name = options.name ?? "default-scheduler";
    this.#clock = options.clock ?? systemClock;
    this.#plugins = options.plugins ?? defaultPlugins;
    this.#informers =
      options.informers ??
      new InformerFactory(options.client, {
        clock: this.#clock,
        failed: (gvr, error) => this.#log(`informer of ${gvr.resource}: ${text(error)}`),
      });
    this.#queue = new SchedulingQueue(this.#plugins, this.#clock, () => this.#wake());
    this.#cycle = new Cycle(this.#plugins, options.random ?? Math.random);
    this.#events = new EventRecorder(options.client, {
      source: { component: this.#name },
      clock: this.#clock,
      failed: (error) => this.#log(`an event was not written: ${text(error)}`),
    });
  }

  async start(): Promise<void> {
    const nodes = this.#informers.for<Node>(kinds.nodes);
    const pods = this.#informers.for<Pod>(kinds.pods);
    const namespaces = this.#informers.for<Namespace>(kinds.namespaces);
    this.#removeHandlers.push(
      namespaces.addHandler({
        add: (one) => this.#cache.setNamespace(one),
        update: (one) => this.#cache.setNamespace(one),
      }),
      nodes.addHandler({
        add: (node) => {
          this.#cache.setNode(node);
          this.#queue.happened({ type: "node added", node });
        },
        update: (node, old) => {
          if (!concernsScheduling(node, old)) return;
          this.#cache.setNode(node);
          this.#queue.happened({ type: "node updated", node, old });
        },
        delete: ({ metadata }) => this.#cache.removeNode(metadata.name ?? ""),
      }),
      pods.addHandler({
        add: (pod) => this.#podChanged(pod, undefined),
        update: (pod, old) => this.#podChanged(pod, old),
        delete: (pod) => this.#podGone(pod),
      }),
    );
    this.#informers.start();
    await Promise.all([nodes.synced, pods.synced, namespaces.synced]);
    this.#ready = true;
    this.#wake();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#queue.stop();
    for (const remove of this.#removeHandlers) remove();
    if (!this.#options.informers) await this.#informers.stop();
  }

  #log(line: string): void {
    this.#options.log?.(`scheduler: ${line}`);
  }

  #podChanged(pod: Pod, old: Pod | undefined): void {
    const uid = pod.metadata.uid ?? "";
    if (pod.spec?.nodeName || isTerminated(pod)) {
      this.#queue.remove(uid);
      const wasThere = old !== undefined && Boolean(old.spec?.nodeName) && !isTerminated(old);
      if (isTerminated(pod)) {
        this.#cache.removePod(uid);
        if (wasThere) this.#queue.happened({ type: "pod gone", pod });
        return;
      }
      this.#cache.setPod(pod);
      if (!wasThere || old?.metadata.labels !== pod.metadata.labels) this.#queue.happened({ type: "pod placed", pod });
      return;
    }
    if (pod.spec?.schedulerName !== undefined && pod.spec.schedulerName !== this.#name) return;
    // Bound already: the API's own word of it is on its way.
    if (this.#cache.isPlaced(uid)) return;
    if (pod.metadata.deletionTimestamp !== undefined) return this.#queue.remove(uid);
    const gate = this.#gateOf(pod);
    const known = this.#queue.get(uid);
    this.#queue.put(new PodInfo(pod), gate);
    if (gate !== undefined && conditionOf(pod, "PodScheduled")?.reason !== "SchedulingGated")
      void this.#setCondition(pod, "SchedulingGated", gate);
    if (
      known &&
      old &&
      (JSON.stringify(old.spec) !== JSON.stringify(pod.spec) ||
        JSON.stringify(old.metadata.labels) !== JSON.stringify(pod.metadata.labels))
    )
      this.#queue.retry(uid);
  }

  #gateOf(pod: Pod): string | undefined {
    for (const plugin of this.#plugins) {
      const gate = plugin.preEnqueue?.(pod);
      if (gate !== undefined) return gate;
    }
    return undefined;
  }

  #podGone(pod: Pod): void {
    const uid = pod.metadata.uid ?? "";
    this.#queue.remove(uid);
    this.#cache.removePod(uid);
    if (pod.spec?.nodeName && !isTerminated(pod)) this.#queue.happened({ type: "pod gone", pod });
  }

  #wake(): void {
    if (this.#working || !this.#ready || this.#stopped) return;
    this.#working = true;
    // After what else was heard in this turn.
    setImmediate(() => this.#work());
  }

  #work(): void {
    const until = performance.now() + SLICE_MILLIS;
    while (!this.#stopped && this.#bindings < MOST_BINDINGS) {
      const pod = this.#queue.take();
      if (!pod) break;
      this.#schedule(pod);
      if (performance.now() > until) {
        setImmediate(() => this.#work());
        return;
      }
    }
    this.#working = false;
  }

  #schedule(queued: QueuedPod): void {
    const { info } = queued;
    try {
      const verdict = this.#cycle.decide(info, this.#cache);
      if ("node" in verdict) {
        this.#cache.assume(info, verdict.node);
        void this.#bind(queued, verdict.node);
        return;
      }
      const outcome = this.#refused(queued, verdict);
      this.#queue.failed(queued, outcome.refusedBy);
    } catch (error) {
      this.#log(`${info.key}: ${text(error)}`);
      this.#queue.errored(queued);
    }
  }

  /** Tells why, and makes room if that is possible. */
  #refused(
    { info }: QueuedPod,
    verdict: { why: Map<string, Refused>; all?: Refused },
  ): { refusedBy: ReadonlySet<string> } {
    const { nodes } = this.#cache;
    const refusedBy = new Set(
      [...(verdict.all ? [verdict.all] : []), ...verdict.why.values()].map(({ plugin }) => plugin),
    );
    let preemption: string | undefined;
    let nominated: string | undefined;
    if (nodes.length > 0) {
      const decided = decidePreemption({
        pod: info,
        cluster: this.#cache,
        plugins: this.#plugins,
        why: verdict.why,
        violates: (victims) => this.#violations(victims),
      });
      if ("preemption" in decided) {
        nominated = decided.preemption.node;
        void this.#preempt(info, decided.preemption);
      } else preemption = decided.message;
    }
    const message = explain(verdict, nodes.length, preemption);
    this.#events.record(info.pod, "Warning", "FailedScheduling", message);
    void this.#setCondition(info.pod, "Unschedulable", message, nominated);
    return { refusedBy };
  }

  async #preempt(pod: PodInfo, { node, victims }: Preemption): Promise<void> {
    for (const victim of victims) {
      if (victim.pod.metadata.deletionTimestamp !== undefined) continue;
      try {
        await setPodCondition(this.#options.client, this.#clock, victim.pod, {
          type: "DisruptionTarget",
          status: "True",
          reason: "PreemptionByScheduler",
          message: `${this.#name}: preempting to accommodate a higher priority pod`,
        });
        await this.#options.client.delete(podRef(victim.pod), { preconditions: { uid: victim.uid } });
        this.#events.record(victim.pod, "Normal", "Preempted", `Preempted by pod ${pod.uid} on node ${node}`);
      } catch (error) {
        if (!isStatus(error, "NotFound", "Conflict")) this.#log(`preempting ${victim.key}: ${text(error)}`);
      }
    }
  }

  #violations(victims: readonly PodInfo[]): number {
    const informer = this.#informers.existing(kinds.podDisruptionBudgets);
    if (!informer) return 0;
    const budgets: Budget[] = informer.list().map((budget) => {
      const selector = selectorFromObject((budget.spec as { selector?: object } | undefined)?.selector);
      const allowed = (budget.status as { disruptionsAllowed?: number } | undefined)?.disruptionsAllowed ?? 0;
      return {
        namespace: budget.metadata.namespace ?? "",
        matches: (labels) => !selector.empty && selector.matches(labels),
        allowed,
      };
    });
    let violations = 0;
    for (const victim of victims) {
      const mine = budgets.filter(({ namespace, matches }) => namespace === victim.namespace && matches(victim.labels));
      if (mine.some((budget) => (budget.allowed -= 1) < 0)) violations += 1;
    }
    return violations;
  }

  async #bind(queued: QueuedPod, node: string): Promise<void> {
    const { info } = queued;
    this.#bindings += 1;
    try {
      const { namespace = "", name = "", uid = "" } = info.pod.metadata;
      await this.#options.client.create(
        { ...podRef(info.pod), subresource: "binding" },
        {
          apiVersion: "v1",
          kind: "Binding",
          metadata: { namespace, name, uid },
          target: { apiVersion: "v1", kind: "Node", name: node },
        },
      );
      this.#queue.done(queued);
      this.#events.record(info.pod, "Normal", "Scheduled", `Successfully assigned ${info.key} to ${node}`);
    } catch (error) {
      this.#cache.forget(info.uid);
      if (isStatus(error, "NotFound")) this.#queue.remove(info.uid);
      else this.#log(`binding ${info.key} to ${node}: ${text(error)}`);
      this.#queue.errored(queued);
      this.#queue.happened({ type: "pod gone", pod: info.pod });
    } finally {
      this.#bindings -= 1;
      this.#wake();
    }
  }

  async #setCondition(pod: Pod, reason: string, message: string, nominatedNodeName?: string): Promise<void> {
    try {
      await setPodCondition(
        this.#options.client,
        this.#clock,
        pod,
        { type: "PodScheduled", status: "False", reason, message },
        nominatedNodeName,
      );
    } catch (error) {
      if (!isStatus(error, "NotFound", "Conflict"))
        this.#log(`${pod.metadata.namespace}/${pod.metadata.name}: ${text(error)}`);
    }
  }
}

/** Heartbeats and usage change nothing here. */
function concernsScheduling(node: Node, old: Node): boolean {
  const of = ({ metadata, spec, status }: Node): string =>
    JSON.stringify([metadata.labels, spec, status?.allocatable, status?.capacity, status?.images]);
  return of(node) !== of(old);
}
