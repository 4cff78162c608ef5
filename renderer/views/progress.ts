/** Figures of an operation: its steps by group, how far it is, how high the water stands. */
import type { Operation, Step } from "../../common/contract/index.ts";

export interface Group {
  title: string;
  steps: Step[];
}

export function groupSteps(steps: Step[]): Group[] {
  return [...Map.groupBy(steps, (step) => step.group)].map(([title, grouped]) => ({ title, steps: grouped }));
}

/** A step without a known duration counts as two seconds. */
const UNKNOWN_MS = 2000;

/** 0…1 by usual times. A running step counts by its own fraction, or by elapsed against usual time, never quite whole. */
export function progressOf(steps: Step[], now: number): number {
  let total = 0;
  let done = 0;
  for (const step of steps) {
    const weight = step.usualMillis ?? UNKNOWN_MS;
    total += weight;
    if (step.state === "done" || step.state === "skipped") done += weight;
    else if (step.state === "running") {
      const part = step.fraction ?? Math.min(0.9, (now - (step.startedAt ?? now)) / weight);
      done += weight * Math.max(0, Math.min(1, part));
    }
  }
  return total === 0 ? 0 : done / total;
}

/** Water rises while a cluster comes up and falls while it goes. */
export function waterLevel(kind: Operation["kind"], progress: number): number {
  return kind === "stop" || kind === "delete" ? 1 - progress : kind === "image" ? progress * 0.3 : progress;
}

/** "1.2 s", or "1.2 s of usually 0.5 s" once it takes noticeably longer than usual. */
export function isSlow(step: Step, now: number): boolean {
  return (
    step.state === "running" &&
    step.usualMillis !== undefined &&
    step.startedAt !== undefined &&
    now - step.startedAt > step.usualMillis * 1.5 + 1000
  );
}
