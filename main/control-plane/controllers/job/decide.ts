/**
 * The next step of a Job. Each ended Pod is counted exactly once: it is first named in the status as uncounted
 * (one that has completed an index: by that index), then loses the finalizer that keeps it, and only when that is seen
 * the counter rises.
 *
 *     ended ──► in uncountedTerminatedPods ──► finalizer removed ──► succeeded or failed + 1
 */
import { timestamp } from "../../../../common/kube/clock.ts";
import type { Pod } from "../../../../common/kube/types.ts";
import { BURST, isReady, isTerminated } from "../kernel/pods.ts";
import type { Condition } from "../kernel/pods.ts";
import { deletionOrder } from "../replicaset/deletion-order.ts";
import { describeFailure, ruleFor } from "./failure-policy.ts";
import { Indexes } from "./indexes.ts";
import { TRACKING, failuresBefore, finished, indexOf, indexesOf, isIndexed } from "./model.ts";
import type { JobObject, JobStatus } from "./model.ts";

export interface JobPlan {
  status: JobStatus;
  /** Pods that lose the finalizer once the status is written. */
  release: Pod[];
  /** Pods to make, by index for Indexed Jobs. */
  create: (number | undefined)[];
  /** Pods that go with the Job's end: they count as failed. */
  remove: Pod[];
  /** Pods the Job has no use for now: released before they are deleted, so that they never count. */
  drop: Pod[];
  /** How often each index has failed, where that is limited. */
  failures: ReadonlyMap<number, number>;
  /** Look again after so many milliseconds: a deadline, or the end of a back-off. */
  again: number | undefined;
  events: { type: "Normal" | "Warning"; reason: string; message: string }[];
}

const FIRST_BACKOFF_MILLIS = 10_000;
const LONGEST_BACKOFF_MILLIS = 600_000;

interface Verdict {
  type: "Complete" | "Failed";
  reason: string;
  message: string;
}

/** `pods` are the Job's own. */
export function decideJob(job: JobObject, pods: readonly Pod[], nowMillis: number): JobPlan {
  const { spec } = job;
  const before = job.status ?? {};
  const time = timestamp(nowMillis);
  const plan: JobPlan = {
    status: { ...before },
    release: [],
    create: [],
    remove: [],
    drop: [],
    failures: spec.backoffLimitPerIndex === undefined ? new Map() : failuresPerIndex(job, pods),
    again: undefined,
    events: [],
  };
  const status = plan.status;
  if (finished(job)) {
    plan.release.push(...pods.filter(isTracked));
    return plan;
  }
  const suspended = spec.suspend === true;
  if (!suspended) status.startTime ??= time;

  const ended = count(job, pods, plan);
  const living = pods.filter((pod) => !isTerminated(pod));
  const active = living.filter((pod) => pod.metadata.deletionTimestamp === undefined);
  const succeeded = (status.succeeded ?? 0) + (status.uncountedTerminatedPods?.succeeded?.length ?? 0);
  const failed = (status.failed ?? 0) + (status.uncountedTerminatedPods?.failed?.length ?? 0);
  Object.assign(status, {
    active: active.length,
    ready: active.filter(isReady).length,
    terminating: living.length - active.length,
  });

  const verdict = pendingVerdict(before) ?? judge(job, { active, ended, succeeded, failed, status, nowMillis });
  const conditions = (before.conditions ?? []).filter(({ type }) => type !== "Suspended");
  if (verdict) {
    plan.remove.push(...active);
    conditions.unshift(...(before.conditions ?? []).filter(({ type }) => type === "Suspended"));
    const announced = verdict.type === "Complete" ? "SuccessCriteriaMet" : "FailureTarget";
    if (!conditions.some(({ type }) => type === announced)) conditions.push(condition(announced, verdict, time));
    const open =
      (status.uncountedTerminatedPods?.succeeded?.length ?? 0) + (status.uncountedTerminatedPods?.failed?.length ?? 0);
    if (living.length === 0 && open === 0) {
      conditions.push(condition(verdict.type, verdict, time));
      if (verdict.type === "Complete") {
        status.completionTime = time;
        plan.events.push({ type: "Normal", reason: "Completed", message: "Job completed" });
      } else plan.events.push({ type: "Warning", reason: verdict.reason, message: verdict.message });
    }
  } else if (suspended) {
    const old = before.conditions?.find(({ type }) => type === "Suspended");
    conditions.push(
      old?.status === "True"
        ? old
        : ({
            type: "Suspended",
            status: "True",
            lastProbeTime: time,
            lastTransitionTime: time,
            reason: "JobSuspended",
            message: "Job suspended",
          } as Condition),
    );
    if (old?.status !== "True") plan.events.push({ type: "Normal", reason: "Suspended", message: "Job suspended" });
    delete status.startTime;
    plan.drop.push(...active);
  } else {
    const old = before.conditions?.find(({ type }) => type === "Suspended");
    if (old?.status === "True") {
      plan.events.push({ type: "Normal", reason: "Resumed", message: "Job resumed" });
      conditions.push({
        ...old,
        status: "False",
        reason: "JobResumed",
        message: "Job resumed",
        lastTransitionTime: time,
      });
      status.startTime = time;
    } else if (old) conditions.push(old);
    staff(job, { active, living, succeeded, failed, status, ended, nowMillis }, plan);
  }
  // The last Pod of an index that failed says how often: it stays until the next one says so.
  if (!verdict && !suspended && spec.backoffLimitPerIndex !== undefined) {
    const over = overIndexes(job, status);
    plan.release = plan.release.filter((pod) => !isTally(pod, pods, over));
  }
  if (conditions.length > 0) status.conditions = conditions;
  else delete status.conditions;
  const deadline = spec.activeDeadlineSeconds;
  if (!verdict && !suspended && deadline !== undefined && status.startTime !== undefined) {
    wake(plan, Date.parse(status.startTime) + Number(deadline) * 1000 - nowMillis);
  }
  return plan;
}

