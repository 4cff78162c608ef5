import { afterEach, expect, test } from "vitest";
import type { Pod } from "../../../../common/kube/types.ts";
import { TestCluster } from "../../testing/cluster.ts";
import type { TestClusterOptions } from "../../testing/cluster.ts";
import { kinds } from "../kernel/kinds.ts";
import { BURST } from "../kernel/pods.ts";
import { backoffLeft, decideJob } from "./decide.ts";
import { indexOf } from "./model.ts";
import type { JobObject } from "./model.ts";

let cluster: TestCluster;
afterEach(() => cluster.stop());

type Finish = NonNullable<TestClusterOptions["finish"]>;
const succeed: Finish = () => ({ afterMillis: 1000, exitCode: 0 });
const fail: Finish = () => ({ afterMillis: 1000, exitCode: 3 });

async function run(spec: object, finish: Finish, seconds = 10): Promise<void> {
  cluster = new TestCluster({ controllers: ["job-controller"], finish });
  cluster.start();
  await cluster.create(kinds.jobs, {
    metadata: { name: "j" },
    spec: {
      parallelism: 1,
      completions: 1,
      backoffLimit: 6,
      selector: { matchLabels: { job: "j" } },
      template: { metadata: { labels: { job: "j" } }, spec: { restartPolicy: "Never", containers: [{ name: "c" }] } },
      ...spec,
    },
  });
  await cluster.clock.advance(seconds * 1000);
}

const job = (): JobObject => cluster.one<JobObject>(kinds.jobs, "j");
const pods = (): Pod[] => cluster.all<Pod>(kinds.pods);
const conditions = (): string[] =>
  (job().status?.conditions ?? []).map(({ type, status, reason }) => `${type}=${status} ${reason}`);

test("runs so many at once until so many have succeeded, and counts each once", async () => {
  let most = 0;
  await run({ parallelism: 2, completions: 5 }, succeed, 0);
  for (let step = 0; step < 40; step += 1) {
    await cluster.clock.advance(500);
    most = Math.max(most, pods().filter(({ status }) => status?.phase === "Running").length);
  }
  expect(most).toBe(2);
  expect(job().status).toMatchObject({ succeeded: 5, startTime: "2026-01-01T00:00:00Z" });
  expect(job().status?.completionTime).toBeDefined();
  expect(conditions()).toEqual(["SuccessCriteriaMet=True CompletionsReached", "Complete=True CompletionsReached"]);
  expect(pods()).toHaveLength(5);
  expect(pods().flatMap(({ metadata }) => metadata.finalizers ?? [])).toEqual([]);
  expect(cluster.events()).toContain("Completed: Job completed");
  const before = cluster.client.writes.length;
  await cluster.clock.advance(3_600_000);
  expect(cluster.client.writes.slice(before)).toEqual([]);
  expect(cluster.log).toEqual([]);
});

test("failing Pods are made again after growing waits, until the limit", async () => {
  await run({ backoffLimit: 2 }, fail, 9);
  expect(pods()).toHaveLength(1);
  await cluster.clock.advance(8000);
  expect(pods()).toHaveLength(2);
  await cluster.clock.advance(120_000);
  expect(job().status).toMatchObject({ failed: 3 });
  expect(conditions()).toEqual(["FailureTarget=True BackoffLimitExceeded", "Failed=True BackoffLimitExceeded"]);
  expect(cluster.events()).toContain("BackoffLimitExceeded: Job has reached the specified backoff limit");
});

test("Indexed: each index once, with its index in the Pod", async () => {
  await run({ parallelism: 2, completions: 4, completionMode: "Indexed" }, succeed, 20);
  expect(job().status).toMatchObject({ succeeded: 4, completedIndexes: "0-3" });
  const last = pods().find((pod) => indexOf(pod) === 3);
  expect(last?.spec).toMatchObject({ hostname: "j-3", containers: [{ env: [{ name: "JOB_COMPLETION_INDEX" }] }] });
});

test("Indexed: a limit per index lets the others go on", async () => {
  await run(
    { parallelism: 3, completions: 3, completionMode: "Indexed", backoffLimitPerIndex: 0 },
    (pod) => ({ afterMillis: 1000, exitCode: indexOf(pod) === 1 ? 1 : 0 }),
    60,
  );
  expect(job().status).toMatchObject({ completedIndexes: "0,2", failedIndexes: "1" });
  expect(conditions()).toEqual(["FailureTarget=True FailedIndexes", "Failed=True FailedIndexes"]);
});

test("a failure policy fails the Job at once, or does not count what it ignores", async () => {
  const rules = (action: string): object => ({
    podFailurePolicy: { rules: [{ action, onExitCodes: { operator: "In", values: [3] } }] },
  });
  await run(rules("FailJob"), fail);
  expect(conditions()).toEqual(["FailureTarget=True PodFailurePolicy", "Failed=True PodFailurePolicy"]);
  expect(job().status?.conditions?.at(-1)?.message).toContain(
    "failed with exit code 3 matching FailJob rule at index 0",
  );
  await cluster.stop();
  await run({ ...rules("Ignore"), backoffLimit: 0 }, fail, 60);
  expect(conditions()).toEqual([]);
  expect(pods().length).toBeGreaterThan(1);
  expect(job().status?.failed).toBeUndefined();
});

