/**
 * In which order a node's Pods end when the machine is shut down, as the kubelet's graceful node shutdown does it: regular
 * Pods first, then those the cluster stands on, each within a part of the time there is. Pure.
 */
import type { Pod } from "../../../common/kube/types.ts";
import { podUid } from "./pod.ts";

/** Pods of `system-cluster-critical` and above. */
const CRITICAL_PRIORITY = 2_000_000_000;
/** Of the time there is, for the critical Pods; as much at most. */
const CRITICAL_SHARE = 1 / 3;
const CRITICAL_SECONDS = 10;
const USUAL_GRACE = 30;

/** As Kubernetes' own say it: clients and controllers know the words. */
export const SHUTDOWN_REASON = "Terminated";
export const SHUTDOWN_MESSAGE = "Pod was terminated in response to imminent node shutdown.";

export interface ShutdownPhase {
  /** The most that any of its Pods gets, and when the next phase begins at the latest. */
  seconds: number;
  /** By uid: its own grace period, within the phase's. */
  pods: Map<string, number>;
}

export function shutdownPhases(pods: readonly Pod[], graceSeconds: number): ShutdownPhase[] {
  const critical = pods.filter(isCritical);
  const regular = pods.filter((pod) => !isCritical(pod));
  const last = critical.length > 0 ? Math.min(CRITICAL_SECONDS, graceSeconds * CRITICAL_SHARE) : 0;
  return [phase(regular, graceSeconds - last), phase(critical, last)].filter(({ pods: some }) => some.size > 0);
}

function phase(pods: readonly Pod[], seconds: number): ShutdownPhase {
  const grace = (pod: Pod): number => Math.min(pod.spec?.terminationGracePeriodSeconds ?? USUAL_GRACE, seconds);
  return { seconds, pods: new Map(pods.map((pod) => [podUid(pod), grace(pod)])) };
}

function isCritical({ spec }: Pod): boolean {
  return (spec?.priority ?? 0) >= CRITICAL_PRIORITY;
}
