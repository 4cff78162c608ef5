/** Figures of what runs beside the API server: work queues, the scheduler, clients, priority levels. */
import type { Client } from "../../../common/kube/client.ts";
import { exponential } from "../../../common/kube/metrics.ts";
import type { MetricsRegistry } from "../../../common/kube/metrics.ts";
import { StatusError } from "../../../common/kube/status.ts";
import type { QueueObserver } from "../../../common/kube/workqueue.ts";
import type { Aggregator } from "../aggregation/aggregator.ts";
import type { Fairness } from "../fairness/index.ts";
import type { SchedulerView } from "../scheduler/index.ts";
import type { SchedulerObserver } from "../scheduler/observer.ts";

/** client-go's bounds. */
const QUEUE_SECONDS = exponential(1e-8, 10, 10);
const ATTEMPT_SECONDS = exponential(0.001, 2, 15);
/** More attempts are not told from each other. */
const MOST_TOLD = 15;
const POD_SECONDS = exponential(0.01, 2, 20);
const CLIENT_SECONDS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60];

/** Who watches the queue of that name. */
export function queueMetrics(registry: MetricsRegistry): (name: string) => QueueObserver {
  const depth = registry.gauge("workqueue_depth", "Keys that wait.");
  const adds = registry.counter("workqueue_adds_total", "Keys that were added.");
  const retries = registry.counter("workqueue_retries_total", "Keys that failed and are tried again.");
  const waited = registry.histogram("workqueue_queue_duration_seconds", "Time from added to begun.", QUEUE_SECONDS);
  const worked = registry.histogram("workqueue_work_duration_seconds", "Time from begun to done.", QUEUE_SECONDS);
  const unfinished = registry.gauge("workqueue_unfinished_work_seconds", "Time that work under way has taken so far.");
  const longest = registry.gauge("workqueue_longest_running_processor_seconds", "The longest of that work.");
  /** When work under way began, by queue. */
  const watched = new Map<string, Set<number>>();
  registry.onCollect(() => {
    const now = performance.now();
    for (const [name, running] of watched) {
      const seconds = [...running].map((began) => (now - began) / 1000);
      unfinished.with({ name }).value = seconds.reduce((sum, one) => sum + one, 0);
      longest.with({ name }).value = Math.max(0, ...seconds);
    }
  });
  return (name) => {
    // Who leads again begins with new queues.
    const running = new Set<number>();
    watched.set(name, running);
    const series = {
      depth: depth.with({ name }),
      adds: adds.with({ name }),
      retries: retries.with({ name }),
      waited: waited.with({ name }),
      worked: worked.with({ name }),
    };
    return {
      added(waiting) {
        series.adds.add();
        series.depth.value = waiting;
      },
      started(waitedMillis, waiting) {
        series.waited.observe(waitedMillis / 1000);
        series.depth.value = waiting;
        // Two that begin at the same instant are told apart by the smallest step there is.
        let began = performance.now();
        while (running.has(began)) began += 1e-6;
        running.add(began);
        return () => {
          running.delete(began);
          series.worked.observe((performance.now() - began) / 1000);
        };
      },
      retried: () => series.retries.add(),
    };
  };
}

