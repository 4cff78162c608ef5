import { afterEach, expect, test } from "vitest";
import { TestCluster } from "../../testing/cluster.ts";
import type { TestClusterOptions } from "../../testing/cluster.ts";
import { kinds } from "../kernel/kinds.ts";
import { decideCron } from "./decide.ts";
import { parseSchedule } from "./schedule.ts";

let cluster: TestCluster | undefined;
afterEach(async () => {
  await cluster?.stop();
  cluster = undefined;
});

test.each([
  ["* * * * *", undefined, "2026-03-01T10:00:00Z", "2026-03-01T10:01:00Z"],
  ["*/15 * * * *", undefined, "2026-03-01T10:07:30Z", "2026-03-01T10:15:00Z"],
  ["0 3 * * mon-fri", undefined, "2026-03-06T12:00:00Z", "2026-03-09T03:00:00Z"],
  ["0 0 1 1 *", undefined, "2026-03-06T12:00:00Z", "2027-01-01T00:00:00Z"],
  // Either day fits when both are given.
  ["0 0 13 * 5", undefined, "2026-03-07T00:00:00Z", "2026-03-13T00:00:00Z"],
  ["0 0 14 * 5", undefined, "2026-03-13T12:00:00Z", "2026-03-14T00:00:00Z"],
  ["@hourly", undefined, "2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z"],
  ["@every 90s", undefined, "2026-03-01T10:00:00Z", "2026-03-01T10:01:30Z"],
  ["30 8 * * *", "Europe/Berlin", "2026-01-10T12:00:00Z", "2026-01-11T07:30:00Z"],
  ["30 8 * * *", "Europe/Berlin", "2026-07-10T12:00:00Z", "2026-07-11T06:30:00Z"],
  ["0 9 * * *", "Asia/Kolkata", "2026-07-10T12:00:00Z", "2026-07-11T03:30:00Z"],
  // 02:30 does not exist on the night the clocks go forward.
  ["30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z"],
  ["0 0 30 2 *", undefined, "2026-03-01T10:00:00Z", undefined],
])("%s in %s after %s is %s", (schedule, zone, after, expected) => {
  const next = parseSchedule(schedule, zone).next(Date.parse(after));
  expect(next === undefined ? undefined : new Date(next).toISOString().replace(".000", "")).toBe(expected);
});

const minute = 60_000;
const base = {
  schedule: parseSchedule("* * * * *", undefined),
  concurrencyPolicy: "Allow",
  suspend: false,
  startingDeadlineSeconds: undefined,
  createdMillis: 0,
  lastScheduleMillis: undefined,
  active: [],
  nowMillis: 90_000,
};

test("only the last missed time counts, and within the deadline", () => {
  expect(decideCron({ ...base, nowMillis: 10 * minute + 30_000 }).start).toBe(10 * minute);
  expect(decideCron({ ...base, nowMillis: 10 * minute + 30_000, startingDeadlineSeconds: 20 }).start).toBeUndefined();
  expect(decideCron({ ...base, lastScheduleMillis: minute }).start).toBeUndefined();
  expect(decideCron({ ...base, suspend: true }).start).toBeUndefined();
  const late = decideCron({ ...base, nowMillis: 365 * 24 * 60 * minute + 1 });
  expect(late.start).toBe(365 * 24 * 60 * minute);
  expect(late.events.map(({ reason }) => reason)).toEqual(["TooManyMissedTimes"]);
});

async function start(spec: object, finish: TestClusterOptions["finish"]): Promise<TestCluster> {
  cluster = new TestCluster({ controllers: ["cronjob-controller", "job-controller"], ...(finish ? { finish } : {}) });
  cluster.start();
  await cluster.create(kinds.cronJobs, {
    metadata: { name: "c" },
    spec: {
      schedule: "* * * * *",
      ...spec,
      jobTemplate: {
        spec: {
          completions: 1,
          selector: { matchLabels: { of: "c" } },
          template: {
            metadata: { labels: { of: "c" } },
            spec: { restartPolicy: "Never", containers: [{ name: "a" }] },
          },
        },
      },
    },
  });
  return cluster;
}

test("a Job per minute, and a bounded history", async () => {
  const of = await start({}, () => ({ afterMillis: 5000, exitCode: 0 }));
  await of.clock.advance(10 * minute + 30_000);
  expect(of.all(kinds.jobs).map(({ metadata }) => metadata.name)).toEqual(["c-29453768", "c-29453769", "c-29453770"]);
  expect(of.one(kinds.cronJobs, "c").status).toMatchObject({
    lastScheduleTime: "2026-01-01T00:10:00Z",
    lastSuccessfulTime: "2026-01-01T00:10:06Z",
  });
  expect(of.events().filter((text) => text.startsWith("Saw")).length).toBeGreaterThan(0);
  expect(of.log).toEqual([]);
});

test.each([
  ["Allow", 4],
  ["Forbid", 1],
  ["Replace", 1],
])("%s: %i run at once", async (concurrencyPolicy, running) => {
  const of = await start({ concurrencyPolicy }, undefined);
  await of.clock.advance(4 * minute + 30_000);
  const active = (of.one(kinds.cronJobs, "c").status as { active: unknown[] }).active;
  expect(active).toHaveLength(running);
});

test("a Job whose start the status does not tell of is neither replaced nor started again", async () => {
  const of = await start({ concurrencyPolicy: "Replace" }, undefined);
  await of.clock.advance(minute + 30_000);
  const before = of.all(kinds.jobs).map(({ metadata }) => metadata.uid);
  expect(before).toHaveLength(1);
  const status = { lastScheduleTime: null, active: null };
  await of.client.patch(
    { ...kinds.cronJobs, namespace: "default", name: "c", subresource: "status" },
    "application/merge-patch+json",
    { status },
  );
  await of.clock.advance(10_000);
  expect(of.all(kinds.jobs).map(({ metadata }) => metadata.uid)).toEqual(before);
  expect(of.one(kinds.cronJobs, "c").status).toMatchObject({ lastScheduleTime: "2026-01-01T00:01:00Z" });
});
