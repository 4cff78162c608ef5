/** Jobs and their Pods as their controller sees them. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { LabelSelectorObject } from "../../../../common/kube/selector.ts";
import type { Pod } from "../../../../common/kube/types.ts";
import type { Condition, PodTemplate } from "../kernel/pods.ts";
import { Indexes } from "./indexes.ts";

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

/** Those of a Job's status that it still has: an elastic one may have been made smaller. */
export function indexesOf({ spec }: JobObject, text: string | undefined): Indexes {
  return Indexes.parse(text, spec.completions ?? 0);
}

export function finished(job: JobObject): Condition | undefined {
  return job.status?.conditions?.find(
    ({ type, status }) => (type === "Complete" || type === "Failed") && status === "True",
  );
}
