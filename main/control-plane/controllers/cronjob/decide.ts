/** Whether a CronJob has to start a Job now, and which of its Jobs are history. */
import type { JobObject } from "../job/model.ts";
import { finished } from "../job/model.ts";
import type { Schedule } from "./schedule.ts";

export interface CronInput {
  schedule: Schedule;
  concurrencyPolicy: string;
  suspend: boolean;
  startingDeadlineSeconds: number | undefined;
  createdMillis: number;
  lastScheduleMillis: number | undefined;
  active: readonly JobObject[];
  nowMillis: number;
}

export interface CronPlan {
  /** Start a Job for this scheduled time. */
  start?: number;
  /** Jobs that make room for it (Replace). */
  replace: readonly JobObject[];
  events: { type: "Normal" | "Warning"; reason: string; message: string }[];
  /** When it is due next. */
  again: number | undefined;
}

const MANY_MISSED = 100;

export function decideCron(input: CronInput): CronPlan {
  const { schedule, nowMillis, startingDeadlineSeconds } = input;
  const plan: CronPlan = { replace: [], events: [], again: undefined };
  if (input.suspend) return plan;
  let earliest = input.lastScheduleMillis ?? input.createdMillis;
  if (startingDeadlineSeconds !== undefined)
    earliest = Math.max(earliest, nowMillis - Number(startingDeadlineSeconds) * 1000);
  // Only the last of the missed times counts.
  let due: number | undefined;
  let missed = 0;
  let time = schedule.next(earliest);
  for (; time !== undefined && time <= nowMillis; time = schedule.next(time)) {
    due = time;
    missed += 1;
    if (missed <= MANY_MISSED) continue;
    // Far behind: jump close to now instead of walking there.
    const period = (schedule.next(time) ?? time) - time;
    const near = schedule.next(nowMillis - 2 * period - 1);
    if (period > 0 && near !== undefined && near > time && near <= nowMillis) time = near - 1;
  }
  // Counted from the last time it was due: "@every 1h" does not begin anew whenever somebody looks.
  if (time !== undefined) plan.again = Math.max(1, time - nowMillis);
  if (missed > MANY_MISSED) {
    plan.events.push({
      type: "Warning",
      reason: "TooManyMissedTimes",
      message: "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew",
    });
  }
  if (due === undefined) return plan;
  if (input.active.length > 0 && input.concurrencyPolicy === "Forbid") {
    plan.events.push({
      type: "Normal",
      reason: "JobAlreadyActive",
      message: "Not starting job because prior execution is running and concurrency policy is Forbid",
    });
    return plan;
  }
  if (input.concurrencyPolicy === "Replace") plan.replace = input.active;
  plan.start = due;
  return plan;
}

/** Finished Jobs beyond the limits, oldest first. */
export function decideHistory(jobs: readonly JobObject[], successful: number, failed: number): JobObject[] {
  const of = (type: string, limit: number): JobObject[] => {
    const ended = jobs
      .filter((job) => finished(job)?.type === type)
      .toSorted((a, b) => ((a.status?.startTime ?? "") < (b.status?.startTime ?? "") ? -1 : 1));
    return ended.slice(0, Math.max(0, ended.length - limit));
  };
  return [...of("Complete", successful), ...of("Failed", failed)];
}
