/** Controllers and scheduler in several replicas on one API, in virtual time: leaders come and go, the work goes on. */
import { expect, test } from "vitest";
import type { KubeObject } from "../../common/kube/object.ts";
import type { Pod } from "../../common/kube/types.ts";
import { kinds } from "./controllers/kernel/kinds.ts";
import { isActive } from "./controllers/kernel/pods.ts";
import { startReplica } from "./replica.ts";
import type { Replica } from "./replica.ts";
import { FakeClient } from "./testing/fake-client.ts";
import { FreezableClock } from "./testing/freezable-clock.ts";
import { VirtualClock } from "./testing/virtual-clock.ts";

test("a Deployment is scaled and its Pods are placed, once each, whichever replica leads", async () => {
  const clock = new VirtualClock();
  const client = new FakeClient({ clock });
  const explained: string[] = [];
  const replicas = new Map<string, { replica: Replica; clock: FreezableClock }>();
  for (const identity of ["a", "b", "c"]) {
    const own = new FreezableClock(clock);
    const starting = startReplica({
      clients: { manager: client, scheduler: client },
      ca: { certificate: "CA", key: "KEY" },
      resources: () => [],
      served: () => false,
      identity,
      alone: false,
      only: ["deployment-controller", "replicaset-controller"],
      clock: own,
      random: () => 0.5,
      scheduling: () => {
        explained.push(`+${identity}`);
        return () => explained.push(`-${identity}`);
      },
    });
    await clock.settle();
    replicas.set(identity, { replica: await starting, clock: own });
  }
  const of = (identity: string) => replicas.get(identity) as { replica: Replica; clock: FreezableClock };
  const leaders = (): string[] =>
    [...replicas].filter(([, { replica }]) => replica.controllers.leading).map(([identity]) => identity);
  for (const name of ["n1", "n2"]) {
    client.put(kinds.nodes, {
      apiVersion: "v1",
      kind: "Node",
      metadata: { name },
      spec: {},
      status: {
        allocatable: { cpu: "32", memory: "64Gi", pods: "110" },
        conditions: [{ type: "Ready", status: "True" }],
      },
    } as KubeObject);
  }
  await client.create({ ...kinds.deployments, namespace: "default", name: "web" }, {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", namespace: "default" },
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: "web" } },
      template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "web", image: "a" }] } },
    },
  } as KubeObject);
  const placed = (): number =>
    client.all<Pod>(kinds.pods).filter((pod) => isActive(pod) && pod.spec?.nodeName !== undefined).length;
  const scale = (count: number): Promise<KubeObject> =>
    client.patch({ ...kinds.deployments, namespace: "default", name: "web" }, "application/merge-patch+json", {
      spec: { replicas: count },
    });
  await clock.advance(3000);
  expect(leaders()).toEqual(["a"]);
  expect(placed()).toBe(3);

  let wanted = 3;
  for (let round = 0; round < 6; round += 1) {
    const [leader = ""] = leaders();
    of(leader).clock.freeze(round % 2 === 1);
    await scale((wanted += 2));
    await clock.advance(25_000);
    expect(placed()).toBe(wanted);
    of(leader).clock.thaw();
    await clock.advance(5000);
    expect(leaders()).toHaveLength(1);
    expect(leaders()).not.toContain(leader);
    expect(placed()).toBe(wanted);
    expect(client.all(kinds.pods)).toHaveLength(wanted);
  }
  // Nobody wrote twice what another had written.
  expect(client.writes.filter((write) => write.startsWith("bind "))).toHaveLength(wanted);
  expect(client.writes.filter((write) => write.startsWith("create pods"))).toHaveLength(wanted);
  // Each that ended has been taken off, and one is left.
  expect(explained.filter((one) => one.startsWith("+"))).toHaveLength(7);
  expect(explained.filter((one) => one.startsWith("-"))).toHaveLength(6);

  const before = client.writes.length;
  await clock.advance(600_000);
  expect(client.writes.slice(before).filter((write) => !write.includes("leases"))).toEqual([]);
  const stopped = Promise.all([...replicas.values()].map(({ replica }) => replica.stop()));
  await clock.advance(60_000);
  await stopped;
  expect(client.all(kinds.leases).map((one) => (one.spec as { holderIdentity: string }).holderIdentity)).toEqual([
    "",
    "",
  ]);
});
