/**
 * Who leads, as a Lease says it, and what a candidate may do about it. The rules are those of client-go's leader
 * election: a record that nobody renewed for its duration, as the candidate's own watch measures it, is free.
 *
 *     renewed at ──2 s──► renewed at ──2 s──► (the leader is gone)
 *                                    ├──────────── 15 s ────────────► anybody may take it
 *                                    └──────── 10 s ───────► the leader itself gave up before
 */
import { microTimestamp } from "../../../common/kube/clock.ts";

/** spec of a Lease (coordination.k8s.io/v1), as far as leaders write it. */
export interface LeaseRecord {
  holderIdentity?: string;
  leaseDurationSeconds?: number;
  acquireTime?: string;
  renewTime?: string;
  leaseTransitions?: number;
}

/** Milliseconds. */
export interface Timing {
  /** How long others wait after the last renewal they saw. */
  leaseDuration: number;
  /** A leader that could not renew for so long stops leading. */
  renewDeadline: number;
  /** Between two tries. */
  retryPeriod: number;
}

/** Those of kube-controller-manager and kube-scheduler. */
export const STANDARD_TIMING: Timing = { leaseDuration: 15_000, renewDeadline: 10_000, retryPeriod: 2_000 };

export interface Candidate {
  identity: string;
  /** True: the holder was this replica before it was started again, and leads no more. */
  isFormerLife(holder: string): boolean;
  timing: Timing;
}

export type Step =
  /** Write this record: it is ours, still or from now on. */
  | { do: "hold"; record: LeaseRecord }
  /** Another leads. */
  | { do: "wait"; holder: string };

/** `unchangedMillis`: for how long the candidate, awake, has seen the record as it is. */
export function decideLeader(
  record: LeaseRecord | undefined,
  candidate: Candidate,
  unchangedMillis: number,
  nowMillis: number,
): Step {
  const time = microTimestamp(nowMillis);
  const mine = {
    holderIdentity: candidate.identity,
    leaseDurationSeconds: candidate.timing.leaseDuration / 1000,
    renewTime: time,
  };
  if (!record) return { do: "hold", record: { ...mine, acquireTime: time, leaseTransitions: 0 } };
  const holder = record.holderIdentity ?? "";
  if (holder === candidate.identity) return { do: "hold", record: { ...record, ...mine } };
  const free =
    holder === "" ||
    candidate.isFormerLife(holder) ||
    unchangedMillis >= (record.leaseDurationSeconds ?? candidate.timing.leaseDuration / 1000) * 1000;
  if (!free) return { do: "wait", holder };
  return {
    do: "hold",
    record: { ...record, ...mine, acquireTime: time, leaseTransitions: (record.leaseTransitions ?? 0) + 1 },
  };
}

/** What a leader leaves behind that stops in order: free for the next, at once. */
export function releasedRecord(record: LeaseRecord, nowMillis: number): LeaseRecord {
  const time = microTimestamp(nowMillis);
  return { ...record, holderIdentity: "", leaseDurationSeconds: 1, acquireTime: time, renewTime: time };
}
