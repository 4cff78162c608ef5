import { afterEach, expect, test } from "vitest";
import { TestCluster } from "../../testing/cluster.ts";
import type { TestClusterOptions } from "../../testing/cluster.ts";
import { kinds } from "../kernel/kinds.ts";
import type { DeploymentObject, ReplicaSetObject } from "./model.ts";
import type { Pod } from "../../../../common/kube/types.ts";
import { isReady } from "../kernel/pods.ts";

let cluster: TestCluster;
afterEach(() => cluster.stop());

function template(image: string): object {
  return { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "web", image }] } };
}

async function deploy(spec: object = {}, options: Partial<TestClusterOptions> = {}): Promise<void> {
  cluster = new TestCluster({ controllers: ["deployment-controller", "replicaset-controller"], ...options });
  cluster.start();
  await cluster.create(kinds.deployments, {
    metadata: { name: "web", labels: { app: "web" } },
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: "web" } },
      template: template("a"),
      progressDeadlineSeconds: 600,
      revisionHistoryLimit: 10,
      ...spec,
    },
  });
  await cluster.clock.advance(5000);
}

const deployment = (): DeploymentObject => cluster.one(kinds.deployments, "web");
const sets = (): ReplicaSetObject[] => cluster.all<ReplicaSetObject>(kinds.replicaSets);
const sizes = (): Record<string, number | undefined> =>
  Object.fromEntries(
    sets().map(({ spec }) => [
      (spec.template.spec as { containers: { image: string }[] }).containers[0]?.image,
      spec.replicas,
    ]),
  );
const condition = (type: string) => deployment().status?.conditions?.find((one) => one.type === type);

test("a new Deployment makes one ReplicaSet, becomes available and complete", async () => {
  await deploy();
  expect(deployment().status).toMatchObject({
    replicas: 3,
    updatedReplicas: 3,
    readyReplicas: 3,
    availableReplicas: 3,
    observedGeneration: 1,
  });
  expect(deployment().metadata.annotations).toMatchObject({ "deployment.kubernetes.io/revision": "1" });
  const set = sets()[0] as ReplicaSetObject;
  const hash = set.metadata.labels?.["pod-template-hash"] ?? "";
  expect(set.metadata.name).toBe(`web-${hash}`);
  expect(set.metadata.annotations).toMatchObject({
    "deployment.kubernetes.io/desired-replicas": "3",
    "deployment.kubernetes.io/max-replicas": "4",
    "deployment.kubernetes.io/revision": "1",
  });
  expect(set.spec.selector.matchLabels).toEqual({ app: "web", "pod-template-hash": hash });
  expect(condition("Available")).toMatchObject({
    status: "True",
    reason: "MinimumReplicasAvailable",
    message: "Deployment has minimum availability.",
  });
  expect(condition("Progressing")).toMatchObject({
    status: "True",
    reason: "NewReplicaSetAvailable",
    message: `ReplicaSet "web-${hash}" has successfully progressed.`,
  });
  expect(cluster.events()).toContain(`ScalingReplicaSet: Scaled up replica set web-${hash} from 0 to 3`);
  expect(cluster.log).toEqual([]);
});

test("rolls to a new template, keeps the old ReplicaSet for undo, and undo gives it a new revision", async () => {
  await deploy();
  let fewest = 3;
  let most = 3;
  await cluster.patch(kinds.deployments, "web", { spec: { template: template("b") } });
  for (let second = 0; second < 20; second += 1) {
    await cluster.clock.advance(1000);
    fewest = Math.min(
      fewest,
      cluster.all<Pod>(kinds.pods).filter((pod) => isReady(pod) && !pod.metadata.deletionTimestamp).length,
    );
    most = Math.max(
      most,
      sets().reduce((total, { spec }) => total + (spec.replicas ?? 0), 0),
    );
  }
  expect(sizes()).toEqual({ a: 0, b: 3 });
  expect(fewest).toBe(3);
  expect(most).toBe(4);
  await cluster.patch(kinds.deployments, "web", { spec: { template: template("a") } });
  await cluster.clock.advance(20_000);
  expect(sizes()).toEqual({ a: 3, b: 0 });
  expect(deployment().metadata.annotations?.["deployment.kubernetes.io/revision"]).toBe("3");
  const back = sets().find(({ spec }) => spec.replicas === 3);
  expect(back?.metadata.annotations).toMatchObject({
    "deployment.kubernetes.io/revision": "3",
    "deployment.kubernetes.io/revision-history": "1",
  });
  expect(deployment().status?.observedGeneration).toBe(3);
});

