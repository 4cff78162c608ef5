/** Jobs. */
import type { IJob } from "kubernetes-models/batch/v1/Job";
import type { KubeObject } from "../../../../common/kube/object.ts";
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
  problems.oneOf(`${field}.completionMode`, spec.completionMode, ["NonIndexed", "Indexed"]);
  if (spec.completionMode === "Indexed") {
    if (spec.completions === undefined) {
      problems.required(`${field}.completions`, "when completion mode is Indexed");
    }
  } else if (spec.backoffLimitPerIndex !== undefined) {
    problems.invalid(`${field}.backoffLimitPerIndex`, spec.backoffLimitPerIndex, "requires indexed completion mode");
  }
  (spec.podFailurePolicy?.rules ?? []).forEach((rule, index) =>
    failureRule(rule, `${field}.podFailurePolicy.rules[${index}]`, problems),
  );
  if (spec.podFailurePolicy !== undefined && policy !== "Never") {
    problems.invalid(
      `${field}.template.spec.restartPolicy`,
      policy ?? "",
      'only "Never" is supported when podFailurePolicy is specified',
    );
  }
  return problems.causes;
}

type FailureRule = NonNullable<NonNullable<ReturnType<typeof specOf>["podFailurePolicy"]>["rules"]>[number];

function failureRule(
  { action, onExitCodes, onPodConditions = [] }: FailureRule,
  field: string,
  problems: Problems,
): void {
  problems.oneOf(`${field}.action`, action, ["Count", "FailIndex", "FailJob", "Ignore"]);
  if (onExitCodes && onPodConditions.length > 0)
    problems.invalid(field, "", "specifying both OnExitCodes and OnPodConditions is not supported");
  else if (!onExitCodes && onPodConditions.length === 0)
    problems.invalid(field, "", "specifying one of OnExitCodes and OnPodConditions is required");
  if (!onExitCodes) return;
  const { operator, values } = onExitCodes;
  const place = `${field}.onExitCodes`;
  problems.oneOf(`${place}.operator`, operator, ["In", "NotIn"]);
  if (values.length === 0) problems.invalid(`${place}.values`, values, "at least one value is required");
  else if (values.length > 255) problems.tooMany(`${place}.values`, values.length, 255);
  values.forEach((value, at) => {
    if (operator === "In" && value === 0)
      problems.invalid(`${place}.values[${at}]`, value, "must not be 0 for the In operator");
    if (values.indexOf(value) < at) problems.duplicate(`${place}.values[${at}]`, value);
  });
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
