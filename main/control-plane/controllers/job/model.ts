/** Jobs as their controller sees them, and sets of completed indexes in the form the API shows: "0-3,5". */
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { LabelSelectorObject } from "../../../../common/kube/selector.ts";
import type { Pod } from "../../../../common/kube/types.ts";
import type { Condition, PodTemplate } from "../kernel/pods.ts";

export const TRACKING = "batch.kubernetes.io/job-tracking";
export const INDEX = "batch.kubernetes.io/job-completion-index";

/** On a Pod of an index that has failed before: how often. */
export const INDEX_FAILURES = "batch.kubernetes.io/job-index-failure-count";
/** Who works on a Job whose managedBy says nothing else. */
export const OURS = "kubernetes.io/job-controller";

export interface FailureRule {
  action: "FailJob" | "FailIndex" | "Ignore" | "Count";
  onExitCodes?: { containerName?: string; operator: "In" | "NotIn"; values: number[] };
  onPodConditions?: { type: string; status?: string }[];
}

export interface JobStatus {
  startTime?: string;
  completionTime?: string;
  active?: number;
  ready?: number;
  terminating?: number;
  succeeded?: number;
  failed?: number;
  completedIndexes?: string;
  failedIndexes?: string;
  uncountedTerminatedPods?: { succeeded?: string[]; failed?: string[] };
  conditions?: Condition[];
}

export type JobObject = KubeObject & {
  spec: {
    parallelism?: number;
    completions?: number;
    completionMode?: string;
    backoffLimit?: number;
    backoffLimitPerIndex?: number;
    maxFailedIndexes?: number;
    activeDeadlineSeconds?: number;
    ttlSecondsAfterFinished?: number;
    suspend?: boolean;
    podReplacementPolicy?: string;
    managedBy?: string;
    podFailurePolicy?: { rules: FailureRule[] };
    successPolicy?: { rules: { succeededIndexes?: string; succeededCount?: number }[] };
    selector?: LabelSelectorObject;
    template: PodTemplate;
  };
  status?: JobStatus;
};

export const isIndexed = (job: JobObject): boolean => job.spec.completionMode === "Indexed";

export function indexOf(pod: Pod): number | undefined {
  const text = pod.metadata.annotations?.[INDEX] ?? pod.metadata.labels?.[INDEX];
  return text === undefined || !/^\d+$/.test(text) ? undefined : Number(text);
}

/** How often its index had failed before this Pod was made. */
export function failuresBefore(pod: Pod): number {
  const count = Number(pod.metadata.annotations?.[INDEX_FAILURES] ?? "0");
  return Number.isSafeInteger(count) && count > 0 ? count : 0;
}

/** Ten times what the API lets an Indexed Job of any size come to; the rest of a status that somebody made up is left out. */
const MOST_INDEXES = 1_000_000;

export function parseIndexes(text: string | undefined): Set<number> {
  const indexes = new Set<number>();
  for (const part of (text ?? "").split(",").filter((one) => one !== "")) {
    const [first = 0, last = first] = part.split("-").map(Number);
    for (let index = first; index <= last && indexes.size < MOST_INDEXES; index += 1) indexes.add(index);
  }
  return indexes;
}

/** Runs of three and more are written with a hyphen, as Kubernetes does. */
export function formatIndexes(indexes: ReadonlySet<number>): string {
  const sorted = [...indexes].toSorted((a, b) => a - b);
  const parts: string[] = [];
  for (let at = 0; at < sorted.length;) {
    let end = at;
    while (sorted[end + 1] === (sorted[end] as number) + 1) end += 1;
    parts.push(end - at >= 2 ? `${sorted[at]}-${sorted[end]}` : sorted.slice(at, end + 1).join(","));
    at = end + 1;
  }
  return parts.join(",");
}

export function finished(job: JobObject): Condition | undefined {
  return job.status?.conditions?.find(
    ({ type, status }) => (type === "Complete" || type === "Failed") && status === "True",
  );
}
