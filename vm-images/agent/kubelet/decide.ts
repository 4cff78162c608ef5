/**
 * What to do next for a Pod: a pure function from its spec, what the runtime holds of it and what the
 * probes say, to actions. The worker carries them out and asks again; nothing is remembered between
 * two calls that is not in the runtime, so an agent that was killed goes on where it was.
 */
import { createHash } from "node:crypto";
import type { Container, Pod } from "../../../common/kube/types.ts";
import type { RuntimeContainer } from "../runtime/runtime.ts";
import { mayRestart } from "../../../common/node/restart.ts";
import type { ContainerKind } from "../../../common/node/restart.ts";
import { formatPod, isExited, isSidecar, latest, restartPolicy, shouldStart } from "./pod.ts";
import type { PodView } from "./pod.ts";
import { generation } from "./restart-all.ts";

export const LABEL_HASH = "io.kubernetes.container.hash";
/** Seconds that must pass after this container's end before the next attempt. */
export const LABEL_BACKOFF = "io.drydock.backoff-seconds";

const BACKOFF_FIRST = 10;
const BACKOFF_MAX = 300;
/** Milliseconds by which the runtime's clock may seem ahead of ours. */
const CLOCK_SLACK = 5000;
/** A container that ran this long (seconds) has shown that it can: its back-off is forgotten. */
const BACKOFF_FORGET = 600;

export interface ProbeView {
  /** The startup probe has succeeded, or there is none. */
  started(container: string): boolean;
  /** Why the container must be restarted, when liveness or startup failed for good: "liveness" or "startup". */
  failed(container: string): "liveness" | "startup" | undefined;
}

export interface StartAction {
  spec: Container;
  kind: ContainerKind;
  attempt: number;
  backoffSeconds: number;
  /** Of restart-all.ts; absent in the first. */
  generation?: number;
}

export interface KillAction {
  container: RuntimeContainer;
  spec: Container | undefined;
  message: string;
  /** Seconds, where the probe that failed has its own. */
  graceSeconds: number | undefined;
}

export interface Plan {
  /** Stop every container and sandbox that there is, before anything else. */
  killPod: boolean;
  createSandbox: { attempt: number } | undefined;
  kill: KillAction[];
  /** Empty while a sandbox has to be created first. */
  start: StartAction[];
  /** Containers that wait out their back-off: name → message for CrashLoopBackOff. */
  backoff: Map<string, string>;
  /** Unix milliseconds when to ask again at the latest. */
  wakeAt: number | undefined;
}

/** Changing the image of a container (all else of it is immutable) replaces the running one. */
export function containerHash(container: Container): string {
  return createHash("sha1")
    .update(JSON.stringify([container.name, container.image]))
    .digest("hex")
    .slice(0, 12);
}

/** Seconds to wait after `container`'s end, and the label for the attempt that follows. */
export function restartBackoff(container: RuntimeContainer): { delay: number; next: number } {
  const delay = Number(container.labels[LABEL_BACKOFF] ?? 0);
  const ran = container.startedAt > 0 ? (container.finishedAt - container.startedAt) / 1000 : 0;
  if (ran >= BACKOFF_FORGET) return { delay: 0, next: BACKOFF_FIRST };
  return { delay, next: Math.min(Math.max(delay * 2, BACKOFF_FIRST), BACKOFF_MAX) };
}

/** As Go prints durations: 10s, 1m20s, 5m0s. */
export function formatSeconds(seconds: number): string {
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}

export function decide(pod: Pod, view: PodView, probes: ProbeView, now: number): Plan {
  const { current } = generation(pod, view);
  const plan = steps(pod, view, probes, now);
  if (current > 0) plan.start = plan.start.map((action) => ({ ...action, generation: current }));
  return plan;
}

/** Not by their times: a clock that was put back in between, or a sandbox that was made ahead, would turn them round. */
const isOf = (container: RuntimeContainer | undefined, sandbox: RuntimeContainer | undefined): boolean =>
  container !== undefined && (sandbox === undefined || container.sandboxId === sandbox.id);

/** Until when (Unix milliseconds) the attempt after this one waits. */
function backoffLeft(container: RuntimeContainer, now: number): { delay: number; next: number; until: number } {
  const { delay, next } = restartBackoff(container);
  // An end in the future was told by a clock that has been put back since: nothing says how long ago it was.
  const told = container.finishedAt || container.createdAt;
  const end = Math.min(told, now);
  return { delay, next, until: end < told - CLOCK_SLACK ? now : end + delay * 1000 };
}

function backOff(plan: Plan, pod: Pod, name: string, { delay, until }: { delay: number; until: number }): void {
  plan.backoff.set(name, `back-off ${formatSeconds(delay)} restarting failed container=${name} pod=${formatPod(pod)}`);
  plan.wakeAt = Math.min(plan.wakeAt ?? until, until);
}