const isTracked = (pod: Pod): boolean => pod.metadata.finalizers?.includes(TRACKING) ?? false;

/** On its way out and counted, or never to be: what becomes of it is no failure any more. */
const isGivenUp = (pod: Pod): boolean => pod.metadata.deletionTimestamp !== undefined && !isTracked(pod);

function wake(plan: JobPlan, milliseconds: number): void {
  plan.again = Math.max(1, Math.min(plan.again ?? Number.POSITIVE_INFINITY, milliseconds));
}

interface Ended {
  succeeded: Pod[];
  failed: Pod[];
  /** Set when a rule of the failure policy fails the whole Job. */
  fatal: string | undefined;
}

/** Moves ended Pods along their way to being counted; changes the plan's status and releases. */
function count(job: JobObject, pods: readonly Pod[], plan: JobPlan): Ended {
  const status = plan.status;
  const byUid = new Map(pods.map((pod) => [pod.metadata.uid ?? "", pod]));
  const uncounted = status.uncountedTerminatedPods ?? {};
  const open = { succeeded: [] as string[], failed: [] as string[] };
  for (const kind of ["succeeded", "failed"] as const) {
    if (kind === "succeeded" && isIndexed(job)) continue;
    for (const uid of uncounted[kind] ?? []) {
      const pod = byUid.get(uid);
      if (pod && isTracked(pod)) open[kind].push(uid);
      else status[kind] = (status[kind] ?? 0) + 1;
    }
  }
  const known = new Set([...(uncounted.succeeded ?? []), ...(uncounted.failed ?? [])]);
  const completed = indexesOf(job, status.completedIndexes);
  const failedIndexes = indexesOf(job, status.failedIndexes);
  const result: Ended = { succeeded: [], failed: [], fatal: undefined };
  for (const pod of pods) {
    const uid = pod.metadata.uid ?? "";
    const { phase } = pod.status ?? {};
    // Asked to go and not replaced until it has ended: with the usual policy it counts as failed right away.
    const leaving = pod.metadata.deletionTimestamp !== undefined && !waitsForEnd(job) && !isTerminated(pod);
    if (phase === "Succeeded") result.succeeded.push(pod);
    else if (isGivenUp(pod)) continue;
    else if (phase === "Failed") result.failed.push(pod);
    else if (!leaving) continue;
    if (!isTracked(pod)) continue;
    plan.release.push(pod);
    if (known.has(uid)) continue;
    const index = indexOf(pod);
    if (isIndexed(job) && (index === undefined || index >= (job.spec.completions ?? 0))) continue;
    if (phase === "Succeeded") {
      // An index counts once whoever reports it: its Pods need not be remembered by uid.
      if (isIndexed(job)) completed.add(index as number);
      else open.succeeded.push(uid);
      continue;
    }
    const rule = phase === "Failed" ? ruleFor(job.spec.podFailurePolicy?.rules ?? [], pod) : undefined;
    if (rule?.action === "Ignore") continue;
    if (rule?.action === "FailJob")
      result.fatal ??= describeFailure(pod, rule, (job.spec.podFailurePolicy?.rules ?? []).indexOf(rule));
    if (rule?.action === "FailIndex" && index !== undefined) failedIndexes.add(index);
    open.failed.push(uid);
  }
  if (isIndexed(job)) {
    const limit = job.spec.backoffLimitPerIndex;
    if (limit !== undefined) {
      for (const [index, failures] of plan.failures)
        if (failures > limit && !completed.has(index)) failedIndexes.add(index);
      status.failedIndexes = String(failedIndexes);
    }
    status.completedIndexes = String(completed);
    if (status.completedIndexes === "") delete status.completedIndexes;
    if (completed.size > 0) status.succeeded = completed.size;
    else delete status.succeeded;
  }
  status.uncountedTerminatedPods = {
    ...(open.succeeded.length > 0 ? { succeeded: open.succeeded } : {}),
    ...(open.failed.length > 0 ? { failed: open.failed } : {}),
  };
  return result;
}

