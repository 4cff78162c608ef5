/** What a Deployment says of itself: counts and the conditions Available, Progressing and ReplicaFailure, which kubectl rollout status reads. */
import { timestamp } from "../../../../common/kube/clock.ts";
import type { Condition } from "../kernel/pods.ts";
import { available, boundsOf, deadlineSeconds, size, sum } from "./model.ts";
import type { DeploymentObject, DeploymentStatus, ReplicaSetObject } from "./model.ts";

export interface StatusInput {
  deployment: DeploymentObject;
  newSet: ReplicaSetObject | undefined;
  oldSets: readonly ReplicaSetObject[];
  /** Set when the new ReplicaSet was made, or could not be, in this turn. */
  event?: { reason: "NewReplicaSetCreated" | "FailedCreate" | "ReplicaSetCreateError"; message: string };
  /** Paused or scaling: the rollout's progress is not judged. */
  standing: boolean;
  collisionCount: number | undefined;
  nowMillis: number;
}

const AVAILABLE = "NewReplicaSetAvailable";
const TIMED_OUT = "ProgressDeadlineExceeded";

export function decideStatus(input: StatusInput): DeploymentStatus {
  const { deployment, newSet, oldSets, nowMillis } = input;
  const all = newSet ? [...oldSets, newSet] : [...oldSets];
  const replicas = sum(all, (set) => set.status?.replicas ?? 0);
  const ready = sum(all, (set) => set.status?.readyReplicas ?? 0);
  const availableReplicas = sum(all, available);
  const status: DeploymentStatus = {
    observedGeneration: deployment.metadata.generation ?? 0,
    ...some("replicas", replicas),
    ...some("updatedReplicas", newSet?.status?.replicas ?? 0),
    ...some("readyReplicas", ready),
    ...some("availableReplicas", availableReplicas),
    // Unavailable counts against what should be, not against what happens to be there.
    ...some("unavailableReplicas", Math.max(0, sum(all, size) - availableReplicas)),
    terminatingReplicas: sum(all, (set) => set.status?.terminatingReplicas ?? 0),
    ...(input.collisionCount ? { collisionCount: input.collisionCount } : {}),
  };
  const set = conditions(deployment.status?.conditions ?? [], nowMillis);
  if (availableReplicas >= size(deployment) - boundsOf(deployment).unavailable) {
    set.put("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.");
  } else {
    set.put("Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.");
  }
  progress(input, status, set);
  if (!input.standing) {
    const failure = [...(newSet ? [newSet] : []), ...oldSets]
      .flatMap(({ status: of }) => of?.conditions ?? [])
      .find(({ type }) => type === "ReplicaFailure");
    if (failure) set.put("ReplicaFailure", failure.status, failure.reason ?? "", failure.message ?? "");
    else set.remove("ReplicaFailure");
  }
  return { ...status, ...(set.list().length > 0 ? { conditions: set.list() } : {}) };
}

function progress(input: StatusInput, status: DeploymentStatus, set: ReturnType<typeof conditions>): void {
  const { deployment, newSet, event, standing, nowMillis } = input;
  if (deadlineSeconds(deployment) === undefined) return set.remove("Progressing");
  const current = set.find("Progressing");
  if (deployment.spec.paused && current?.reason !== "DeploymentPaused" && current?.reason !== TIMED_OUT) {
    return set.put("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused");
  }
  if (!deployment.spec.paused && current?.reason === "DeploymentPaused") {
    return set.put("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed");
  }
  if (event)
    return set.put(
      "Progressing",
      event.reason === "NewReplicaSetCreated" ? "True" : "False",
      event.reason,
      event.message,
    );
  if (standing) return undefined;
  if (newSet && !current)
    return set.put("Progressing", "True", "FoundNewReplicaSet", `Found new replica set "${newSet.metadata.name}"`);
  // Complete before and still so: later failures of Pods are no lack of progress.
  if ((status.replicas ?? 0) === (status.updatedReplicas ?? 0) && current?.reason === AVAILABLE) return undefined;
  const what = newSet ? `ReplicaSet "${newSet.metadata.name}"` : `Deployment "${deployment.metadata.name}"`;
  if (isComplete(deployment, status))
    return set.put("Progressing", "True", AVAILABLE, `${what} has successfully progressed.`);
  if (hasProgressed(deployment.status ?? {}, status))
    return set.touch("Progressing", "True", "ReplicaSetUpdated", `${what} is progressing.`);
  if (isTimedOut(deployment, current, nowMillis))
    return set.put("Progressing", "False", TIMED_OUT, `${what} has timed out progressing.`);
  return undefined;
}

