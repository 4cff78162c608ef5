/** One workload of each kind for a simulation: what it is made of, and how users treat it. */
import type { KubeObject } from "../../../../common/kube/object.ts";
import { between, oneOf } from "../../testing/random.ts";
import type { Random } from "../../testing/random.ts";
import { kinds } from "../kernel/kinds.ts";
import type { Kind } from "../kernel/kinds.ts";

export interface Workload {
  kind: Kind;
  name: string;
  spec: Record<string, unknown>;
  /** What a user may change of the spec. */
  treat(random: Random): Record<string, unknown>;
}

const labelsOf = (app: string): object => ({ app });
const template = (app: string, image: string, more: object = {}): object => ({
  metadata: { labels: labelsOf(app) },
  spec: { containers: [{ name: "c", image }], ...more },
});
const image = (random: Random): string => oneOf(random, ["a", "b", "c"]);
const bound = (random: Random): number | string => oneOf<number | string>(random, [0, 1, 2, "25%", "50%"]);

function deployment(random: Random): Workload {
  return {
    kind: kinds.deployments,
    name: "web",
    spec: {
      replicas: between(random, 1, 6),
      selector: { matchLabels: labelsOf("web") },
      template: template("web", "a"),
      progressDeadlineSeconds: 600,
      revisionHistoryLimit: 2,
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: bound(random), maxUnavailable: bound(random) } },
    },
    treat: (by) =>
      oneOf<() => Record<string, unknown>>(by, [
        () => ({ replicas: between(by, 0, 6) }),
        () => ({ template: template("web", image(by)) }),
        () => ({ template: template("web", image(by)) }),
        () => ({ paused: by() < 0.3 || null }),
      ])(),
  };
}

function statefulSet(random: Random): Workload {
  const claims = random() < 0.5;
  const retention = (): string => oneOf(random, ["Retain", "Delete"]);
  return {
    kind: kinds.statefulSets,
    name: "db",
    spec: {
      replicas: between(random, 1, 4),
      serviceName: "db",
      selector: { matchLabels: labelsOf("db") },
      template: template("db", "a"),
      podManagementPolicy: oneOf(random, ["OrderedReady", "OrderedReady", "Parallel"]),
      updateStrategy: {
        type: "RollingUpdate",
        rollingUpdate: { partition: oneOf(random, [0, 0, 1]), maxUnavailable: oneOf(random, [1, 1, 2]) },
      },
      revisionHistoryLimit: 1,
      ...(claims
        ? {
            volumeClaimTemplates: [{ metadata: { name: "data" }, spec: { accessModes: ["ReadWriteOnce"] } }],
            persistentVolumeClaimRetentionPolicy: { whenDeleted: retention(), whenScaled: retention() },
          }
        : {}),
    },
    treat: (by) => (by() < 0.5 ? { replicas: between(by, 0, 4) } : { template: template("db", image(by)) }),
  };
}

function daemonSet(random: Random): Workload {
  const surge = random() < 0.4;
  return {
    kind: kinds.daemonSets,
    name: "agent",
    spec: {
      selector: { matchLabels: labelsOf("agent") },
      template: template("agent", "a"),
      updateStrategy: {
        type: "RollingUpdate",
        rollingUpdate: surge ? { maxSurge: 1, maxUnavailable: 0 } : { maxUnavailable: oneOf(random, [1, 2]) },
      },
      revisionHistoryLimit: 1,
    },
    treat: (by) => ({ template: template("agent", image(by)) }),
  };
}

function job(random: Random): Workload {
  const indexed = random() < 0.5;
  const completions = between(random, 1, 6);
  return {
    kind: kinds.jobs,
    name: "work",
    spec: {
      parallelism: between(random, 1, 3),
      completions,
      completionMode: indexed ? "Indexed" : "NonIndexed",
      backoffLimit: indexed ? undefined : between(random, 0, 4),
      ...(indexed ? { backoffLimitPerIndex: between(random, 0, 2) } : {}),
      podReplacementPolicy: oneOf(random, ["TerminatingOrFailed", "Failed"]),
      selector: { matchLabels: labelsOf("work") },
      template: template("work", "a", { restartPolicy: "Never" }),
    },
    treat: (by) => (by() < 0.5 ? { parallelism: between(by, 0, 4) } : { suspend: by() < 0.4 || null }),
  };
}

function cronJob(random: Random): Workload {
  return {
    kind: kinds.cronJobs,
    name: "tick",
    spec: {
      schedule: "* * * * *",
      concurrencyPolicy: oneOf(random, ["Allow", "Forbid", "Replace"]),
      successfulJobsHistoryLimit: between(random, 0, 2),
      failedJobsHistoryLimit: between(random, 0, 1),
      jobTemplate: {
        spec: {
          completions: 1,
          parallelism: 1,
          backoffLimit: 1,
          selector: { matchLabels: labelsOf("tick") },
          template: template("tick", "a", { restartPolicy: "Never" }),
        },
      },
    },
    treat: (by) => ({ suspend: by() < 0.4 || null }),
  };
}

function replicationController(random: Random): Workload {
  return {
    kind: kinds.replicationControllers,
    name: "old",
    spec: { replicas: between(random, 1, 4), selector: labelsOf("old"), template: template("old", "a") },
    treat: (by) => ({ replicas: between(by, 0, 4) }),
  };
}

export const WORKLOADS: readonly ((random: Random) => Workload)[] = [
  deployment,
  statefulSet,
  daemonSet,
  job,
  cronJob,
  replicationController,
];

export function objectOf({ kind, name, spec }: Workload): KubeObject {
  const apiVersion = kind.group === "" ? kind.version : `${kind.group}/${kind.version}`;
  return { apiVersion, kind: kind.kind, metadata: { name, namespace: "default" }, spec: structuredClone(spec) };
}