function steps(pod: Pod, view: PodView, probes: ProbeView, now: number): Plan {
  const plan: Plan = {
    killPod: false,
    createSandbox: undefined,
    kill: [],
    start: [],
    backoff: new Map(),
    wakeAt: undefined,
  };
  const newest = latest(view);
  const policy = restartPolicy(pod);
  const sandbox = view.sandboxes[0];
  const regular = pod.spec?.containers ?? [];
  const init = pod.spec?.initContainers ?? [];
  const { cause, outdated } = generation(pod, view);

  if (outdated.size > 0) {
    for (const [name, container] of outdated)
      if (container.state === "running")
        plan.kill.push({ container, spec: undefined, message: `Stopping container ${name}`, graceSeconds: 0 });
    if (plan.kill.length > 0) return plan;
    const wait = cause && backoffLeft(cause, now);
    if (wait && wait.until > now) {
      backOff(plan, pod, cause.name?.container ?? "", wait);
      return plan;
    }
  }

  if (sandbox?.state !== "running") {
    const neverStarted = regular.every((container) => !newest.has(container.name));
    const wanted =
      neverStarted || regular.some((container) => shouldStart(pod, container, "regular", newest.get(container.name)));
    const restarts = regular.some((container) => mayRestart(container, "regular", policy));
    // A Pod that never restarts ends with its sandbox; one that has finished needs none.
    if (!wanted || (sandbox && !restarts && !neverStarted)) {
      plan.killPod = view.containers.some((container) => container.state === "running");
      return plan;
    }
    plan.killPod = view.containers.some((container) => container.state === "running");
    plan.createSandbox = { attempt: sandbox ? (sandbox.name?.attempt ?? 0) + 1 : 0 };
    return plan;
  }

  const consider = (spec: Container, kind: ContainerKind): void => {
    const container = newest.get(spec.name);
    if (!container) {
      plan.start.push({ spec, kind, attempt: 0, backoffSeconds: 0 });
    } else if (outdated.has(spec.name)) {
      const backoffSeconds = container === cause ? restartBackoff(container).next : 0;
      plan.start.push({ spec, kind, attempt: (container.name?.attempt ?? 0) + 1, backoffSeconds });
    } else if (container.state === "running") {
      const changed =
        container.labels[LABEL_HASH] !== undefined && container.labels[LABEL_HASH] !== containerHash(spec);
      const failed = probes.failed(spec.name);
      if (changed)
        plan.kill.push({
          container,
          spec,
          message: `Container ${spec.name} definition changed, will be restarted`,
          graceSeconds: undefined,
        });
      else if (failed)
        plan.kill.push({
          container,
          spec,
          message: `Container ${spec.name} failed ${failed} probe${mayRestart(spec, kind, policy) ? ", will be restarted" : ""}`,
          graceSeconds: spec[`${failed}Probe`]?.terminationGracePeriodSeconds ?? undefined,
        });
    } else if (container.state === "created" && container.error === "") {
      // Made, but never started: the agent ended in between. The same attempt once more.
      plan.start.push({
        spec,
        kind,
        attempt: container.name?.attempt ?? 0,
        backoffSeconds: Number(container.labels[LABEL_BACKOFF] ?? 0),
      });
    } else if (kind === "init" && !isOf(container, sandbox)) {
      plan.start.push({ spec, kind, attempt: (container.name?.attempt ?? 0) + 1, backoffSeconds: 0 });
    } else if (shouldStart(pod, spec, kind, container)) {
      const { next, ...wait } = backoffLeft(container, now);
      if (wait.until > now) {
        backOff(plan, pod, spec.name, wait);
      } else {
        plan.start.push({ spec, kind, attempt: (container.name?.attempt ?? 0) + 1, backoffSeconds: next });
      }
    }
  };

  // Once a regular container exists the init containers are history, unless the sandbox is younger than they are.
  const initialized = initProgress(pod, view, probes);
  const finished =
    regular.length > 0 &&
    regular.every((container) => {
      const state = newest.get(container.name);
      if (state === undefined || outdated.has(container.name)) return false;
      return isExited(state) && !shouldStart(pod, container, "regular", state);
    });

  if (finished || initialized.failed) {
    // Sidecars and the sandbox outlive the last regular container only for a moment.
    plan.killPod = true;
    return plan;
  }
  for (const spec of init.filter(isSidecar)) {
    if (init.indexOf(spec) < initialized.next) consider(spec, "sidecar");
  }
  if (initialized.next < init.length) {
    const spec = init[initialized.next] as Container;
    consider(spec, isSidecar(spec) ? "sidecar" : "init");
  } else {
    for (const spec of regular) consider(spec, "regular");
    for (const spec of pod.spec?.ephemeralContainers ?? []) {
      if (!newest.has(spec.name))
        plan.start.push({ spec: spec as Container, kind: "ephemeral", attempt: 0, backoffSeconds: 0 });
    }
  }
  return plan;
}

/**
 * How far the init containers have come: `next` is the index of the one whose turn it is (their number when all
 * are done), `failed` that one has failed for good.
 */
export function initProgress(pod: Pod, view: PodView, probes: ProbeView): { next: number; failed: boolean } {
  const init = pod.spec?.initContainers ?? [];
  const newest = latest(view);
  const sandbox = view.sandboxes[0];
  const { outdated } = generation(pod, view);
  const regularStarted = (pod.spec?.containers ?? []).some(
    ({ name }) => !outdated.has(name) && isOf(newest.get(name), sandbox),
  );
  if (regularStarted) return { next: init.length, failed: false };
  for (const [index, spec] of init.entries()) {
    const container = newest.get(spec.name);
    // A new sandbox runs them all again, and so does a new generation.
    const current = isOf(container, sandbox) && !outdated.has(spec.name) ? container : undefined;
    if (isSidecar(spec)) {
      if (current?.state === "running" && probes.started(spec.name)) continue;
      return { next: index, failed: false };
    }
    if (current && isExited(current) && current.exitCode === 0 && current.error === "") continue;
    const failed = current !== undefined && isExited(current) && !shouldStart(pod, spec, "init", current);
    return { next: index, failed };
  }
  return { next: init.length, failed: false };
}
