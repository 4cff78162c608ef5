/** Jobs. */
import type { IJob } from "kubernetes-models/batch/v1/Job";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { dnsLabelProblems } from "../../../../common/kube/names.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import type { RequestContext, ResourceDefinition } from "../definition.ts";
import { define, shows, showsAge, statusSubresource, table, withStatus } from "../define.ts";
import { humanDuration } from "../duration.ts";
import { podWarnings } from "../core/pod/warnings.ts";
import type { PodTemplate } from "../validation/pod/spec.ts";
import { validatePodTemplate } from "../validation/pod/spec.ts";
import { Problems, same } from "../validation/problems.ts";
import { validateLabelSelector } from "../validation/selectors.ts";
import { templateColumns } from "../workload/columns.ts";
import { validateJobPolicies } from "./job-policies.ts";

export type Job = KubeObject & Pick<IJob, "spec" | "status">;
type Spec = NonNullable<IJob["spec"]>;
const specOf = (object: KubeObject): Spec => ((object as Job).spec ?? {}) as Spec;

const nameLabels = ["job-name", "batch.kubernetes.io/job-name"];
const uidLabels = ["controller-uid", "batch.kubernetes.io/controller-uid"];

/** The selector of a Job is its own UID, unless it was asked to leave it to the author. */
function ownSelector(object: KubeObject, _context: RequestContext): void {
  const job = object as Job;
  const spec = specOf(job);
  if (spec.manualSelector || !job.metadata.uid) return;
  const { name = "", uid } = job.metadata;
  const template = (spec.template ?? {}) as { metadata?: { labels?: Record<string, string> } };
  const labels = { ...template.metadata?.labels };
  for (const label of nameLabels) labels[label] = name;
  for (const label of uidLabels) labels[label] = uid;
  template.metadata = { ...template.metadata, labels };
  spec.template = template as Spec["template"];
  spec.selector ??= { matchLabels: { "batch.kubernetes.io/controller-uid": uid } };
}

/** `field` is where the spec stands: Jobs by themselves, and in CronJobs. */
export function validateJobSpec(spec: Spec, field: string): StatusCause[] {
  const problems = new Problems();
  for (const part of [
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
  ] as const) {
    problems.nonNegative(`${field}.${part}`, spec[part]);
  }
  const template = spec.template as PodTemplate | undefined;
  problems.add(validateLabelSelector(spec.selector, `${field}.selector`));
  problems.add(validatePodTemplate(template, `${field}.template`));
  const policy = template?.spec?.restartPolicy;
  if (policy !== "OnFailure" && policy !== "Never") {
    problems.required(`${field}.template.spec.restartPolicy`, 'valid values: "OnFailure", "Never"');
  }
  problems.add(validateJobPolicies(spec, field));
  if (spec.podFailurePolicy !== undefined && policy !== "Never") {
    problems.invalid(
      `${field}.template.spec.restartPolicy`,
      policy ?? "",
      'only "Never" is supported when podFailurePolicy is specified',
    );
  }
  return problems.causes;
}

function validateUpdate(object: KubeObject, old: KubeObject): StatusCause[] {
  const problems = new Problems();
  const spec = specOf(object);
  const before = specOf(old);
  problems.add(validateJobSpec(spec, "spec"));
  if (spec.completionMode !== "Indexed" || spec.completions !== spec.parallelism) {
    problems.immutable("spec.completions", spec.completions, before.completions);
  }
  problems.immutable("spec.selector", spec.selector, before.selector);
  // A suspended Job that never started may still get other scheduling directives.
  const startable = before.suspend === true && (old as Job).status?.startTime === undefined;
  if (!startable && !same(spec.template, before.template)) {
    problems.invalid("spec.template", spec.template, "field is immutable");
  }
  problems.immutable("spec.completionMode", spec.completionMode, before.completionMode);
  problems.immutable("spec.podFailurePolicy", spec.podFailurePolicy, before.podFailurePolicy);
  problems.immutable("spec.backoffLimitPerIndex", spec.backoffLimitPerIndex, before.backoffLimitPerIndex);
  problems.immutable("spec.managedBy", spec.managedBy, before.managedBy);
  problems.immutable("spec.successPolicy", spec.successPolicy, before.successPolicy);
  return problems.causes;
}

function completions(job: Job): string {
  const succeeded = job.status?.succeeded ?? 0;
  const { completions: wanted, parallelism = 0 } = specOf(job);
  if (wanted !== undefined) return `${succeeded}/${wanted}`;
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

function duration(job: Job, now: Date): string {
  const start = job.status?.startTime as string | undefined;
  if (!start) return "";
  const end = job.status?.completionTime as string | undefined;
  return humanDuration((end ? Date.parse(end) : now.getTime()) - Date.parse(start));
}

function jobStatus(job: Job): string {
  const holds = (type: string): boolean =>
    job.status?.conditions?.some((condition) => condition.type === type && condition.status === "True") ?? false;
  if (holds("Complete")) return "Complete";
  if (holds("Failed")) return "Failed";
  if (job.metadata.deletionTimestamp !== undefined) return "Terminating";
  if (holds("Suspended")) return "Suspended";
  if (holds("FailureTarget")) return "FailureTarget";
  if (holds("SuccessCriteriaMet")) return "SuccessCriteriaMet";
  return "Running";
}

export const job: ResourceDefinition = define({
  group: "batch",
  version: "v1",
  kind: "Job",
  resource: "jobs",
  categories: ["all"],
  hasGeneration: true,
  strategy: withStatus({
    prepareForCreate: ownSelector,
    validate(object) {
      const problems = new Problems();
      problems.add(validateJobSpec(specOf(object), "spec"));
      if (specOf(object).selector === undefined) problems.required("spec.selector");
      const { completionMode, completions: wanted = 0 } = specOf(object);
      // Pods of an Indexed Job are called by its name and their index: better refused here than at each of them.
      const last = `${object.metadata.name}-${wanted - 1}`;
      if (completionMode === "Indexed" && wanted > 0 && dnsLabelProblems(last).length > 0) {
        const detail = `will not able to create pod with invalid DNS label: ${last}`;
        problems.invalid("metadata.name", object.metadata.name, detail);
      }
      return problems.causes;
    },
    validateUpdate,
    warnings: (object) =>
      podWarnings((specOf(object).template?.spec ?? { containers: [] }) as { containers: [] }, "spec.template.spec"),
    defaultPropagation: "Orphan",
  }),
  table: table<Job>(
    shows("Status", "How far the Job is", jobStatus),
    shows("Completions", "Pods that succeeded, of those wanted", completions),
    shows("Duration", "How long it took or has been running", duration),
    showsAge,
    ...templateColumns<Job>(),
  ),
  selectableFields: { "status.successful": (object) => String((object as Job).status?.succeeded ?? 0) },
  subresources: [statusSubresource()],
});
