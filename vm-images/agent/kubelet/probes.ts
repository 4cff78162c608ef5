/**
 * Startup, readiness and liveness probes. `nextProbeState` is the pure heart: how results in a row change
 * what a probe says; around it one timer per probe of a running container.
 */
import type { Container, Pod } from "../../../common/kube/types.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { runHandler } from "./handlers.ts";
import type { Handler } from "./handlers.ts";
import { allContainers, latest, podUid } from "./pod.ts";
import type { PodView } from "./pod.ts";
import type { ProbeView } from "./decide.ts";

export type ProbeType = "startup" | "readiness" | "liveness";

export interface ProbeSpec extends Handler {
  initialDelaySeconds?: number;
  periodSeconds?: number;
  timeoutSeconds?: number;
  successThreshold?: number;
  failureThreshold?: number;
}

export interface ProbeState {
  /** What the probe says now; undefined while it has not said anything. */
  result: boolean | undefined;
  /** How often in a row the latest outcome came. */
  run: number;
  lastOutcome: boolean | undefined;
}

export const initialProbeState: ProbeState = { result: undefined, run: 0, lastOutcome: undefined };

export function nextProbeState(state: ProbeState, outcome: boolean, spec: ProbeSpec): ProbeState {
  const run = state.lastOutcome === outcome ? state.run + 1 : 1;
  const threshold = outcome ? (spec.successThreshold ?? 1) : (spec.failureThreshold ?? 3);
  return { result: run >= threshold ? outcome : state.result, run, lastOutcome: outcome };
}

interface Worker {
  key: string;
  containerId: string;
  container: Container;
  type: ProbeType;
  spec: ProbeSpec;
  state: ProbeState;
  timer: NodeJS.Timeout | undefined;
  stopped: boolean;
}

export type ProbeFailed = (pod: Pod, container: string, message: string) => void;

export class Probes {
  readonly #runtime: Runtime;
  readonly #changed: (uid: string) => void;
  readonly #failed: ProbeFailed;
  readonly #alive: (containerId: string) => boolean;
  readonly #pods = new Map<string, { pod: Pod; podIP: string; workers: Map<string, Worker>; running: Set<string> }>();

  /** `alive`: the container runs and nobody is ending it; the probes of others say nothing any more. */
  constructor(
    runtime: Runtime,
    changed: (uid: string) => void,
    failed: ProbeFailed,
    alive: (containerId: string) => boolean,
  ) {
    this.#alive = alive;
    this.#runtime = runtime;
    this.#changed = changed;
    this.#failed = failed;
  }

  /** Brings the workers in line with the containers that run. */
  sync(pod: Pod, view: PodView, podIP: string | undefined): void {
    const uid = podUid(pod);
    const entry = this.#pods.get(uid) ?? {
      pod,
      podIP: "",
      workers: new Map<string, Worker>(),
      running: new Set<string>(),
    };
    entry.pod = pod;
    entry.podIP = podIP ?? "";
    this.#pods.set(uid, entry);
    const newest = latest(view);
    entry.running = new Set([...newest].filter(([, container]) => container.state === "running").map(([name]) => name));
    const wanted = new Set<string>();
    for (const { spec: container, kind } of allContainers(pod)) {
      if (kind === "init" || kind === "ephemeral") continue;
      const running = newest.get(container.name);
      if (running?.state !== "running") continue;
      for (const type of ["startup", "readiness", "liveness"] as const) {
        const spec = container[`${type}Probe`] as ProbeSpec | undefined;
        if (!spec) continue;
        const key = `${container.name}/${type}`;
        wanted.add(key);
        const worker = entry.workers.get(key);
        if (worker?.containerId === running.id) continue;
        if (worker) stop(worker);
        const fresh: Worker = {
          key,
          containerId: running.id,
          container,
          type,
          spec,
          state: initialProbeState,
          timer: undefined,
          stopped: false,
        };
        entry.workers.set(key, fresh);
        const since = Math.max(0, Date.now() - running.startedAt);
        this.#schedule(uid, fresh, Math.max(0, (spec.initialDelaySeconds ?? 0) * 1000 - since));
      }
    }
    for (const [key, worker] of entry.workers) {
      if (wanted.has(key)) continue;
      stop(worker);
      entry.workers.delete(key);
    }
  }

  remove(uid: string): void {
    for (const worker of this.#pods.get(uid)?.workers.values() ?? []) stop(worker);
    this.#pods.delete(uid);
  }

  close(): void {
    for (const uid of this.#pods.keys()) this.remove(uid);
  }

  view(uid: string): ProbeView & { ready(container: string): boolean } {
    const entry = this.#pods.get(uid);
    const state = (container: string, type: ProbeType): ProbeState | undefined =>
      entry?.workers.get(`${container}/${type}`)?.state;
    const running = (container: string): boolean => entry?.running.has(container) ?? false;
    const started = (container: string): boolean => {
      const startup = state(container, "startup");
      return running(container) && (startup === undefined || startup.result === true);
    };
    return {
      started,
      ready: (container) => {
        const readiness = state(container, "readiness");
        return started(container) && (readiness === undefined || readiness.result === true);
      },
      failed: (container) => {
        if (state(container, "startup")?.result === false) return "startup";
        return state(container, "liveness")?.result === false ? "liveness" : undefined;
      },
    };
  }

  #schedule(uid: string, worker: Worker, delay: number): void {
    if (worker.stopped) return;
    worker.timer = setTimeout(() => void this.#probe(uid, worker), delay);
  }

  async #probe(uid: string, worker: Worker): Promise<void> {
    const period = (worker.spec.periodSeconds ?? 10) * 1000;
    const entry = this.#pods.get(uid);
    if (!entry || worker.stopped) return;
    const started = this.view(uid).started(worker.container.name);
    // The startup probe rests once it has succeeded; the others wait for it.
    if (worker.type === "startup" ? started : !started)
      return this.#schedule(uid, worker, worker.type === "startup" ? period : Math.min(period, 1000));
    const target = {
      runtime: this.#runtime,
      containerId: worker.containerId,
      container: worker.container,
      podIP: entry.podIP,
    };
    const outcome = await runHandler(worker.spec, target, (worker.spec.timeoutSeconds ?? 1) * 1000);
    if (worker.stopped) return;
    // Nobody stops a worker whose container turns out to run on (Docker refused to end it): it asks again.
    if (!this.#alive(worker.containerId)) return this.#schedule(uid, worker, period);
    const before = worker.state.result;
    worker.state = nextProbeState(worker.state, outcome.success, worker.spec);
    if (!outcome.success) {
      const title = worker.type === "startup" ? "Startup" : worker.type === "readiness" ? "Readiness" : "Liveness";
      this.#failed(entry.pod, worker.container.name, `${title} probe failed: ${outcome.message}`);
    }
    if (worker.state.result !== before) this.#changed(uid);
    this.#schedule(uid, worker, period);
  }
}

function stop(worker: Worker): void {
  worker.stopped = true;
  clearTimeout(worker.timer);
}