test("Recreate ends every old Pod before it makes a new one", async () => {
  await deploy({ strategy: { type: "Recreate" } }, { stopMillis: 3000 });
  await cluster.patch(kinds.deployments, "web", { spec: { template: template("b") } });
  await cluster.clock.advance(2000);
  expect(sizes()).toEqual({ a: 0 });
  await cluster.clock.advance(10_000);
  expect(sizes()).toEqual({ a: 0, b: 3 });
  expect(deployment().status).toMatchObject({ availableReplicas: 3, updatedReplicas: 3 });
});

test("a rollout that hangs says so after its deadline, and recovers by another template", async () => {
  const bad = (pod: Pod): number | undefined => (pod.spec?.containers[0]?.image === "bad" ? undefined : 1000);
  await deploy({ progressDeadlineSeconds: 30 }, { startMillis: bad });
  await cluster.patch(kinds.deployments, "web", { spec: { template: template("bad") } });
  await cluster.clock.advance(20_000);
  expect(condition("Progressing")?.reason).toBe("ReplicaSetUpdated");
  await cluster.clock.advance(30_000);
  expect(condition("Progressing")).toMatchObject({ status: "False", reason: "ProgressDeadlineExceeded" });
  expect(sizes()).toEqual({ a: 3, bad: 1 });
  await cluster.patch(kinds.deployments, "web", { spec: { template: template("c") } });
  await cluster.clock.advance(30_000);
  expect(sizes()).toEqual({ a: 0, bad: 0, c: 3 });
  expect(condition("Progressing")?.reason).toBe("NewReplicaSetAvailable");
});

test("a paused Deployment scales but does not roll; resumed it does", async () => {
  await deploy();
  await cluster.patch(kinds.deployments, "web", { spec: { paused: true, template: template("b") } });
  await cluster.patch(kinds.deployments, "web", { spec: { replicas: 5 } });
  await cluster.clock.advance(10_000);
  expect(sizes()).toEqual({ a: 5 });
  expect(condition("Progressing")).toMatchObject({ status: "Unknown", reason: "DeploymentPaused" });
  await cluster.patch(kinds.deployments, "web", { spec: { paused: null } });
  await cluster.clock.advance(30_000);
  expect(sizes()).toEqual({ a: 0, b: 5 });
});

test("history beyond the limit is cleared away", async () => {
  await deploy({ revisionHistoryLimit: 2 });
  for (const image of ["b", "c", "d", "e"]) {
    await cluster.patch(kinds.deployments, "web", { spec: { template: template(image) } });
    await cluster.clock.advance(30_000);
  }
  expect(sizes()).toEqual({ c: 0, d: 0, e: 3 });
});

test("an orphan Pod that fits is adopted, one that no longer fits is released and replaced", async () => {
  await deploy();
  const [pod] = cluster.all<Pod>(kinds.pods);
  await cluster.patch(kinds.pods, pod?.metadata.name ?? "", { metadata: { labels: { app: "other" } } });
  await cluster.clock.advance(5000);
  expect(cluster.all(kinds.pods)).toHaveLength(4);
  expect(cluster.one(kinds.pods, pod?.metadata.name ?? "").metadata.ownerReferences).toBeUndefined();
  await cluster.patch(kinds.pods, pod?.metadata.name ?? "", { metadata: { labels: { app: "web" } } });
  await cluster.clock.advance(5000);
  // Adopted again, it is one too many.
  expect(cluster.all(kinds.pods)).toHaveLength(3);
});

test("nothing is written once the Deployment is complete", async () => {
  await deploy();
  await cluster.clock.advance(60_000);
  const before = cluster.client.writes.length;
  await cluster.clock.advance(3_600_000);
  expect(cluster.client.writes.slice(before)).toEqual([]);
});