export function schedulerMetrics(registry: MetricsRegistry): {
  observer: SchedulerObserver;
  /** Who knows how many wait, while it works; what is returned ends that. */
  attach(scheduler: Pick<SchedulerView, "pending">): () => void;
} {
  const attempts = registry.counter("scheduler_schedule_attempts_total", "Attempts to find a Pod a node.");
  const seconds = registry.histogram(
    "scheduler_scheduling_attempt_duration_seconds",
    "Time of an attempt.",
    ATTEMPT_SECONDS,
  );
  const pods = registry.histogram(
    "scheduler_pod_scheduling_sli_duration_seconds",
    "Time from a Pod's coming to its being bound, over all attempts.",
    POD_SECONDS,
  );
  const tries = registry.histogram(
    "scheduler_pod_scheduling_attempts",
    "Attempts that a Pod took until it was bound.",
    [1, 2, 4, 8, 16],
  );
  const waiting = registry.gauge("scheduler_pending_pods", "Pods that wait for a node.");
  let attached: Pick<SchedulerView, "pending"> | undefined;
  registry.onCollect(() => {
    waiting.clear();
    for (const [queue, pods] of Object.entries(attached?.pending() ?? {})) waiting.with({ queue }).value = pods;
  });
  return {
    observer: {
      attempted(result, profile, took) {
        attempts.with({ profile, result }).add();
        seconds.with({ profile, result }).observe(took);
      },
      bound(attempts, took) {
        pods.with({ attempts: attempts > MOST_TOLD ? `${MOST_TOLD}+` : String(attempts) }).observe(took);
        tries.with({}).observe(attempts);
      },
    },
    attach(scheduler) {
      attached = scheduler;
      return () => {
        if (attached === scheduler) attached = undefined;
      };
    },
  };
}

/** `electors`: by the name of the Lease. */
export function leaderMetrics(
  registry: MetricsRegistry,
  electors: Record<string, { readonly leading: boolean }>,
): void {
  const status = registry.gauge("leader_election_master_status", "1: this process leads. 0: it waits.");
  registry.onCollect(() => {
    for (const [name, { leading }] of Object.entries(electors)) status.with({ name }).value = leading ? 1 : 0;
  });
}

export function aggregationMetrics(registry: MetricsRegistry, aggregator: Pick<Aggregator, "availability">): void {
  const unavailable = registry.gauge("aggregator_unavailable_apiservice", "1: the API cannot be reached at present.");
  registry.onCollect(() => {
    unavailable.clear();
    for (const { name, available } of aggregator.availability()) unavailable.with({ name }).value = available ? 0 : 1;
  });
}

export function fairnessMetrics(registry: MetricsRegistry, fairness: Fairness): void {
  const inQueue = registry.gauge("apiserver_flowcontrol_current_inqueue_requests", "Requests that wait for a seat.");
  const seats = registry.gauge("apiserver_flowcontrol_current_executing_seats", "Seats that are taken.");
  const nominal = registry.gauge("apiserver_flowcontrol_nominal_limit_seats", "Seats of a level's own.");
  registry.onCollect(() => {
    for (const family of [inQueue, seats, nominal]) family.clear();
    for (const level of fairness.levels()) {
      const labels = { priority_level: level.name };
      inQueue.with(labels).value = level.waiting;
      seats.with(labels).value = level.used;
      nominal.with(labels).value = level.nominal;
    }
  });
}

/** Clients of this process, their requests counted as those over HTTP are. */
export function clientMetrics(registry: MetricsRegistry): (client: Client) => Client {
  const total = registry.counter("rest_client_requests_total", "Requests of the control plane's own clients.");
  const seconds = registry.histogram(
    "rest_client_request_duration_seconds",
    "Time of the control plane's own requests.",
    CLIENT_SECONDS,
  );
  const host = "in-process";
  const counted = async <T>(method: string, code: number, made: Promise<T>): Promise<T> => {
    const began = performance.now();
    try {
      const result = await made;
      total.with({ code: String(code), host, method }).add();
      return result;
    } catch (error) {
      total.with({ code: error instanceof StatusError ? String(error.code) : "<error>", host, method }).add();
      throw error;
    } finally {
      seconds.with({ host, verb: method }).observe((performance.now() - began) / 1000);
    }
  };
  return (client) => ({
    get: (ref, options) => counted("GET", 200, client.get(ref, options)),
    list: (gvr, options) => counted("GET", 200, client.list(gvr, options)),
    watch: (gvr, options) => client.watch(gvr, options),
    create: (ref, object, options) => counted("POST", 201, client.create(ref, object, options)),
    update: (ref, object, options) => counted("PUT", 200, client.update(ref, object, options)),
    patch: (ref, type, patch, options) => counted("PATCH", 200, client.patch(ref, type, patch, options)),
    delete: (ref, options) => counted("DELETE", 200, client.delete(ref, options)),
  });
}
