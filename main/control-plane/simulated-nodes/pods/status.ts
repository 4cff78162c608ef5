/** A Pod on a simulated node: its status now, and when it changes next. Pure, but for the moments that it notes. */
import { timestamp } from "../../../../common/kube/clock.ts";
import type { Container, ContainerStatus, Pod, PodStatus } from "../../../../common/kube/types.ts";
import { conditionsOf, finalPhase, phaseOf } from "../../../../common/node/pod-status.ts";
import type { Phase, PodCondition } from "../../../../common/node/pod-status.ts";
import { drawDelay } from "../rules/chance.ts";
import type { Behaviour } from "../rules/resolve.ts";
import { advance, endedRun } from "./container.ts";
import type { ContainerKind } from "../../../../common/node/restart.ts";
import type { ContainerOutcome } from "./container.ts";
import { restartCondition } from "../../../../common/node/restart-all.ts";
import { beginAnew, killAll, restartAllAt } from "./restart-all.ts";

export interface PodInput {
  pod: Pod;
  behaviour: Behaviour;
  addresses: { pod: string; host: string };
  now: number;
  /** Kept from look to look for as long as the Pod is there. */
  moments: Map<string, number>;
  /** 0 ≤ chance < 1 for a question about this Pod. */
  chance(question: string): number;
}

export type PodDecision =
  | { kind: "nothing" }
  /** Nothing of it runs any more: the last status, and then it goes. */
  | { kind: "remove"; status: PodStatus | undefined }
  /** `again`: milliseconds until it changes by itself. */
  | { kind: "run"; status: PodStatus; again: number | undefined };

const NEVER = Infinity;
/** SIGTERM ended it. */
const TERMINATED = 143;

const isOver = ({ status }: Pod): boolean => status?.phase === "Succeeded" || status?.phase === "Failed";

export function decidePod(input: PodInput): PodDecision {
  const { pod, now, moments } = input;
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = pod.metadata;
  if (deletionTimestamp === undefined && isOver(pod)) return { kind: "nothing" };
  if (deletionTimestamp === undefined) return running(input);
  // Removed already, as far as the node goes: finalizers keep it.
  if (isOver(pod) && deletionGracePeriodSeconds === 0) return { kind: "nothing" };
  if (isOver(pod)) return { kind: "remove", status: undefined };
  const told = Date.parse(deletionTimestamp) - deletionGracePeriodSeconds * 1000;
  const began = moments.get("deleted") ?? Math.max(told, Math.min(now, told + 1000));
  moments.set("deleted", began);
  const takes = drawDelay(input.behaviour.terminate, () => input.chance("terminate"));
  const ends = began + Math.min(takes, deletionGracePeriodSeconds * 1000);
  if (ends > now) {
    const decided = running(input);
    if (decided.kind !== "run") return decided;
    return { ...decided, again: Math.min(decided.again ?? NEVER, ends - now) };
  }
  return { kind: "remove", status: ended(input, now, undefined) };
}

function running(given: PodInput): PodDecision {
  const { now, moments, behaviour, chance } = given;
  let input = given;
  const again = restartAllAt(given.pod, previousOf(given.pod), behaviour.restart, moments);
  if (again !== undefined && given.pod.status) {
    if (now < again) return { kind: "run", status: given.pod.status, again: again - now };
    input = { ...given, pod: { ...given.pod, status: beginAnew(given.pod.status) } };
    moments.set("again", again);
  }
  const { pod } = input;
  const seen = moments.get("seen") ?? (pod.status?.startTime ? Date.parse(pod.status.startTime) : now);
  moments.set("seen", seen);
  const deadline = pod.spec?.activeDeadlineSeconds;
  const late = deadline === undefined ? NEVER : seen + deadline * 1000;
  if (now >= late)
    return {
      kind: "run",
      status: ended(input, seen, {
        phase: "Failed",
        reason: "DeadlineExceeded",
        message: "Pod was active on the node longer than the specified deadline",
      }),
      again: undefined,
    };
  const staged = stagesAt(input, seen);
  if (staged.end) return { kind: "run", status: ended(input, seen, staged.end, staged.conditions), again: undefined };
  const { statuses, initialized, failed, next } = containersOf(
    input,
    Math.max(seen + drawDelay(behaviour.start, () => chance("start")), moments.get("again") ?? lastEnd(pod)),
    seen,
  );
  const init = pod.spec?.initContainers ?? [];
  if (staged.ready !== undefined)
    for (const [name, status] of statuses)
      if (status.state?.running) statuses.set(name, { ...status, ready: staged.ready });
  const restarts = restartAllAt(pod, statuses, behaviour.restart, moments);
  if (restarts !== undefined) killAll(pod, statuses, now);
  const phase = restarts === undefined ? phaseOf(pod, statuses, failed, initialized < init.length) : "Pending";
  const conditions = [...staged.conditions, ...restartCondition(pod, restarts !== undefined, phase)];
  const status = statusOf(input, seen, statuses, phase, initialized, conditions);
  if (restarts !== undefined) return { kind: "run", status, again: Math.max(1, restarts - now) };
  const until = Math.min(next, staged.next, late);
  const over = phase === "Succeeded" || phase === "Failed";
  return { kind: "run", status, again: over || until === NEVER ? undefined : Math.max(1, until - now) };
}

