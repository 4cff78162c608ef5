/** CronJobs. */
import type { ICronJob } from "kubernetes-models/batch/v1/CronJob";
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import type { ResourceDefinition } from "../definition.ts";
import { define, shows, showsAge, statusSubresource, table, withStatus } from "../define.ts";
import { age } from "../duration.ts";
import { dnsSubdomainProblems } from "../../../../common/kube/names.ts";
import { Problems } from "../validation/problems.ts";
import { formatSelector } from "../workload/columns.ts";
import { scheduleProblem } from "./cron-schedule.ts";
import { validateJobSpec } from "./job.ts";

type CronJob = KubeObject & Pick<ICronJob, "spec" | "status">;
type Spec = NonNullable<ICronJob["spec"]>;
const specOf = (object: KubeObject): Spec => ((object as CronJob).spec ?? {}) as Spec;
const containers = (object: CronJob): { name: string; image?: string }[] =>
  specOf(object).jobTemplate?.spec?.template?.spec?.containers ?? [];

function timeZoneProblem(zone: string): string | undefined {
  if (zone.toLowerCase() === "local")
    return "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
  try {
    return Intl.DateTimeFormat("en", { timeZone: zone }).resolvedOptions().timeZone === "" ? "empty" : undefined;
  } catch (error) {
    if (error instanceof RangeError) return `unknown time zone ${zone}`;
    throw error;
  }
}

function validate(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const spec = specOf(object);
  if (!spec.schedule) problems.required("spec.schedule");
  else {
    const wrong = scheduleProblem(spec.schedule);
    if (wrong) problems.invalid("spec.schedule", spec.schedule, wrong);
    if (spec.schedule.includes("TZ")) {
      problems.invalid(
        "spec.schedule",
        spec.schedule,
        "cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
      );
    }
  }
  if (spec.timeZone !== undefined) {
    const wrong = spec.timeZone === "" ? "timeZone must be nil or non-empty string" : timeZoneProblem(spec.timeZone);
    if (wrong) problems.invalid("spec.timeZone", spec.timeZone, wrong);
  }
  problems.nonNegative("spec.startingDeadlineSeconds", spec.startingDeadlineSeconds);
  problems.oneOf("spec.concurrencyPolicy", spec.concurrencyPolicy, ["Allow", "Forbid", "Replace"]);
  problems.nonNegative("spec.successfulJobsHistoryLimit", spec.successfulJobsHistoryLimit);
  problems.nonNegative("spec.failedJobsHistoryLimit", spec.failedJobsHistoryLimit);
  const template = spec.jobTemplate?.spec;
  if (template?.manualSelector) {
    problems.notSupported("spec.jobTemplate.spec.manualSelector", true, ["nil", "false"]);
  }
  problems.add(validateJobSpec((template ?? {}) as Parameters<typeof validateJobSpec>[0], "spec.jobTemplate.spec"));
  return problems.causes;
}

export const cronJob: ResourceDefinition = define({
  group: "batch",
  version: "v1",
  kind: "CronJob",
  resource: "cronjobs",
  shortNames: ["cj"],
  categories: ["all"],
  hasGeneration: true,
  // Jobs get a suffix of up to 11 characters, and their names are labels.
  nameProblems: (name) => [
    ...dnsSubdomainProblems(name),
    ...(name.length > 52 ? ["must be no more than 52 characters"] : []),
  ],
  strategy: withStatus({ validate, validateUpdate: validate }),
  table: table<CronJob>(
    shows("Schedule", "When it runs", (one) => one.spec?.schedule ?? ""),
    shows("Timezone", "The time zone of the schedule", (one) => one.spec?.timeZone ?? "<none>"),
    shows("Suspend", "Whether it rests", (one) => (one.spec?.suspend ? "True" : "False"), { type: "boolean" }),
    shows("Active", "Jobs running now", (one) => (one.status?.active ?? []).length, { type: "integer" }),
    shows("Last Schedule", "When it ran last", (one, now) => {
      const last = one.status?.lastScheduleTime as string | undefined;
      return last ? age(last, now) : "<none>";
    }),
    showsAge,
    shows(
      "Containers",
      "Names of the template's containers",
      (one) =>
        containers(one)
          .map((c) => c.name)
          .join(","),
      {
        wide: true,
      },
    ),
    shows(
      "Images",
      "Images of the template's containers",
      (one) =>
        containers(one)
          .map((c) => c.image ?? "")
          .join(","),
      {
        wide: true,
      },
    ),
    shows("Selector", "Which Pods belong to it", (one) => formatSelector(specOf(one).jobTemplate?.spec?.selector), {
      wide: true,
    }),
  ),
  subresources: [statusSubresource()],
});
