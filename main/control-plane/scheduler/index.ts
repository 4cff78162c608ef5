/** The scheduler: takes Pods without a node from its queue, finds each a node, and binds it there. */
import type { Client } from "../../../common/kube/client.ts";
import { systemClock } from "../../../common/kube/clock.ts";
import type { Clock } from "../../../common/kube/clock.ts";
import { EventRecorder } from "../../../common/kube/events.ts";
import type { Informer } from "../../../common/kube/informer.ts";
import { InformerFactory } from "../../../common/kube/informer.ts";
import type { GroupVersionResource, KubeObject } from "../../../common/kube/object.ts";
import { isStatus } from "../../../common/kube/status.ts";
import type { Namespace, Node, Pod } from "../../../common/kube/types.ts";
import { text } from "../controllers/kernel/controller.ts";
import { kinds } from "../controllers/kernel/kinds.ts";
import { conditionOf, isTerminated, podRef } from "../controllers/kernel/pods.ts";
import { becauseOf } from "../explain/cause.ts";
import { ClusterCache } from "./cache.ts";
import { Cycle, explain } from "./cycle.ts";
import type { NoNode } from "./cycle.ts";
import { budgetsOf, evict } from "./evict.ts";
import type { Plugin } from "./framework.ts";
import { PodInfo } from "./model.ts";
import { setPodCondition } from "./pod-condition.ts";
import { decidePreemption } from "./preemption.ts";
import { DEFAULT_SCHEDULER, profileOf } from "./profiles.ts";
import type { Profile, SchedulerConfiguration } from "./profiles.ts";
import { SchedulingQueue } from "./queue.ts";
import type { QueuedPod } from "./queue.ts";
import { reserveAll } from "./reservations.ts";
import type { Reservations } from "./reservations.ts";
import { feedStorage } from "./storage-feed.ts";
import type { SchedulerObserver } from "./observer.ts";
import type { StorageFeed } from "./storage-feed.ts";
import { Waiters } from "./waiters.ts";

export interface SchedulerOptions {
  client: Client;
  /** Shared with the controllers, where they run together; else the scheduler has its own. */
  informers?: InformerFactory;
  /** Default: one profile, "default-scheduler", with all plug-ins. */
  configuration?: SchedulerConfiguration;
  /** Instead of a configuration's: these for the default scheduler. */
  plugins?: readonly Plugin[];
  /** Whether the server knows a kind. Default: it does. */
  served?(gvr: GroupVersionResource): boolean;
  clock?: Clock;
  random?(): number;
  log?(line: string): void;
  observer?: SchedulerObserver;
}

/** What the scheduler knows at this moment, for whoever explains it. */
export interface SchedulerView {
  cluster: ClusterCache;
  /** undefined: no profile of this scheduler takes the Pod. */
  profileFor(pod: Pod): Profile | undefined;
  /** Of its profiles: what a Pod's schedulerName may say. */
  schedulerNames: readonly string[];
  queued(uid: string): Readonly<QueuedPod> | undefined;
  /** How many Pods wait, by where they do: active, backoff, unschedulable, gated. */
  pending(): Record<string, number>;
}

export interface RunningScheduler {
  /** Resolves when it has seen the cluster once and works. */
  ready: Promise<void>;
  view: SchedulerView;
  stop(): Promise<void>;
}

/** Bindings on their way to the API at once; more Pods than these wait for their cycle. */
const MOST_BINDINGS = 256;
/** After so long without a pause the scheduler lets others have the thread. */
const SLICE_MILLIS = 8;

export function startScheduler(options: SchedulerOptions): RunningScheduler {
  const scheduler = new Scheduler(options);
  return { ready: scheduler.start(), view: scheduler.view, stop: () => scheduler.stop() };
}

interface Refusal {
  refusedBy: ReadonlySet<string>;
  gaveUpRoom: boolean;
}