interface Containers {
  statuses: Map<string, ContainerStatus>;
  /** So many init containers have done their part. */
  initialized: number;
  /** An init container has failed for good. */
  failed: boolean;
  next: number;
}

/** In their order: each init container when the one before has passed, the others when all have. */
function containersOf(input: PodInput, start: number, seen: number): Containers {
  const { pod, now } = input;
  const previous = previousOf(pod);
  const statuses = new Map<string, ContainerStatus>();
  const leaving = pod.metadata.deletionTimestamp !== undefined;
  let next = NEVER;
  const look = (spec: Container, kind: ContainerKind, turn: number | undefined): ContainerOutcome => {
    const outcome = advance({
      spec,
      kind,
      turn,
      seen,
      now,
      // Of a Pod that is going, nothing is started again.
      podRestartPolicy: leaving ? "Never" : (pod.spec?.restartPolicy ?? "Always"),
      podText: `${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})`,
      behaviour: input.behaviour,
      previous: previous.get(spec.name),
      moments: input.moments,
      chance: (question) => input.chance(`${spec.name} ${question}`),
    });
    statuses.set(spec.name, outcome.status);
    next = Math.min(next, outcome.next);
    return outcome;
  };
  let turn: number | undefined = leaving ? NEVER : start;
  let initialized = 0;
  let failed = false;
  const init = pod.spec?.initContainers ?? [];
  // Once the others have run, a sidecar that fails holds nobody up.
  const begun = (pod.spec?.containers ?? []).some(({ name }) => {
    const status = previous.get(name);
    return Boolean(status?.state?.running ?? endedRun(status));
  });
  for (const spec of init) {
    const kind = spec.restartPolicy === "Always" ? "sidecar" : "init";
    const outcome = look(spec, kind, turn);
    if (begun) initialized = init.length;
    if (begun || turn === undefined) continue;
    if (outcome.passed) initialized += 1;
    else if (outcome.over && !outcome.passed) failed = true;
    turn = outcome.passed ? Math.max(turn, outcome.passedAt) : undefined;
  }
  let over = true;
  for (const spec of pod.spec?.containers ?? []) over = look(spec, "regular", turn).over && over;
  for (const spec of pod.spec?.ephemeralContainers ?? []) look(spec as Container, "ephemeral", turn);
  if (over || failed) {
    // Sidecars outlive the last of the others only for a moment.
    for (const { name } of init) stop(statuses, name, now, 0);
  }
  return { statuses, initialized, failed, next };
}

/** When all containers were ended to be started again, of those that have not been; 0: nothing of the kind. */
function lastEnd(pod: Pod): number {
  const ends = [...previousOf(pod).values()].map(({ state, lastState }) =>
    state?.waiting && state.waiting.reason !== "CrashLoopBackOff"
      ? Date.parse(lastState?.terminated?.finishedAt ?? "")
      : 0,
  );
  return Math.max(0, ...ends.filter((end) => !Number.isNaN(end)));
}

function previousOf({ status }: Pod): Map<string, ContainerStatus> {
  const { initContainerStatuses = [], containerStatuses = [], ephemeralContainerStatuses = [] } = status ?? {};
  return new Map(
    [...initContainerStatuses, ...containerStatuses, ...ephemeralContainerStatuses].map((one) => [one.name, one]),
  );
}

