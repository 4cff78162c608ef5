import { afterEach, expect, test } from "vitest";
import type { Pod } from "../../../../common/kube/types.ts";
import { TestCluster } from "../../testing/cluster.ts";
import type { TestClusterOptions } from "../../testing/cluster.ts";
import { kinds } from "../kernel/kinds.ts";
import { BURST, isReady } from "../kernel/pods.ts";
import { decideStateful } from "./decide.ts";

let cluster: TestCluster;
afterEach(() => cluster.stop());

const template = (image: string): object => ({
  metadata: { labels: { app: "db" } },
  spec: { containers: [{ name: "c", image }] },
});

async function deploy(spec: object = {}, options: Partial<TestClusterOptions> = {}): Promise<void> {
  cluster = new TestCluster({ controllers: ["statefulset-controller"], ...options });
  cluster.start();
  await cluster.create(kinds.statefulSets, {
    metadata: { name: "db" },
    spec: {
      replicas: 3,
      serviceName: "db",
      selector: { matchLabels: { app: "db" } },
      template: template("a"),
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 0 } },
      ...spec,
    },
  });
}

const pods = (): Pod[] =>
  cluster.all<Pod>(kinds.pods).toSorted((a, b) => ((a.metadata.name ?? "") < (b.metadata.name ?? "") ? -1 : 1));
const names = (): (string | undefined)[] => pods().map(({ metadata }) => metadata.name);
const images = (): (string | undefined)[] => pods().map(({ spec }) => spec?.containers[0]?.image);

/** Names in the order in which they became ready, one line per half second with a change. */
async function watch(seconds: number): Promise<string[]> {
  const seen: string[] = [];
  for (let step = 0; step < seconds * 2; step += 1) {
    await cluster.clock.advance(500);
    const line = pods()
      .map((pod) => `${pod.metadata.name?.slice(3)}${pod.metadata.deletionTimestamp ? "-" : isReady(pod) ? "+" : ""}`)
      .join(" ");
    if (seen.at(-1) !== line) seen.push(line);
  }
  return seen;
}

test("starts in order, each after the one before is ready, and stops in the other order", async () => {
  await deploy();
  expect(await watch(6)).toEqual(["0", "0+ 1", "0+ 1+ 2", "0+ 1+ 2+"]);
  const [first] = pods();
  expect(first?.metadata.labels).toMatchObject({
    "statefulset.kubernetes.io/pod-name": "db-0",
    "apps.kubernetes.io/pod-index": "0",
  });
  expect(first?.spec).toMatchObject({ hostname: "db-0", subdomain: "db" });
  const status = cluster.one(kinds.statefulSets, "db").status as { currentRevision: string; updateRevision: string };
  expect(status).toMatchObject({
    replicas: 3,
    readyReplicas: 3,
    availableReplicas: 3,
    currentReplicas: 3,
    updatedReplicas: 3,
    observedGeneration: 1,
  });
  expect(status.currentRevision).toBe(status.updateRevision);
  await cluster.patch(kinds.statefulSets, "db", { spec: { replicas: 1 } });
  expect(await watch(6)).toEqual(["0+ 1+ 2-", "0+ 1-", "0+"]);
  const before = cluster.client.writes.length;
  await cluster.clock.advance(3_600_000);
  expect(cluster.client.writes.slice(before)).toEqual([]);
  expect(cluster.log).toEqual([]);
});

test("Parallel starts all at once", async () => {
  await deploy({ podManagementPolicy: "Parallel" });
  await cluster.clock.advance(100);
  expect(names()).toEqual(["db-0", "db-1", "db-2"]);
});

test("rolls from the last to the first, down to the partition", async () => {
  await deploy({ updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 1 } } });
  await cluster.clock.advance(10_000);
  await cluster.patch(kinds.statefulSets, "db", { spec: { template: template("b") } });
  let fewest = 3;
  for (let step = 0; step < 40; step += 1) {
    await cluster.clock.advance(500);
    fewest = Math.min(fewest, pods().filter((pod) => isReady(pod) && !pod.metadata.deletionTimestamp).length);
  }
  expect(images()).toEqual(["a", "b", "b"]);
  expect(fewest).toBe(2);
  // Made anew below the partition, it stays what it was.
  await cluster.client.delete({ ...kinds.pods, namespace: "default", name: "db-0" });
  await cluster.clock.advance(10_000);
  expect(images()).toEqual(["a", "b", "b"]);
  await cluster.patch(kinds.statefulSets, "db", { spec: { updateStrategy: { rollingUpdate: { partition: 0 } } } });
  await cluster.clock.advance(20_000);
  expect(images()).toEqual(["b", "b", "b"]);
  const status = cluster.one(kinds.statefulSets, "db").status as { currentRevision: string; updateRevision: string };
  expect(status.currentRevision).toBe(status.updateRevision);
});

