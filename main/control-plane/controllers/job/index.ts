/** Job: runs Pods until so many have succeeded. */
import { objectKey } from "../../../../common/kube/object.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { selectorFromObject } from "../../../../common/kube/selector.ts";
import type { Selector } from "../../../../common/kube/selector.ts";
import { isStatus } from "../../../../common/kube/status.ts";
import type { Pod } from "../../../../common/kube/types.ts";
import { commit } from "../kernel/committer.ts";
import { follow, text } from "../kernel/controller.ts";
import type { ControllerDefinition } from "../kernel/controller.ts";
import { Expectations } from "../kernel/expectations.ts";
import { kinds } from "../kernel/kinds.ts";
import { claim, indexByController, ownersOf } from "../kernel/ownership.ts";
import { createPod, podFromTemplate, podRef, slowStart } from "../kernel/pods.ts";
import { decideJob } from "./decide.ts";
import { INDEX, INDEX_FAILURES, OURS, TRACKING, finished, isIndexed } from "./model.ts";
import type { JobObject } from "./model.ts";

const selectorOf = (owner: KubeObject): Selector => selectorFromObject((owner as JobObject).spec.selector);

interface WithEnv {
  env?: { name: string; value?: string; valueFrom?: object }[];
}

/** A Pod of the Job; of an Indexed one with its index in name, label, host name and environment. */
export function podOf(job: JobObject, index: number | undefined, failures = 0): Pod {
  const pod = podFromTemplate(job.spec.template, job, kinds.jobs);
  pod.metadata.finalizers = [...(pod.metadata.finalizers ?? []), TRACKING];
  if (index === undefined) return pod;
  const { name = "" } = job.metadata;
  pod.metadata.generateName = `${name}-${index}-`;
  pod.metadata.annotations = {
    ...pod.metadata.annotations,
    [INDEX]: String(index),
    ...(job.spec.backoffLimitPerIndex === undefined ? {} : { [INDEX_FAILURES]: String(failures) }),
  };
  pod.metadata.labels = { ...pod.metadata.labels, [INDEX]: String(index) };
  const spec = pod.spec as NonNullable<Pod["spec"]>;
  spec.hostname = `${name}-${index}`;
  const variable = {
    name: "JOB_COMPLETION_INDEX",
    valueFrom: { fieldRef: { fieldPath: `metadata.labels['${INDEX}']` } },
  };
  for (const container of [...(spec.initContainers ?? []), ...spec.containers] as WithEnv[]) {
    if (!container.env?.some((one) => one.name === variable.name)) container.env = [...(container.env ?? []), variable];
  }
  return pod;
}

/** Milliseconds until a finished Job is to be removed; undefined: never. */
export function ttlLeft(job: JobObject, nowMillis: number): number | undefined {
  const end = finished(job);
  const ttl = job.spec.ttlSecondsAfterFinished;
  if (!end || ttl === undefined) return undefined;
  return Date.parse(end.lastTransitionTime ?? "") + ttl * 1000 - nowMillis;
}