function failuresPerIndex(job: JobObject, pods: readonly Pod[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const pod of pods) {
    const index = indexOf(pod);
    if (index === undefined) continue;
    const failed = hasFailed(job, pod) && ruleFor(job.spec.podFailurePolicy?.rules ?? [], pod)?.action !== "Ignore";
    counts.set(index, Math.max(counts.get(index) ?? 0, failuresBefore(pod) + (failed ? 1 : 0)));
  }
  return counts;
}

/** Whether a Pod that was asked to go counts, and is replaced, only when it has ended: a failure policy must see its end. */
function waitsForEnd({ spec }: JobObject): boolean {
  return spec.podReplacementPolicy === "Failed" || spec.podFailurePolicy !== undefined;
}

function hasFailed(job: JobObject, pod: Pod): boolean {
  if (isGivenUp(pod)) return false;
  if (pod.status?.phase === "Failed") return true;
  return pod.metadata.deletionTimestamp !== undefined && !waitsForEnd(job) && !isTerminated(pod);
}

/** Indexes for which no Pod is made any more: completed or given up. */
function overIndexes(job: JobObject, { completedIndexes, failedIndexes }: JobStatus): Indexes {
  return indexesOf(job, completedIndexes).with(indexesOf(job, failedIndexes));
}

function isTally(pod: Pod, pods: readonly Pod[], over: Indexes): boolean {
  const index = indexOf(pod);
  if (index === undefined || pod.status?.phase === "Succeeded" || over.has(index)) return false;
  return !pods.some((other) => indexOf(other) === index && failuresBefore(other) > failuresBefore(pod));
}

/** A decision that was announced and waits for the last Pods to end. */
function pendingVerdict(status: JobStatus): Verdict | undefined {
  const announced = status.conditions?.find(
    ({ type, status: is }) => (type === "SuccessCriteriaMet" || type === "FailureTarget") && is === "True",
  );
  if (!announced) return undefined;
  return {
    type: announced.type === "FailureTarget" ? "Failed" : "Complete",
    reason: announced.reason ?? "",
    message: announced.message ?? "",
  };
}

interface World {
  active: readonly Pod[];
  ended: Ended;
  succeeded: number;
  failed: number;
  status: JobStatus;
  nowMillis: number;
}

function judge(job: JobObject, { active, ended, succeeded, failed, status, nowMillis }: World): Verdict | undefined {
  const { spec } = job;
  const fail = (reason: string, message: string): Verdict => ({ type: "Failed", reason, message });
  if (ended.fatal !== undefined) return fail("PodFailurePolicy", ended.fatal);
  const limit = spec.backoffLimit ?? (spec.backoffLimitPerIndex === undefined ? 6 : Number.MAX_SAFE_INTEGER);
  const onFailure = (spec.template.spec as { restartPolicy?: string } | undefined)?.restartPolicy === "OnFailure";
  const restarts = onFailure ? active.reduce((sum, pod) => sum + restartsOf(pod), 0) : 0;
  if (failed > limit || (onFailure && restarts > 0 && restarts >= limit))
    return fail("BackoffLimitExceeded", "Job has reached the specified backoff limit");
  if (
    spec.activeDeadlineSeconds !== undefined &&
    !spec.suspend &&
    status.startTime !== undefined &&
    Date.parse(status.startTime) + Number(spec.activeDeadlineSeconds) * 1000 <= nowMillis
  ) {
    return fail("DeadlineExceeded", "Job was active longer than specified deadline");
  }
  if (isIndexed(job)) {
    const completed = indexesOf(job, status.completedIndexes);
    const failedIndexes = indexesOf(job, status.failedIndexes);
    if (spec.maxFailedIndexes !== undefined && failedIndexes.size > spec.maxFailedIndexes) {
      return fail("MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes");
    }
    for (const [at, rule] of (spec.successPolicy?.rules ?? []).entries()) {
      const wanted = rule.succeededIndexes === undefined ? completed : Indexes.parse(rule.succeededIndexes);
      const met = wanted.common(completed);
      if (met >= (rule.succeededCount ?? wanted.size) && met > 0)
        return { type: "Complete", reason: "SuccessPolicy", message: `Matched rules at index ${at}` };
    }
    if (completed.size + failedIndexes.size >= (spec.completions ?? 1) && failedIndexes.size > 0)
      return fail("FailedIndexes", "Job has failed indexes");
  }
  const reached = {
    type: "Complete" as const,
    reason: "CompletionsReached",
    message: "Reached expected number of succeeded pods",
  };
  if (spec.completions === undefined) return succeeded > 0 && active.length === 0 ? reached : undefined;
  const done = isIndexed(job) ? indexesOf(job, status.completedIndexes).size : succeeded;
  return done >= spec.completions ? reached : undefined;
}