test("a rollout that does not get ready stops there, and a fix goes on from there", async () => {
  await deploy({}, { startMillis: (pod) => (pod.spec?.containers[0]?.image === "bad" ? undefined : 1000) });
  await cluster.clock.advance(10_000);
  await cluster.patch(kinds.statefulSets, "db", { spec: { template: template("bad") } });
  await cluster.clock.advance(30_000);
  expect(images()).toEqual(["a", "a", "bad"]);
  await cluster.patch(kinds.statefulSets, "db", { spec: { template: template("c") } });
  await cluster.clock.advance(30_000);
  expect([images()[0], images()[1]]).toEqual(["a", "a"]);
  // As in Kubernetes, the Pod that never got ready has to be removed by hand.
  await cluster.client.delete({ ...kinds.pods, namespace: "default", name: "db-2" });
  await cluster.clock.advance(30_000);
  expect(images()).toEqual(["c", "c", "c"]);
});

test("every Pod has claims of its own, which stay, or go with their owner", async () => {
  const volumeClaimTemplates = [
    {
      metadata: { name: "data" },
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
    },
  ];
  const policy = (whenDeleted: string, whenScaled: string): object => ({
    persistentVolumeClaimRetentionPolicy: { whenDeleted, whenScaled },
  });
  await deploy(
    { volumeClaimTemplates, ...policy("Retain", "Delete") },
    { controllers: ["statefulset-controller", "garbage-collector-controller"] },
  );
  await cluster.clock.advance(10_000);
  const owners = (): (string | undefined)[] =>
    cluster.all(kinds.persistentVolumeClaims).map(({ metadata }) => metadata.ownerReferences?.[0]?.kind);
  const claims = (): (string | undefined)[] =>
    cluster.all(kinds.persistentVolumeClaims).map(({ metadata }) => metadata.name);
  expect(claims()).toEqual(["data-db-0", "data-db-1", "data-db-2"]);
  expect(pods()[1]?.spec?.volumes).toEqual([{ name: "data", persistentVolumeClaim: { claimName: "data-db-1" } }]);
  await cluster.patch(kinds.statefulSets, "db", { spec: { replicas: 2 } });
  await cluster.clock.advance(10_000);
  expect(claims()).toEqual(["data-db-0", "data-db-1"]);
  expect(owners()).toEqual([undefined, undefined]);
  // Scaled up while its Pod was still on its way out: the claim stays, and so does what is in it.
  await cluster.patch(kinds.statefulSets, "db", { spec: { replicas: 1 } });
  await cluster.clock.advance(100);
  expect(owners()).toEqual([undefined, "Pod"]);
  const uid = cluster.one(kinds.persistentVolumeClaims, "data-db-1").metadata.uid;
  await cluster.patch(kinds.statefulSets, "db", { spec: { replicas: 2 } });
  await cluster.clock.advance(10_000);
  expect(cluster.one(kinds.persistentVolumeClaims, "data-db-1").metadata.uid).toBe(uid);
  expect(names()).toEqual(["db-0", "db-1"]);
  // The policy may change at any time.
  await cluster.patch(kinds.statefulSets, "db", { spec: policy("Delete", "Retain") });
  await cluster.clock.advance(1000);
  expect(owners()).toEqual(["StatefulSet", "StatefulSet"]);
  await cluster.patch(kinds.statefulSets, "db", { spec: { replicas: 1 } });
  await cluster.clock.advance(10_000);
  expect(claims()).toEqual(["data-db-0", "data-db-1"]);
  await cluster.client.delete({ ...kinds.statefulSets, namespace: "default", name: "db" });
  await cluster.clock.advance(10_000);
  expect([...claims(), ...names()]).toEqual([]);
});

test("Parallel goes up, down and on at once; maxUnavailable bounds what a rollout takes away", async () => {
  await deploy({
    replicas: 6,
    podManagementPolicy: "Parallel",
    updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 1, maxUnavailable: "50%" } },
  });
  await cluster.clock.advance(5000);
  await cluster.patch(kinds.statefulSets, "db", { spec: { template: template("b") } });
  const seen: number[] = [];
  for (let step = 0; step < 60; step += 1) {
    await cluster.clock.advance(250);
    seen.push(pods().filter((pod) => isReady(pod) && !pod.metadata.deletionTimestamp).length);
  }
  expect(Math.min(...seen)).toBe(3);
  expect(images()).toEqual(["a", "b", "b", "b", "b", "b"]);
});

test("ordinals may begin elsewhere; a Pod that ended is made again", async () => {
  await deploy({ replicas: 2, ordinals: { start: 5 } });
  await cluster.clock.advance(10_000);
  expect(names()).toEqual(["db-5", "db-6"]);
  const [{ metadata } = { metadata: { uid: "" } }] = pods();
  await cluster.patch(kinds.pods, "db-5", { status: { phase: "Failed" } }, "status");
  await cluster.clock.advance(10_000);
  expect(names()).toEqual(["db-5", "db-6"]);
  expect(pods()[0]?.metadata.uid).not.toBe(metadata.uid);
});

test("makes so many Pods in one go, however many are wanted", () => {
  const base = { name: "db", start: 0, parallel: true, minReadySeconds: 0, strategy: undefined, nowMillis: 0 };
  const plan = decideStateful({ ...base, replicas: 2 ** 31 - 1, pods: [], updateHash: "a", currentHash: "a" });
  expect(plan.create).toHaveLength(BURST);
});
