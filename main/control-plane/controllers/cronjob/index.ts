/** CronJob: starts Jobs at the times of a schedule. */
import { timestamp } from "../../../../common/kube/clock.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { isStatus } from "../../../../common/kube/status.ts";
import type { JobObject } from "../job/model.ts";
import { finished } from "../job/model.ts";
import { commit } from "../kernel/committer.ts";
import { follow, text } from "../kernel/controller.ts";
import type { ControllerDefinition } from "../kernel/controller.ts";
import { Expectations } from "../kernel/expectations.ts";
import { kinds } from "../kernel/kinds.ts";
import { controlledBy, controllerOf, controllerReference, indexByController } from "../kernel/ownership.ts";
import { decideCron, decideHistory } from "./decide.ts";
import { parseSchedule } from "./schedule.ts";

interface JobReference {
  apiVersion: string;
  kind: string;
  namespace: string;
  name: string;
  uid: string;
}

type CronJobObject = KubeObject & {
  spec: {
    schedule: string;
    timeZone?: string;
    concurrencyPolicy?: string;
    suspend?: boolean;
    startingDeadlineSeconds?: number;
    successfulJobsHistoryLimit?: number;
    failedJobsHistoryLimit?: number;
    jobTemplate: { metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> }; spec: object };
  };
  status?: { active?: JobReference[]; lastScheduleTime?: string; lastSuccessfulTime?: string };
};

const SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/**
 * The last time for which a Job was started, as the status has it. Where what was written there is not seen yet, or was
 * lost, the Job itself tells: else it would be started again, or replaced by one for the same time.
 */
function lastStarted(cron: CronJobObject, jobs: readonly JobObject[], now: number): string | undefined {
  const times = jobs.flatMap(({ metadata }) => metadata.annotations?.[SCHEDULED] ?? []);
  return [...(cron.status?.lastScheduleTime ? [cron.status.lastScheduleTime] : []), ...times]
    .filter((time) => Date.parse(time) <= now)
    .toSorted((a, b) => Date.parse(a) - Date.parse(b))
    .at(-1);
}

