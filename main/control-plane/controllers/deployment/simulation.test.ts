/**
 * Deployments under random treatment in virtual time: users who scale, roll, pause and delete Pods, an API that
 * refuses and conflicts, watches that break, controllers that are restarted. fast-check prints the seed of a
 * failing run; SIMULATION_RUNS sets how many there are.
 */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Pod } from "../../../../common/kube/types.ts";
import { StatusError, isStatus } from "../../../../common/kube/status.ts";
import { TestCluster } from "../../testing/cluster.ts";
import { kinds } from "../kernel/kinds.ts";
import { isActive, isReady } from "../kernel/pods.ts";
import { rollingBounds } from "./arithmetic.ts";
import type { DeploymentObject, ReplicaSetObject } from "./model.ts";

const RUNS = Number(process.env.SIMULATION_RUNS ?? 60);

type Action =
  | { do: "roll"; image: string }
  | { do: "scale"; replicas: number }
  | { do: "pause"; paused: boolean }
  | { do: "delete pod"; which: number }
  | { do: "restart controllers" }
  | { do: "drop watches" }
  | { do: "wait"; seconds: number };

const wait = fc.record({ do: fc.constant("wait" as const), seconds: fc.integer({ min: 0, max: 12 }) });
const roll = fc.record({ do: fc.constant("roll" as const), image: fc.constantFrom("a", "b", "c", "d") });
const trouble = fc.oneof(
  fc.constant({ do: "restart controllers" as const }),
  fc.constant({ do: "drop watches" as const }),
);
const user = fc.oneof(
  fc.record({ do: fc.constant("scale" as const), replicas: fc.integer({ min: 0, max: 12 }) }),
  fc.record({ do: fc.constant("pause" as const), paused: fc.boolean() }),
  fc.record({ do: fc.constant("delete pod" as const), which: fc.nat(20) }),
);

interface World {
  replicas: number;
  maxSurge: number | string;
  maxUnavailable: number | string;
  strategy: "RollingUpdate" | "Recreate";
  /** Every so many writes one fails; 0: none. */
  failEvery: number;
  actions: readonly Action[];
}

const bounds = fc.oneof(fc.integer({ min: 0, max: 4 }), fc.constantFrom("0%", "25%", "50%", "100%"));
const worldOf = (actions: fc.Arbitrary<Action>, strategy: fc.Arbitrary<World["strategy"]>): fc.Arbitrary<World> =>
  fc.record({
    replicas: fc.integer({ min: 1, max: 10 }),
    maxSurge: bounds,
    maxUnavailable: bounds,
    strategy,
    failEvery: fc.constantFrom(0, 0, 3, 7),
    actions: fc.array(actions, { minLength: 1, maxLength: 14 }),
  });

function template(image: string): object {
  return { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "web", image }] } };
}

async function simulate(world: World, check: (cluster: TestCluster, complete: boolean) => void): Promise<TestCluster> {
  let writes = 0;
  let failing = world.failEvery > 0;
  const cluster = new TestCluster({
    controllers: ["deployment-controller", "replicaset-controller"],
    startMillis: (pod) => 500 + (Number(pod.metadata.uid?.split("-")[1] ?? 0) % 5) * 700,
    fault: (operation, { resource }) => {
      if (!failing || (resource !== "replicasets" && resource !== "deployments" && resource !== "pods")) return;
      if (operation !== "create" && operation !== "patch" && operation !== "delete") return;
      if ((writes += 1) % world.failEvery === 0)
        throw writes % 2 === 0 ? new StatusError("Conflict", "injected") : new StatusError("InternalError", "injected");
    },
  });
  const { strategy, maxSurge, maxUnavailable } = world;
  const retry = async (act: () => Promise<unknown>): Promise<void> => {
    for (let attempt = 0; attempt < 20; attempt += 1) {
      try {
        await act();
        return;
      } catch (error) {
        if (isStatus(error, "NotFound")) return;
        if (!isStatus(error, "Conflict", "InternalError")) throw error;
      }
    }
  };
  cluster.start();
  await retry(() =>
    cluster.create(kinds.deployments, {
      metadata: { name: "web" },
      spec: {
        replicas: world.replicas,
        selector: { matchLabels: { app: "web" } },
        template: template("a"),
        progressDeadlineSeconds: 600,
        revisionHistoryLimit: 3,
        strategy:
          strategy === "Recreate"
            ? { type: strategy }
            : { type: strategy, rollingUpdate: { maxSurge, maxUnavailable } },
      },
    }),
  );
  const run = async (seconds: number, complete: boolean): Promise<void> => {
    for (let half = 0; half < seconds * 2; half += 1) {
      await cluster.clock.advance(500);
      check(cluster, complete);
    }
  };
  await run(60, false);
  for (const action of world.actions) {
    if (action.do === "roll")
      await retry(() => cluster.patch(kinds.deployments, "web", { spec: { template: template(action.image) } }));
    else if (action.do === "scale")
      await retry(() => cluster.patch(kinds.deployments, "web", { spec: { replicas: action.replicas } }));
    else if (action.do === "pause")
      await retry(() => cluster.patch(kinds.deployments, "web", { spec: { paused: action.paused || null } }));
    else if (action.do === "delete pod") {
      const pods = cluster.all(kinds.pods);
      const pod = pods[action.which % Math.max(1, pods.length)];
      if (pod)
        await retry(() =>
          cluster.client.delete({ ...kinds.pods, namespace: "default", name: pod.metadata.name ?? "" }),
        );
    } else if (action.do === "restart controllers") {
      await cluster.stopControllers();
      cluster.start();
    } else if (action.do === "drop watches") cluster.client.dropWatches();
    else await run(action.seconds, true);
  }
  failing = false;
  await retry(() => cluster.patch(kinds.deployments, "web", { spec: { paused: null } }));
  await run(240, true);
  return cluster;
}