function restartsOf(pod: Pod): number {
  return [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])].reduce(
    (sum, { restartCount = 0 }) => sum + restartCount,
    0,
  );
}

/** Pods of an Indexed Job whose index it no longer has, or that another of them has too (the oldest keeps it). */
function strayPods(job: JobObject, active: readonly Pod[]): Pod[] {
  const seen = new Set<number>();
  const age = ({ metadata }: Pod): number => Date.parse(metadata.creationTimestamp ?? "");
  return active
    .toSorted((a, b) => age(a) - age(b))
    .filter((pod) => {
      const index = indexOf(pod) ?? Number.POSITIVE_INFINITY;
      if (index >= (job.spec.completions ?? 0) || seen.has(index)) return true;
      seen.add(index);
      return false;
    });
}

/** Makes missing Pods, after a wait that grows with failures, and gives up those too many. */
function staff(job: JobObject, world: World & { living: readonly Pod[] }, plan: JobPlan): void {
  const { active, living, succeeded, status, nowMillis } = world;
  const { spec } = job;
  const parallelism = spec.parallelism ?? 1;
  const over = overIndexes(job, status);
  const done = isIndexed(job) ? over.size : succeeded;
  let wanted = parallelism;
  if (spec.completions !== undefined) wanted = Math.min(parallelism, Math.max(0, spec.completions - done));
  else if (succeeded > 0) wanted = active.length;
  const astray = isIndexed(job) ? strayPods(job, active) : [];
  if (active.length > wanted || astray.length > 0) {
    const others = active.filter((pod) => !astray.includes(pod));
    const more = Math.max(0, others.length - wanted);
    plan.drop.push(...astray, ...deletionOrder(others, others, nowMillis).slice(0, more));
    return;
  }
  const present = waitsForEnd(job) ? living : active;
  const missing = Math.min(BURST, Math.max(0, wanted - present.length));
  if (missing === 0) return;
  const perIndex = spec.backoffLimitPerIndex !== undefined;
  const wait = perIndex ? 0 : backoffLeft(world.ended.failed, nowMillis, world.ended.succeeded);
  if (wait > 0) return wake(plan, wait);
  if (!isIndexed(job)) {
    plan.create.push(...Array.from({ length: missing }, () => undefined));
    return;
  }
  const taken = new Set(present.map(indexOf));
  for (const index of over.missing(spec.completions ?? 0)) {
    if (plan.create.length >= missing) break;
    if (taken.has(index)) continue;
    // Each index has waits of its own.
    const failed = perIndex ? world.ended.failed.filter((pod) => indexOf(pod) === index) : [];
    const left = perIndex ? backoffLeft(failed, nowMillis, [], plan.failures.get(index)) : 0;
    if (left > 0) wake(plan, left);
    else plan.create.push(index);
  }
}

/** 10 s after the first failure since the last success, doubling with each further one, counted from the last. */
export function backoffLeft(
  failed: readonly Pod[],
  nowMillis: number,
  succeeded: readonly Pod[] = [],
  failures?: number,
): number {
  const since = Math.max(Number.NEGATIVE_INFINITY, ...succeeded.map(endOf).filter((time) => !Number.isNaN(time)));
  const ends = failed.map(endOf).filter((time) => time > since);
  if (ends.length === 0) return 0;
  const count = failures ?? ends.length;
  const wait = Math.min(LONGEST_BACKOFF_MILLIS, FIRST_BACKOFF_MILLIS * 2 ** Math.min(Math.max(0, count - 1), 10));
  return Math.max(...ends) + wait - nowMillis;
}

function endOf(pod: Pod): number {
  const ends = (pod.status?.containerStatuses ?? [])
    .map(({ state }) => Date.parse(String(state?.terminated?.finishedAt ?? "")))
    .filter((time) => !Number.isNaN(time));
  return ends.length > 0
    ? Math.max(...ends)
    : Date.parse(pod.metadata.deletionTimestamp ?? pod.metadata.creationTimestamp ?? "");
}

function condition(type: string, { reason, message }: Verdict, time: string): Condition {
  return { type, status: "True", lastProbeTime: time, lastTransitionTime: time, reason, message } as Condition;
}