export const cronJobController: ControllerDefinition = {
  name: "cronjob-controller",
  concurrency: 5,
  setup({ client, informers, clock, events }, keys) {
    const crons = follow(informers.for<CronJobObject>(kinds.cronJobs), keys);
    const jobs = indexByController(informers.for<JobObject>(kinds.jobs));
    const expectations = new Expectations(clock);
    follow(jobs, keys, (job) => {
      const owner = controllerOf(job);
      return owner?.kind === "CronJob" ? [`${job.metadata.namespace}/${owner.name}`] : [];
    });
    const { group, version, resource } = kinds.jobs;

    const remove = async (job: JobObject): Promise<void> => {
      const { namespace = "", name = "", uid = "" } = job.metadata;
      try {
        await client.delete(
          { group, version, resource, namespace, name },
          { propagationPolicy: "Background", preconditions: { uid } },
        );
      } catch (error) {
        if (!isStatus(error, "NotFound")) throw error;
      }
    };

    const start = async (key: string, cron: CronJobObject, due: number): Promise<JobObject | undefined> => {
      const { namespace = "", name: base = "" } = cron.metadata;
      // The time is in the name, so that no time can start two Jobs.
      const name = `${base}-${Math.floor(due / 60_000)}`;
      const { metadata, spec } = cron.spec.jobTemplate;
      const job: KubeObject = {
        apiVersion: "batch/v1",
        kind: "Job",
        metadata: {
          name,
          namespace,
          ...(metadata?.labels ? { labels: { ...metadata.labels } } : {}),
          annotations: { ...metadata?.annotations, [SCHEDULED]: timestamp(due) },
          ownerReferences: [controllerReference(cron, kinds.cronJobs)],
        },
        spec: structuredClone(spec),
      };
      try {
        const made = await client.create<JobObject>({ group, version, resource, namespace, name }, job);
        expectations.written(key, jobs, made);
        events.record(cron, "Normal", "SuccessfulCreate", `Created job ${name}`);
        return made;
      } catch (error) {
        if (isStatus(error, "AlreadyExists")) return undefined;
        events.record(cron, "Warning", "FailedCreate", `Error creating job: ${text(error)}`);
        throw error;
      }
    };

    return {
      async reconcile(key) {
        const cron = crons.get(key);
        if (!cron || cron.metadata.deletionTimestamp !== undefined) return undefined;
        if (!expectations.met(key)) return { again: 300_000 };
        const { spec } = cron;
        const owned = controlledBy(jobs, cron);
        for (const job of decideHistory(
          owned,
          spec.successfulJobsHistoryLimit ?? 3,
          spec.failedJobsHistoryLimit ?? 1,
        )) {
          await remove(job);
          events.record(cron, "Normal", "SuccessfulDelete", `Deleted job ${job.metadata.name}`);
        }
        const now = clock.now();
        const running = owned.filter((job) => !finished(job) && job.metadata.deletionTimestamp === undefined);
        const known = new Set((cron.status?.active ?? []).map(({ uid }) => uid));
        for (const { name, uid } of cron.status?.active ?? []) {
          const end = owned.find(({ metadata }) => metadata.uid === uid);
          const how = end && finished(end);
          if (how)
            events.record(cron, "Normal", "SawCompletedJob", `Saw completed job: ${name}, condition: ${how.type}`);
          else if (!end) events.record(cron, "Normal", "MissingJob", `Active job went missing: ${name}`);
        }
        for (const { metadata } of running)
          if (!known.has(metadata.uid ?? ""))
            events.record(
              cron,
              "Warning",
              "UnexpectedJob",
              `Saw a job that the controller did not create or forgot: ${metadata.name}`,
            );
        const last = lastStarted(cron, owned, now);
        const plan = decideCron({
          schedule: parseSchedule(spec.schedule, spec.timeZone),
          concurrencyPolicy: spec.concurrencyPolicy ?? "Allow",
          suspend: spec.suspend ?? false,
          startingDeadlineSeconds: spec.startingDeadlineSeconds,
          createdMillis: Date.parse(cron.metadata.creationTimestamp ?? ""),
          lastScheduleMillis: last === undefined ? undefined : Date.parse(last),
          active: running,
          nowMillis: now,
        });
        for (const { type, reason, message } of plan.events) events.record(cron, type, reason, message);
        for (const job of plan.replace) {
          await remove(job);
          events.record(cron, "Normal", "SuccessfulDelete", `Deleted job ${job.metadata.name}`);
        }
        const made = plan.start === undefined ? undefined : await start(key, cron, plan.start);
        const active = [...running.filter((job) => !plan.replace.includes(job)), ...(made ? [made] : [])].map(
          ({ metadata }) => ({
            apiVersion: "batch/v1",
            kind: "Job",
            namespace: metadata.namespace ?? "",
            name: metadata.name ?? "",
            uid: metadata.uid ?? "",
          }),
        );
        const successes = owned
          .filter((job) => finished(job)?.type === "Complete")
          .map(({ status }) => status?.completionTime ?? "")
          .filter((time) => time !== "");
        const lastSuccessfulTime = [
          ...successes,
          ...(cron.status?.lastSuccessfulTime ? [cron.status.lastSuccessfulTime] : []),
        ]
          .toSorted()
          .at(-1);
        const lastScheduleTime = plan.start === undefined ? last : timestamp(plan.start);
        const status = {
          ...(active.length > 0 ? { active } : {}),
          ...(lastScheduleTime === undefined ? {} : { lastScheduleTime }),
          ...(lastSuccessfulTime === undefined ? {} : { lastSuccessfulTime }),
        };
        const written = await commit(client, kinds.cronJobs, cron, { ...cron, status });
        expectations.written(key, crons, written);
        return plan.again === undefined ? undefined : { again: plan.again };
      },
    };
  },
};