/** Every wanted Pod is of the newest template and available, no other is left, and the spec was seen. */
export function isComplete(deployment: DeploymentObject, status: DeploymentStatus): boolean {
  const wanted = size(deployment);
  return (
    (status.updatedReplicas ?? 0) === wanted &&
    (status.replicas ?? 0) === wanted &&
    (status.availableReplicas ?? 0) === wanted &&
    (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  );
}

function hasProgressed(old: DeploymentStatus, next: DeploymentStatus): boolean {
  const updated = (status: DeploymentStatus): number => status.updatedReplicas ?? 0;
  const outdated = (status: DeploymentStatus): number => (status.replicas ?? 0) - updated(status);
  return (
    updated(next) > updated(old) ||
    outdated(next) < outdated(old) ||
    (next.readyReplicas ?? 0) > (old.readyReplicas ?? 0) ||
    (next.availableReplicas ?? 0) > (old.availableReplicas ?? 0)
  );
}

function isTimedOut(deployment: DeploymentObject, condition: Condition | undefined, nowMillis: number): boolean {
  if (!condition || condition.reason === AVAILABLE) return false;
  if (condition.reason === TIMED_OUT) return true;
  return Date.parse(condition.lastUpdateTime ?? "") + (deadlineSeconds(deployment) ?? 0) * 1000 < nowMillis;
}

/** Milliseconds after which a rollout that stands still has to be judged again. */
export function untilDeadline(
  deployment: DeploymentObject,
  status: DeploymentStatus,
  nowMillis: number,
): number | undefined {
  const seconds = deadlineSeconds(deployment);
  const condition = status.conditions?.find(({ type }) => type === "Progressing");
  if (
    seconds === undefined ||
    deployment.spec.paused ||
    !condition ||
    condition.reason === TIMED_OUT ||
    isComplete(deployment, status)
  )
    return undefined;
  if (condition.reason === AVAILABLE) return undefined;
  return Math.max(0, Date.parse(condition.lastUpdateTime ?? "") + seconds * 1000 - nowMillis) + 1000;
}

function some<K extends string>(name: K, value: number): Partial<Record<K, number>> {
  return value === 0 ? {} : ({ [name]: value } as Partial<Record<K, number>>);
}

/** A list of conditions under change: the transition time moves with the status only. */
function conditions(before: readonly Condition[], nowMillis: number) {
  let now = [...before];
  const time = timestamp(nowMillis);
  const find = (type: string): Condition | undefined => now.find((condition) => condition.type === type);
  const write = (type: string, status: string, reason: string, message: string): void => {
    const old = find(type);
    const lastTransitionTime = old?.status === status ? (old.lastTransitionTime ?? time) : time;
    now = [
      ...now.filter((condition) => condition.type !== type),
      { type, status, lastUpdateTime: time, lastTransitionTime, reason, message },
    ];
  };
  return {
    find,
    list: () => now,
    remove: (type: string): void => {
      now = now.filter((condition) => condition.type !== type);
    },
    /** Leaves the condition alone when status and reason are as they were. */
    put: (type: string, status: string, reason: string, message: string): void => {
      const old = find(type);
      if (old?.status !== status || old.reason !== reason) write(type, status, reason, message);
    },
    /** Renews its update time in any case. */
    touch: write,
  };
}
