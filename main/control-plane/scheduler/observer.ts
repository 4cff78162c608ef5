/** Who is told how attempts to schedule ended. */
export interface SchedulerObserver {
  /** `result`: "scheduled", "unschedulable" or "error"; the time in seconds. */
  attempted(result: "scheduled" | "unschedulable" | "error", profile: string, seconds: number): void;
}