class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #clock: Clock;
  readonly #profiles: ReadonlyMap<string, Profile>;
  readonly #informers: InformerFactory;
  readonly #cache = new ClusterCache();
  readonly #queue: SchedulingQueue;
  readonly #cycle: Cycle;
  readonly #recorders = new Map<string, EventRecorder>();
  readonly #removeHandlers: (() => void)[] = [];
  readonly #waiters: Waiters;
  readonly view: SchedulerView;
  #storage: StorageFeed | undefined;
  #budgets: Informer | undefined;
  #bindings = 0;
  #working = false;
  #ready = false;
  #stopped = false;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    const { configuration } = options;
    const profiles = configuration?.profiles ?? [profileOf(DEFAULT_SCHEDULER, options.plugins)];
    this.#profiles = new Map(profiles.map((profile) => [profile.schedulerName, profile]));
    this.#informers =
      options.informers ??
      new InformerFactory(options.client, {
        clock: this.#clock,
        failed: (gvr, error) => this.#log(`informer of ${gvr.resource}: ${text(error)}`),
      });
    const pluginOf = (pod: PodInfo, name: string): Plugin | undefined =>
      this.#profileFor(pod.pod)?.plugins.find((plugin) => plugin.name === name);
    this.#queue = new SchedulingQueue(pluginOf, this.#clock, () => this.#wake(), {
      firstMillis: (configuration?.podInitialBackoffSeconds ?? 1) * 1000,
      maxMillis: (configuration?.podMaxBackoffSeconds ?? 10) * 1000,
    });
    this.#cycle = new Cycle(options.random ?? Math.random);
    this.#waiters = new Waiters(this.#clock);
    this.view = {
      cluster: this.#cache,
      profileFor: (pod) => this.#profileFor(pod),
      schedulerNames: [...this.#profiles.keys()],
      queued: (uid) => this.#queue.get(uid),
      pending: () => this.#queue.pending(),
    };
  }

  async start(): Promise<void> {
    const nodes = this.#informers.for<Node>(kinds.nodes);
    const pods = this.#informers.for<Pod>(kinds.pods);
    const namespaces = this.#informers.for<Namespace>(kinds.namespaces);
    this.#budgets = this.#informers.for<KubeObject>(kinds.podDisruptionBudgets);
    this.#storage = feedStorage({
      informers: this.#informers,
      volumes: this.#cache.volumes,
      served: this.#options.served ?? (() => true),
      changed: (resource, { metadata: { namespace = "", name = "" } }) => {
        this.#queue.happened({ type: "other", resource, namespace, name });
        this.#waiters.look();
      },
    });
    this.#removeHandlers.push(
      () => this.#storage?.stop(),
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
        delete: (node) => {
          this.#cache.removeNode(node.metadata.name ?? "");
          this.#queue.happened({ type: "node gone", node });
        },
      }),
      pods.addHandler({
        add: (pod) => this.#podChanged(pod, undefined),
        update: (pod, old) => this.#podChanged(pod, old),
        delete: (pod) => this.#podGone(pod),
      }),
    );
    this.#informers.start();
    const all = [nodes.synced, pods.synced, namespaces.synced, this.#budgets.synced, this.#storage.synced];
    await Promise.all(all);
    this.#ready = true;
    this.#wake();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#queue.stop();
    this.#waiters.stop();
    for (const remove of this.#removeHandlers) remove();
    if (!this.#options.informers) await this.#informers.stop();
  }

  #log(line: string): void {
    this.#options.log?.(`scheduler: ${line}`);
  }

  #profileFor({ spec }: Pod): Profile | undefined {
    return this.#profiles.get(spec?.schedulerName || DEFAULT_SCHEDULER);
  }

  /** Events come from the profile that speaks. */
  #eventsOf({ spec }: Pod): EventRecorder {
    const component = spec?.schedulerName || DEFAULT_SCHEDULER;
    let recorder = this.#recorders.get(component);
    if (!recorder) {
      recorder = new EventRecorder(this.#options.client, {
        source: { component },
        clock: this.#clock,
        // What was still to be said when everything stops is not missed.
        failed: (error) => (this.#stopped ? undefined : this.#log(`an event was not written: ${text(error)}`)),
      });
      this.#recorders.set(component, recorder);
    }
    return recorder;
  }

  #podChanged(pod: Pod, old: Pod | undefined): void {
    const uid = pod.metadata.uid ?? "";
    if (pod.spec?.nodeName || isTerminated(pod)) {
      this.#leaveRoom(uid);
      this.#queue.remove(uid);
      const wasThere = old !== undefined && Boolean(old.spec?.nodeName) && !isTerminated(old);
      if (isTerminated(pod)) {
        this.#cache.removePod(uid);
        if (wasThere) this.#queue.happened({ type: "pod gone", pod });
        return;
      }
      const asksForLess = this.#cache.setPod(pod);
      if (asksForLess) this.#queue.happened({ type: "pod gone", pod });
      if (!wasThere) this.#queue.happened({ type: "pod placed", pod });
      else if (JSON.stringify(old.metadata.labels) !== JSON.stringify(pod.metadata.labels))
        this.#queue.happened({ type: "pod placed", pod, old });
      return;
    }
    if (!this.#profileFor(pod)) return;
    // Bound already: the API's own word of it is on its way.
    if (this.#cache.isPlaced(uid)) return;
    const known = this.#queue.get(uid);
    if (pod.metadata.deletionTimestamp !== undefined) {
      this.#leaveRoom(uid);
      return this.#queue.remove(uid);
    }
    const gate = this.#gateOf(pod);
    const info = new PodInfo(pod);
    const nominated = pod.status?.nominatedNodeName;
    // After a restart only the API remembers for whom room was made.
    if (nominated && !known) this.#cache.nominate(info, nominated);
    this.#queue.put(info, gate);
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
    for (const plugin of this.#profileFor(pod)?.plugins ?? []) {
      const gate = plugin.preEnqueue?.(pod);
      if (gate !== undefined) return gate;
    }
    return undefined;
  }

  /** No room need be kept any more for a Pod that waited: others may have it. */
  #leaveRoom(uid: string): void {
    const waiting = this.#queue.get(uid);
    if (!waiting || this.#cache.nomination(uid) === undefined) return;
    this.#cache.nominate(waiting.info, undefined);
    this.#queue.happened({ type: "pod gone", pod: waiting.info.pod });
  }

  #podGone(pod: Pod): void {
    const uid = pod.metadata.uid ?? "";
    this.#leaveRoom(uid);
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
    const until = this.#clock.monotonic() + SLICE_MILLIS;
    while (!this.#stopped && this.#bindings < MOST_BINDINGS) {
      const pod = this.#queue.take();
      if (!pod) break;
      this.#schedule(pod);
      if (this.#clock.monotonic() > until) {
        setImmediate(() => this.#work());
        return;
      }
    }
    this.#working = false;
  }

  #schedule(queued: QueuedPod): void {
    const { info } = queued;
    const profile = this.#profileFor(info.pod);
    if (!profile) return this.#queue.done(queued);
    const began = this.#clock.monotonic();
    const attempted = (result: "scheduled" | "unschedulable" | "error"): void =>
      this.#options.observer?.attempted(result, profile.schedulerName, (this.#clock.monotonic() - began) / 1000);
    try {
      const verdict = this.#cycle.decide(info, this.#cache, profile);
      if ("node" in verdict) {
        const reservations = reserveAll(profile.plugins, info, this.#cache, verdict.node);
        this.#cache.assume(info, verdict.node);
        const kept = this.#cache.nomination(info.uid);
        this.#cache.nominate(info, undefined);
        attempted("scheduled");
        // It found another place: the room that was kept for it is free.
        if (kept !== undefined && kept !== verdict.node) this.#queue.happened({ type: "pod gone", pod: info.pod });
        void becauseOf(info.pod, () => this.#bind(queued, verdict.node, reservations));
        return;
      }
      const outcome = becauseOf(info.pod, () => this.#refused(queued, verdict, profile));
      this.#queue.failed(queued, outcome.refusedBy);
      attempted("unschedulable");
      // The room that was kept for it may do for another.
      if (outcome.gaveUpRoom) this.#queue.happened({ type: "pod gone", pod: info.pod });
    } catch (error) {
      this.#log(`${info.key}: ${text(error)}`);
      this.#queue.errored(queued);
      attempted("error");
    }
  }

  /** Tells why, and makes room if that is possible. */
  #refused({ info }: QueuedPod, verdict: NoNode, profile: Profile): Refusal {
    const { nodes } = this.#cache;
    const refusedBy = new Set(
      [...(verdict.all ? [verdict.all] : []), ...verdict.why.values()].map(({ plugin }) => plugin),
    );
    let preemption: string | undefined;
    // What was nominated stays so while its victims are on their way out.
    const before = this.#cache.nomination(info.uid);
    let nominated = before;
    if (nodes.length > 0 && profile.preemption) {
      const decided = decidePreemption({
        pod: info,
        cluster: this.#cache,
        plugins: profile.plugins,
        verdict,
        budgets: budgetsOf(this.#budgets?.values() ?? []),
      });
      if ("preemption" in decided) {
        nominated = decided.preemption.node;
        this.#giveWay(info, nominated);
        void evict(info, decided.preemption, {
          client: this.#options.client,
          clock: this.#clock,
          events: this.#eventsOf(info.pod),
          schedulerName: profile.schedulerName,
          failed: (victim, error) => {
            this.#log(`preempting ${victim.key}: ${text(error)}`);
            // It is still there: the Pod must not wait for its end.
            this.#queue.retry(info.uid);
          },
        });
      } else {
        preemption = decided.message;
        if (!preemption.includes("terminating pod")) nominated = undefined;
      }
    }
    this.#cache.nominate(info, nominated);
    const message = explain(verdict, nodes.length, preemption);
    this.#eventsOf(info.pod).record(info.pod, "Warning", "FailedScheduling", message);
    void this.#setCondition(info.pod, "Unschedulable", message, nominated ?? null);
    return { refusedBy, gaveUpRoom: before !== undefined && before !== nominated };
  }

  /** Lower ones for which the same room was kept look for another place. */
  #giveWay(pod: PodInfo, node: string): void {
    for (const other of this.#cache.nominatedOn(node)) {
      if (other.uid === pod.uid || other.priority >= pod.priority) continue;
      this.#cache.nominate(other, undefined);
      this.#queue.retry(other.uid);
    }
  }

  async #bind(queued: QueuedPod, node: string, reservations: Reservations): Promise<void> {
    const { info } = queued;
    let counted = false;
    try {
      if (reservations.preBind) {
        await reservations.preBind({
          client: this.#options.client,
          waitUntil: (done, milliseconds) => this.#waiters.until(done, milliseconds),
        });
      }
      this.#bindings += 1;
      counted = true;
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
      this.#options.observer?.bound?.(queued.attempts + 1, (this.#clock.monotonic() - queued.since) / 1000);
      this.#eventsOf(info.pod).record(info.pod, "Normal", "Scheduled", `Successfully assigned ${info.key} to ${node}`);
    } catch (error) {
      this.#cache.forget(info.uid);
      if (isStatus(error, "NotFound")) this.#queue.remove(info.uid);
      else if (!this.#stopped) this.#log(`binding ${info.key} to ${node}: ${text(error)}`);
      this.#queue.errored(queued);
      this.#queue.happened({ type: "pod gone", pod: info.pod });
    } finally {
      reservations.release();
      if (counted) this.#bindings -= 1;
      this.#wake();
    }
  }

  async #setCondition(
    pod: Pod,
    reason: string,
    message: string,
    nominatedNodeName: string | null = null,
  ): Promise<void> {
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