const deploymentOf = (cluster: TestCluster): DeploymentObject => cluster.one(kinds.deployments, "web");
const activeSize = (cluster: TestCluster): number =>
  cluster.all<ReplicaSetObject>(kinds.replicaSets).reduce((sum, { spec }) => sum + (spec.replicas ?? 0), 0);
const imageOf = (pod: Pod): string | undefined => pod.spec?.containers[0]?.image;

/** However it was treated, in the end there is what was asked for. Returns what is still written after that: nothing. */
async function settle(cluster: TestCluster): Promise<string[]> {
  const { spec, status, metadata } = deploymentOf(cluster);
  const replicas = spec.replicas ?? 1;
  const pods = cluster.all<Pod>(kinds.pods).filter(isActive);
  const wanted = (spec.template.spec as { containers: { image: string }[] }).containers[0]?.image;
  expect(pods.map(imageOf)).toEqual(Array.from({ length: replicas }, () => wanted));
  expect(status?.observedGeneration).toBe(metadata.generation);
  expect([status?.updatedReplicas ?? 0, status?.availableReplicas ?? 0, status?.replicas ?? 0]).toEqual([
    replicas,
    replicas,
    replicas,
  ]);
  expect(
    cluster.all<ReplicaSetObject>(kinds.replicaSets).filter(({ spec: set }) => (set.replicas ?? 0) > 0).length,
  ).toBe(replicas > 0 ? 1 : 0);
  const before = cluster.client.writes.length;
  await cluster.clock.advance(3_600_000);
  await cluster.stop();
  return cluster.client.writes.slice(before);
}

test(
  "a rollout never has more missing or more above than allowed, whatever fails on the way",
  { timeout: 300_000 },
  async () => {
    const actions = fc.oneof(
      { arbitrary: roll, weight: 3 },
      { arbitrary: wait, weight: 4 },
      { arbitrary: trouble, weight: 1 },
    );
    await fc.assert(
      fc.asyncProperty(worldOf(actions, fc.constant("RollingUpdate")), async (world) => {
        const { surge, unavailable } = rollingBounds(world.maxSurge, world.maxUnavailable, world.replicas);
        const cluster = await simulate(world, (of, complete) => {
          expect(activeSize(of)).toBeLessThanOrEqual(world.replicas + surge);
          const available = of.all<Pod>(kinds.pods).filter((pod) => isActive(pod) && isReady(pod)).length;
          expect(available).toBeGreaterThanOrEqual(complete ? Math.max(0, world.replicas - unavailable) : 0);
        });
        expect(await settle(cluster)).toEqual([]);
      }),
      { numRuns: RUNS },
    );
  },
);

test("Recreate never runs two templates at once", { timeout: 300_000 }, async () => {
  const actions = fc.oneof(
    { arbitrary: roll, weight: 3 },
    { arbitrary: wait, weight: 4 },
    { arbitrary: trouble, weight: 1 },
  );
  await fc.assert(
    fc.asyncProperty(worldOf(actions, fc.constant("Recreate")), async (world) => {
      const cluster = await simulate(world, (of) => {
        expect(new Set(of.all<Pod>(kinds.pods).map(imageOf)).size).toBeLessThanOrEqual(1);
      });
      expect(await settle(cluster)).toEqual([]);
    }),
    { numRuns: Math.ceil(RUNS / 3) },
  );
});

test("however users treat it, it ends with what they asked for", { timeout: 300_000 }, async () => {
  const actions = fc.oneof(
    { arbitrary: roll, weight: 2 },
    { arbitrary: wait, weight: 3 },
    { arbitrary: user, weight: 4 },
    { arbitrary: trouble, weight: 1 },
  );
  await fc.assert(
    fc.asyncProperty(worldOf(actions, fc.constantFrom("RollingUpdate", "RollingUpdate", "Recreate")), async (world) => {
      const cluster = await simulate(world, () => undefined);
      expect(await settle(cluster)).toEqual([]);
    }),
    { numRuns: RUNS },
  );
});