function stop(statuses: Map<string, ContainerStatus>, name: string, now: number, exitCode: number): void {
  const status = statuses.get(name);
  if (!status || status.state?.terminated) return;
  const { running } = status.state ?? {};
  // What never ran, or waits to run again, has nothing to end.
  const terminated = running
    ? {
        exitCode,
        reason: exitCode === 0 ? "Completed" : "Error",
        startedAt: running.startedAt ?? timestamp(now),
        finishedAt: timestamp(now),
        containerID: status.containerID ?? "",
      }
    : (status.lastState?.terminated ?? {
        exitCode: 137,
        reason: "ContainerStatusUnknown",
        message: "The container could not be located when the pod was terminated",
        startedAt: timestamp(now),
        finishedAt: timestamp(now),
      });
  statuses.set(name, { ...status, state: { terminated }, ready: false, started: false } as ContainerStatus);
}

/** The status of a Pod whose containers have all been ended. */
function ended(
  input: PodInput,
  seen: number,
  why: { phase: Phase; reason?: string | undefined; message?: string | undefined } | undefined,
  extra: readonly PodCondition[] = [],
): PodStatus {
  const { pod, now } = input;
  const { statuses, initialized } = containersOf(input, NEVER, seen);
  for (const name of statuses.keys()) stop(statuses, name, now, why?.phase === "Succeeded" ? 0 : TERMINATED);
  const status = statusOf(input, seen, statuses, why?.phase ?? finalPhase(pod, statuses), initialized, extra);
  return {
    ...status,
    ...(why?.reason ? { reason: why.reason } : {}),
    ...(why?.message ? { message: why.message } : {}),
  };
}

function statusOf(
  { pod, addresses, now }: PodInput,
  seen: number,
  statuses: Map<string, ContainerStatus>,
  phase: Phase,
  initialized: number,
  extra: readonly PodCondition[],
): PodStatus {
  const over = phase === "Succeeded" || phase === "Failed";
  const known = pod.status?.conditions ?? [];
  const byStage = extra.map((one) => withTime(one, known, now));
  const foreign = [...known.filter(({ type }) => !byStage.some((one) => one.type === type)), ...byStage];
  const own = conditionsOf({
    pod: { ...pod, status: { ...pod.status, conditions: foreign } } as Pod,
    previous: pod.status,
    statuses,
    phase,
    initialized,
    sandboxReady: !over,
    now,
  }).filter(({ type }) => !byStage.some((one) => one.type === type));
  const pick = (containers: readonly { name: string }[]): ContainerStatus[] =>
    containers.map(({ name }) => statuses.get(name) as ContainerStatus);
  const { initContainers = [], containers = [], ephemeralContainers = [] } = pod.spec ?? {};
  return {
    ...pod.status,
    ...(pod.metadata.generation ? { observedGeneration: pod.metadata.generation } : {}),
    phase,
    hostIP: addresses.host,
    hostIPs: [{ ip: addresses.host }],
    podIP: addresses.pod,
    podIPs: [{ ip: addresses.pod }],
    startTime: pod.status?.startTime ?? timestamp(seen),
    conditions: [...own, ...foreign.filter(({ type }) => !own.some((one) => one.type === type))],
    ...(initContainers.length > 0 ? { initContainerStatuses: pick(initContainers) } : {}),
    containerStatuses: pick(containers),
    ...(ephemeralContainers.length > 0 ? { ephemeralContainerStatuses: pick(ephemeralContainers) } : {}),
  } as PodStatus;
}

function withTime(condition: PodCondition, known: readonly PodCondition[], now: number): PodCondition {
  const old = known.find(({ type }) => type === condition.type);
  const lastTransitionTime = old?.status === condition.status ? old.lastTransitionTime : timestamp(now);
  return { ...condition, lastTransitionTime } as PodCondition;
}

/** What the stages that have come say together. */
function stagesAt({ behaviour, now, chance }: PodInput, seen: number) {
  let ready: boolean | undefined;
  let end: { phase: Phase; reason?: string | undefined; message?: string | undefined } | undefined;
  const conditions = new Map<string, PodCondition>();
  let next = NEVER;
  for (const [at, stage] of behaviour.stages.entries()) {
    if (chance(`stage ${at}`) >= stage.probability) continue;
    const comes = seen + drawDelay(stage.after, () => chance(`stage ${at} after`));
    if (comes > now) {
      next = Math.min(next, comes);
      continue;
    }
    ready = stage.ready ?? ready;
    for (const condition of stage.conditions ?? []) conditions.set(condition.type, condition as PodCondition);
    if (stage.phase) end ??= { phase: stage.phase, reason: stage.reason, message: stage.message };
  }
  return { ready, conditions: [...conditions.values()], end, next };
}
