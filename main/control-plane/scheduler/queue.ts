/**
 * Pods that wait for a node:
 *
 *     gated ──gates gone──► active ──no node──► unschedulable ──an event that may help──► backing off ──► active
 *
 * Active ones come by priority, then by age. An event wakes only Pods that it can help, by the plug-ins that
 * refused them. What no event woke is tried again after five minutes.
 */
import { backoffMillis } from "../../../common/kube/backoff.ts";
import type { Clock, Timer } from "../../../common/kube/clock.ts";
import { Heap } from "../../../common/kube/heap.ts";
import type { ClusterEvent, Plugin } from "./framework.ts";
import type { PodInfo } from "./model.ts";

export interface QueuedPod {
  info: PodInfo;
  /** Attempts that found no node. */
  attempts: number;
  /** When it first came, for its turn among equals. */
  since: number;
  order: number;
  state: "active" | "in cycle" | "backing off" | "unschedulable" | "gated";
  /** Plug-ins that refused it last. Empty: anything may help. */
  refusedBy: ReadonlySet<string>;
  /** When the last attempt ended. */
  tried: number;
}

export interface QueueBackoff {
  firstMillis: number;
  maxMillis: number;
}

const BACKOFF: QueueBackoff = { firstMillis: 1000, maxMillis: 10_000 };
const STALE_MILLIS = 300_000;
const STALE_CHECK_MILLIS = 30_000;
/** More events than these during one cycle are not looked at one by one: any of them may help. */
const MOST_EVENTS = 1000;