test("a deadline ends it, Pods and all", async () => {
  await run({ activeDeadlineSeconds: 5 }, () => undefined, 30);
  expect(conditions()).toEqual(["FailureTarget=True DeadlineExceeded", "Failed=True DeadlineExceeded"]);
  expect(pods()).toEqual([]);
});

test("suspended it has no Pods; resumed it begins anew", async () => {
  await run({ suspend: true }, succeed);
  expect(pods()).toEqual([]);
  expect(conditions()).toEqual(["Suspended=True JobSuspended"]);
  expect(job().status?.startTime).toBeUndefined();
  await cluster.patch(kinds.jobs, "j", { spec: { suspend: false } });
  await cluster.clock.advance(10_000);
  expect(conditions()).toEqual([
    "Suspended=False JobResumed",
    "SuccessCriteriaMet=True CompletionsReached",
    "Complete=True CompletionsReached",
  ]);
});

test("a Pod that was deleted is replaced", async () => {
  await run({}, () => undefined);
  await cluster.client.delete({ ...kinds.pods, namespace: "default", name: pods()[0]?.metadata.name ?? "" });
  await cluster.clock.advance(30_000);
  expect(pods()).toHaveLength(1);
  expect(job().status).toMatchObject({ active: 1, failed: 1 });
});

test("Pods it has no use for now are given up without counting as failed", async () => {
  await run({ parallelism: 4, completions: 9, backoffLimit: 0 }, () => undefined);
  await cluster.patch(kinds.jobs, "j", { spec: { parallelism: 1 } });
  await cluster.clock.advance(60_000);
  expect(pods()).toHaveLength(1);
  await cluster.patch(kinds.jobs, "j", { spec: { suspend: true } });
  await cluster.clock.advance(60_000);
  expect(pods()).toEqual([]);
  expect(job().status?.failed).toBeUndefined();
  expect(conditions()).toEqual(["Suspended=True JobSuspended"]);
});

test("nor as failures of their index: made larger or resumed again, it runs them at once", async () => {
  const spec = { parallelism: 2, completions: 2, completionMode: "Indexed", backoffLimitPerIndex: 0 };
  await run(spec, () => undefined);
  await cluster.patch(kinds.jobs, "j", { spec: { suspend: true } });
  await cluster.clock.advance(500);
  await cluster.patch(kinds.jobs, "j", { spec: { suspend: false } });
  await cluster.clock.advance(2000);
  expect(
    pods()
      .filter(({ status }) => status?.phase === "Running")
      .map(indexOf),
  ).toEqual([0, 1]);
  expect(job().status).toMatchObject({ active: 2, failedIndexes: "" });
});

test("an elastic Indexed Job that is made smaller keeps the indexes it still has", async () => {
  const finish: Finish = (pod) => (indexOf(pod) === 4 ? { afterMillis: 1000, exitCode: 0 } : undefined);
  await run({ parallelism: 5, completions: 5, completionMode: "Indexed", backoffLimit: 0 }, finish);
  expect(job().status).toMatchObject({ completedIndexes: "4", succeeded: 1, active: 4 });
  await cluster.patch(kinds.jobs, "j", { spec: { parallelism: 2, completions: 2 } });
  await cluster.clock.advance(60_000);
  expect(
    pods()
      .filter(({ status }) => status?.phase === "Running")
      .map(indexOf),
  ).toEqual([0, 1]);
  expect(job().status).toMatchObject({ active: 2 });
  expect(job().status).not.toHaveProperty("succeeded");
  expect(job().status).not.toHaveProperty("completedIndexes");
  expect(conditions()).toEqual([]);
});

test("a failure policy names the container or the condition that it was", () => {
  const decided = (rule: object, status: object): string | undefined => {
    const spec = { template: {}, podFailurePolicy: { rules: [{ action: "FailJob", ...rule }] } };
    const failing = { apiVersion: "batch/v1", kind: "Job", metadata: { name: "j" }, spec } as unknown as JobObject;
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { namespace: "n", name: "p", uid: "p", finalizers: ["batch.kubernetes.io/job-tracking"] },
      status: { phase: "Failed", ...status },
    } as unknown as Pod;
    return decideJob(failing, [pod], 0).status.conditions?.[0]?.message;
  };
  const ended = (name: string, exitCode: number): object => ({ name, state: { terminated: { exitCode } } });
  expect(
    decided(
      { onExitCodes: { containerName: "side", operator: "In", values: [42] } },
      { containerStatuses: [ended("main", 1), ended("side", 42)] },
    ),
  ).toBe("Container side for pod n/p failed with exit code 42 matching FailJob rule at index 0");
  expect(
    decided(
      { onExitCodes: { operator: "In", values: [7] } },
      { initContainerStatuses: [ended("init", 7)], containerStatuses: [ended("main", 1)] },
    ),
  ).toBe("Container init for pod n/p failed with exit code 7 matching FailJob rule at index 0");
  expect(
    decided({ onPodConditions: [{ type: "A" }, { type: "B" }] }, { conditions: [{ type: "B", status: "True" }] }),
  ).toBe("Pod n/p has condition B matching FailJob rule at index 0");
});