export const jobController: ControllerDefinition = {
  name: "job-controller",
  concurrency: 5,
  setup({ client, informers, clock, events }, keys) {
    const jobs = follow(informers.for<JobObject>(kinds.jobs), keys);
    const pods = indexByController(informers.for<Pod>(kinds.pods));
    const expectations = new Expectations(clock);
    jobs.addHandler({ delete: (job) => expectations.forget(objectKey(job)) });
    follow(pods, keys, (pod) => ownersOf(pod, kinds.jobs, jobs as never, selectorOf));
    // A Job that is gone keeps no Pod back.
    pods.addHandler({ update: (pod) => orphanKey(pod), add: (pod) => orphanKey(pod) });
    function orphanKey(pod: Pod): void {
      if (pod.metadata.deletionTimestamp !== undefined && pod.metadata.finalizers?.includes(TRACKING))
        keys.add(`pod ${objectKey(pod)}`);
    }

    const release = async (pod: Pod): Promise<void> => {
      const finalizers = (pod.metadata.finalizers ?? []).filter((name) => name !== TRACKING);
      if (finalizers.length === pod.metadata.finalizers?.length) return;
      try {
        await commit(client, kinds.pods, pod, {
          ...pod,
          metadata: { ...pod.metadata, ...(finalizers.length > 0 ? { finalizers } : { finalizers: undefined }) },
        } as unknown as Pod);
      } catch (error) {
        if (!isStatus(error, "NotFound")) throw error;
      }
    };
    const remove = async (job: JobObject, pod: Pod): Promise<void> => {
      try {
        await client.delete(podRef(pod), { preconditions: { uid: pod.metadata.uid ?? "" } });
        events.record(job, "Normal", "SuccessfulDelete", `Deleted pod: ${pod.metadata.name}`);
      } catch (error) {
        if (!isStatus(error, "NotFound")) throw error;
      }
    };
    const removeExpired = async (job: JobObject): Promise<undefined> => {
      const { group, version, resource } = kinds.jobs;
      const { namespace = "", name = "", uid = "" } = job.metadata;
      await client.delete(
        { group, version, resource, namespace, name },
        { propagationPolicy: "Foreground", preconditions: { uid } },
      );
    };
    const releaseOrphan = async (key: string): Promise<void> => {
      const pod = pods.get(key);
      const owner = pod?.metadata.ownerReferences?.find(({ kind, controller }) => controller && kind === "Job");
      const job = owner && jobs.get(`${pod?.metadata.namespace}/${owner.name}`);
      if (pod && job?.metadata.uid !== owner?.uid) await release(pod);
      else if (pod && !owner) await release(pod);
    };

    return {
      async reconcile(key) {
        if (key.startsWith("pod ")) return releaseOrphan(key.slice(4));
        const job = jobs.get(key);
        if (!job) return undefined;
        const ttl = job.metadata.deletionTimestamp === undefined ? ttlLeft(job, clock.now()) : undefined;
        if (ttl !== undefined && ttl <= 0) return removeExpired(job);
        // Whoever works on it, its time after it has finished is kept here.
        if ((job.spec.managedBy ?? OURS) !== OURS) return ttl === undefined ? undefined : { again: ttl };
        if (!expectations.met(key)) return { again: 300_000 };
        const owned = await claim({
          client,
          owner: job,
          ownerKind: kinds.jobs,
          kind: kinds.pods,
          informer: pods,
          selector: selectorOf(job),
        });
        if (job.metadata.deletionTimestamp !== undefined) {
          for (const pod of owned) await release(pod);
          return undefined;
        }
        const plan = decideJob(job, owned, clock.now());
        const written = await commit(client, kinds.jobs, job, { ...job, status: plan.status });
        expectations.written(key, jobs, written);
        let made: Awaited<ReturnType<typeof slowStart>> | undefined;
        try {
          await Promise.all(plan.release.map(release));
          await Promise.all(plan.remove.map((pod) => remove(job, pod)));
          await Promise.all(
            plan.drop.map(async (pod) => {
              await release(pod);
              await remove(job, pod);
            }),
          );
          made = await slowStart(plan.create, async (index) => {
            try {
              const failures = index === undefined ? 0 : plan.failures.get(index);
              const pod = await createPod(client, podOf(job, isIndexed(job) ? index : undefined, failures));
              expectations.written(key, pods, pod);
              events.record(job, "Normal", "SuccessfulCreate", `Created pod: ${pod.metadata.name}`);
            } catch (error) {
              events.record(job, "Warning", "FailedCreate", `Error creating: ${text(error)}`);
              throw error;
            }
          });
        } finally {
          // What became of its Pods is told before what that makes of the Job.
          for (const { type, reason, message } of plan.events) events.record(job, type, reason, message);
        }
        if (made.error !== undefined) throw made.error;
        const wait = ttl ?? plan.again;
        return wait === undefined ? undefined : { again: wait };
      },
    };
  },
};