export class SchedulingQueue {
  readonly #clock: Clock;
  readonly #pluginOf: (pod: PodInfo, name: string) => Plugin | undefined;
  readonly #backoff: QueueBackoff;
  readonly #pods = new Map<string, QueuedPod>();
  readonly #active = new Heap<QueuedPod>(
    (a, b) =>
      a.info.priority > b.info.priority ||
      (a.info.priority === b.info.priority && (a.since < b.since || (a.since === b.since && a.order < b.order))),
  );
  readonly #waiting = new Set<QueuedPod>();
  readonly #timers = new Set<Timer>();
  readonly #wake: () => void;
  #order = 0;
  #stale: Timer | undefined;
  /** Events since the first of the Pods in a cycle was taken: they may have missed them. */
  #events: ClusterEvent[] = [];
  #missedMany = false;
  #inCycle = 0;

  /** How many wait, by the names of Kubernetes' own queues. Looks at all of them. */
  pending(): Record<string, number> {
    const counts = { active: 0, backoff: 0, unschedulable: 0, gated: 0 };
    for (const { state } of this.#pods.values()) {
      if (state === "backing off") counts.backoff += 1;
      else if (state !== "in cycle") counts[state] += 1;
    }
    return counts;
  }

  /** `wake` is called when there may be something to take; `pluginOf` finds a Pod's plug-in by name. */
  constructor(
    pluginOf: (pod: PodInfo, name: string) => Plugin | undefined,
    clock: Clock,
    wake: () => void,
    backoff: QueueBackoff = BACKOFF,
  ) {
    this.#pluginOf = pluginOf;
    this.#clock = clock;
    this.#wake = wake;
    this.#backoff = backoff;
  }

  get size(): number {
    return this.#pods.size;
  }

  get(uid: string): QueuedPod | undefined {
    return this.#pods.get(uid);
  }

  /** A Pod without a node, new or changed. `gate` says why it must not be tried. */
  put(info: PodInfo, gate: string | undefined): void {
    const known = this.#pods.get(info.uid);
    if (!known) {
      const now = this.#clock.monotonic();
      const pod: QueuedPod = {
        info,
        attempts: 0,
        since: now,
        order: (this.#order += 1),
        state: "gated",
        refusedBy: new Set(),
        tried: now,
      };
      this.#pods.set(info.uid, pod);
      if (gate === undefined) this.#activate(pod);
      return;
    }
    known.info = info;
    if (gate !== undefined) {
      known.state = "gated";
      this.#waiting.delete(known);
    } else if (known.state === "gated") this.#activate(known);
  }

  /** The Pod itself was changed in a way that may make it fit. */
  retry(uid: string): void {
    const pod = this.#pods.get(uid);
    if (pod?.state === "unschedulable") this.#wakeUp(pod);
  }

  remove(uid: string): void {
    const pod = this.#pods.get(uid);
    if (!pod) return;
    this.#pods.delete(uid);
    this.#waiting.delete(pod);
  }

  take(): QueuedPod | undefined {
    for (let pod = this.#active.pop(); pod; pod = this.#active.pop()) {
      if (pod.state !== "active" || this.#pods.get(pod.info.uid) !== pod) continue;
      pod.state = "in cycle";
      this.#inCycle += 1;
      return pod;
    }
    return undefined;
  }

  /** The Pod has its node. */
  done(pod: QueuedPod): void {
    this.#endCycle();
    if (this.#pods.get(pod.info.uid) === pod) this.#pods.delete(pod.info.uid);
  }

  /** No node was found; what happened meanwhile may already help. */
  failed(pod: QueuedPod, refusedBy: ReadonlySet<string>): void {
    const missed = this.#events;
    const missedMany = this.#missedMany;
    this.#endCycle();
    if (this.#pods.get(pod.info.uid) !== pod) return;
    pod.attempts += 1;
    pod.tried = this.#clock.monotonic();
    pod.refusedBy = refusedBy;
    pod.state = "unschedulable";
    this.#waiting.add(pod);
    this.#watchStale();
    if (missedMany || missed.some((event) => this.#mayHelp(pod, event))) this.#wakeUp(pod);
  }

  /** An error, not a refusal: tried again after the usual wait. */
  errored(pod: QueuedPod): void {
    this.#endCycle();
    if (this.#pods.get(pod.info.uid) !== pod) return;
    pod.attempts += 1;
    pod.tried = this.#clock.monotonic();
    this.#wakeUp(pod);
  }

  happened(event: ClusterEvent): void {
    if (this.#inCycle > 0 && !this.#missedMany) {
      this.#events.push(event);
      if (this.#events.length > MOST_EVENTS) {
        this.#missedMany = true;
        this.#events = [];
      }
    }
    if (this.#waiting.size === 0) return;
    for (const pod of this.#waiting) if (this.#mayHelp(pod, event)) this.#wakeUp(pod);
  }

  stop(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#stale?.cancel();
  }

  #endCycle(): void {
    this.#inCycle -= 1;
    if (this.#inCycle > 0) return;
    this.#events = [];
    this.#missedMany = false;
  }

  #mayHelp(pod: QueuedPod, event: ClusterEvent): boolean {
    if (pod.refusedBy.size === 0) return true;
    for (const name of pod.refusedBy) {
      const hint = this.#pluginOf(pod.info, name)?.mayHelp;
      if (!hint || hint(event, pod.info)) return true;
    }
    return false;
  }

  /** Active when its wait is over, else when it will be. */
  #wakeUp(pod: QueuedPod): void {
    this.#waiting.delete(pod);
    const left = pod.tried + backoffMillis(this.#backoff, pod.attempts) - this.#clock.monotonic();
    if (left <= 0) return this.#activate(pod);
    pod.state = "backing off";
    const timer = this.#clock.after(left, () => {
      this.#timers.delete(timer);
      if (pod.state === "backing off" && this.#pods.get(pod.info.uid) === pod) this.#activate(pod);
    });
    this.#timers.add(timer);
  }

  #activate(pod: QueuedPod): void {
    this.#waiting.delete(pod);
    pod.state = "active";
    this.#active.push(pod);
    this.#wake();
  }

  #watchStale(): void {
    if (this.#stale) return;
    this.#stale = this.#clock.after(STALE_CHECK_MILLIS, () => {
      this.#stale = undefined;
      const now = this.#clock.monotonic();
      for (const pod of this.#waiting) if (now - pod.tried > STALE_MILLIS) this.#wakeUp(pod);
      if (this.#waiting.size > 0) this.#watchStale();
    });
  }
}
