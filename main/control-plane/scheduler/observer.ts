/** Who is told how attempts to schedule ended. */
export interface SchedulerObserver {
  /** `result`: "scheduled", "unschedulable" or "error"; the time in seconds. */
  attempted(result: "scheduled" | "unschedulable" | "error", profile: string, seconds: number): void;
  /** A Pod has its node: after so many attempts, and so many seconds since it came. */
  bound?(attempts: number, seconds: number): void;
}