test("finished long enough ago it is removed, whoever manages it", async () => {
  await run({ ttlSecondsAfterFinished: 60, managedBy: "example.com/other" }, succeed, 0);
  const conditions = [{ type: "Complete", status: "True", lastTransitionTime: "2026-01-01T00:00:00Z" }];
  await cluster.patch(kinds.jobs, "j", { status: { conditions } }, "status");
  await cluster.clock.advance(50_000);
  expect(cluster.all(kinds.jobs)).toHaveLength(1);
  await cluster.clock.advance(20_000);
  expect(cluster.all<JobObject>(kinds.jobs).every(({ metadata }) => metadata.deletionTimestamp)).toBe(true);
});

test("finished long enough ago it is removed", async () => {
  await run({ ttlSecondsAfterFinished: 60 }, succeed, 30);
  expect(cluster.all(kinds.jobs)).toHaveLength(1);
  await cluster.clock.advance(60_000);
  expect(cluster.all<JobObject>(kinds.jobs).filter(({ metadata }) => metadata.deletionTimestamp === undefined)).toEqual(
    [],
  );
});

test("back-off: 10 s, doubling, at most 10 min, from the last failure", () => {
  const at = Date.UTC(2026, 0, 1);
  const failed = (count: number): Pod[] =>
    Array.from({ length: count }, () => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { creationTimestamp: new Date(at).toISOString() },
    }));
  expect([0, 1, 2, 3, 20].map((count) => backoffLeft(failed(count), at))).toEqual([0, 10_000, 20_000, 40_000, 600_000]);
});

test("a Job that somebody else manages is left alone", async () => {
  await run({ managedBy: "example.com/other" }, succeed);
  expect(pods()).toEqual([]);
  expect(job().status).toBeUndefined();
});

test("each index counts its own failures, which outlive its Pods, and waits by itself", async () => {
  const finish: Finish = (pod) => ({ afterMillis: 500, exitCode: indexOf(pod) === 1 ? 3 : 0 });
  await run({ completionMode: "Indexed", completions: 3, parallelism: 3, backoffLimitPerIndex: 2 }, finish, 20);
  const counts = (): (string | undefined)[] =>
    pods()
      .filter((pod) => indexOf(pod) === 1)
      .map(({ metadata }) => metadata.annotations?.["batch.kubernetes.io/job-index-failure-count"]);
  expect(counts()).toEqual(["0", "1"]);
  // The first goes at once; the last says how often it has failed, and stays until the next one does.
  for (const { metadata } of pods().filter((pod) => indexOf(pod) === 1))
    await cluster.client.delete({ ...kinds.pods, namespace: "default", name: metadata.name ?? "" });
  await cluster.clock.advance(2000);
  expect(counts()).toEqual(["1"]);
  await cluster.clock.advance(30_000);
  expect(counts()).toEqual(["2"]);
  expect(conditions()).toEqual(["FailureTarget=True FailedIndexes", "Failed=True FailedIndexes"]);
  expect(job().status).toMatchObject({ completedIndexes: "0,2", failedIndexes: "1", succeeded: 2, failed: 3 });
});

test("a success sets the wait back", () => {
  const ended = (phase: "Succeeded" | "Failed", second: number): Pod =>
    ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: {},
      status: {
        phase,
        containerStatuses: [{ name: "c", state: { terminated: { finishedAt: `2026-01-01T00:00:0${second}Z` } } }],
      },
    }) as unknown as Pod;
  const now = Date.UTC(2026, 0, 1, 0, 0, 9);
  const failed = [ended("Failed", 1), ended("Failed", 2), ended("Failed", 6)];
  expect(backoffLeft(failed, now)).toBe(37_000);
  expect(backoffLeft(failed, now, [ended("Succeeded", 4)])).toBe(7000);
  expect(backoffLeft(failed, now, [ended("Succeeded", 8)])).toBe(0);
});

test.each(["NonIndexed", "Indexed"])("makes so many Pods in one go, however many are wanted (%s)", (completionMode) => {
  const most = 2 ** 31 - 1;
  const spec = { parallelism: most, completions: most, completionMode, backoffLimit: 6, template: {} };
  const huge = { apiVersion: "batch/v1", kind: "Job", metadata: { name: "j" }, spec } as unknown as JobObject;
  expect(decideJob(huge, [], 0).create).toHaveLength(BURST);
  const made = { ...huge, status: { completedIndexes: `0-${most}` } } as JobObject;
  expect(decideJob(made, [], 0).create.length).toBeLessThanOrEqual(BURST);
});
