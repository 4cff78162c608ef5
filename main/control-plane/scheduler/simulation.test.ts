/**
 * The scheduler in virtual time under random users, nodes that come and go, and an API that fails: no node is ever
 * over-committed, anti-affinity and spread are never broken, no Pod that fits is forgotten, and nothing runs hot.
 * DRYDOCK_RUNS says how many runs; a failing seed is printed, DRYDOCK_SEED runs it again.
 */
import { expect, test } from "vitest";
import type { KubeObject } from "../../../common/kube/object.ts";
import { StatusError } from "../../../common/kube/status.ts";
import type { Node, Pod } from "../../../common/kube/types.ts";
import { kinds } from "../controllers/kernel/kinds.ts";
import { FakeClient, withFaults } from "../testing/fake-client.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";
import { startScheduler } from "./index.ts";

const RUNS = Number(process.env["DRYDOCK_RUNS"]) || 30;
const STEPS = 40;
const CPUS = 4;
const ZONES = ["a", "b"];

function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Shape = "plain" | "apart" | "spread";

function specOf(shape: Shape): object {
  const labelSelector = { matchLabels: { shape } };
  if (shape === "apart") {
    const term = { topologyKey: "kubernetes.io/hostname", labelSelector };
    return { affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } } };
  }
  if (shape === "plain") return {};
  const constraint = { maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "DoNotSchedule", labelSelector };
  return { topologySpreadConstraints: [constraint] };
}

async function run(seed: number): Promise<void> {
  const random = randomOf(seed);
  const below = (most: number): number => Math.floor(random() * most);
  const clock = new VirtualClock();
  const client = new FakeClient({ clock });
  let faults = true;
  const faulty = withFaults(client, (operation) => {
    if (faults && ["create", "patch", "delete"].includes(operation) && random() < 0.15)
      throw new StatusError(random() < 0.5 ? "Conflict" : "InternalError", "injected");
  });
  let scheduler = startScheduler({ client: faulty, clock, random });
  let names = 0;
  const pods = (): Pod[] => client.all<Pod>(kinds.pods);
  const nodes = (): Node[] => client.all<Node>(kinds.nodes);
  const putNode = (name: string, spec: object): KubeObject =>
    client.put<KubeObject>(kinds.nodes, {
      apiVersion: "v1",
      kind: "Node",
      metadata: { name, labels: { "kubernetes.io/hostname": name, zone: ZONES[Number(name.slice(1)) % 2] as string } },
      spec,
      status: { allocatable: { cpu: String(CPUS), memory: "8Gi", pods: "20" } },
    });
  const place = (pod: Pod): { namespace: string; name: string } => ({
    namespace: "default",
    name: pod.metadata.name ?? "",
  });
  const actions: (() => Promise<unknown> | unknown)[] = [
    async () => {
      const name = `p${(names += 1)}`;
      const shape = (["plain", "plain", "apart", "spread"] as const)[below(4)] as Shape;
      await client.create(
        { ...kinds.pods, namespace: "default", name },
        {
          apiVersion: "v1",
          kind: "Pod",
          metadata: { name, namespace: "default", labels: { shape } },
          spec: {
            priority: below(3),
            containers: [{ name: "c", resources: { requests: { cpu: String(1 + below(2)) } } }],
            ...specOf(shape),
          },
        },
      );
    },
    () => putNode(`n${below(6)}`, {}),
    () => putNode(`n${below(6)}`, { unschedulable: random() < 0.5 }),
    async () => {
      const pod = pods()[below(pods().length)];
      if (pod) await client.delete({ ...kinds.pods, ...place(pod) }, { gracePeriodSeconds: 0 });
    },
    async () => {
      client.dropWatches();
      // The fake API tells nobody of what is deleted before the watches are back.
      await clock.advance(60_000);
    },
    async () => {
      await scheduler.stop();
      scheduler = startScheduler({ client: faulty, clock, random });
    },
    () => clock.advance(below(20_000)),
  ];
  const skewAtBinding = (): void => {
    for (const { metadata } of nodes()) {
      const there = pods().filter(({ spec }) => spec?.nodeName === metadata.name);
      const cpus = there.reduce(
        (sum, { spec }) => sum + Number(spec?.containers[0]?.resources?.requests?.["cpu"] ?? 0),
        0,
      );
      expect(cpus, `seed ${seed}: ${metadata.name} is over-committed`).toBeLessThanOrEqual(CPUS);
      const apart = there.filter((pod) => pod.metadata.labels?.["shape"] === "apart");
      expect(apart.length, `seed ${seed}: two apart on ${metadata.name}`).toBeLessThanOrEqual(1);
    }
  };
  const finish = async (pod: Pod): Promise<void> => {
    if (pod.metadata.deletionTimestamp !== undefined)
      await client.delete({ ...kinds.pods, ...place(pod) }, { gracePeriodSeconds: 0 });
  };
  try {
    for (const name of ["n0", "n1"]) putNode(name, {});
    for (let step = 0; step < STEPS; step += 1) {
      const action = random() < 0.4 ? actions[0] : actions[below(actions.length)];
      await action?.();
      await clock.advance(below(3000));
      skewAtBinding();
      for (const pod of pods()) if (random() < 0.5) await finish(pod);
    }
    faults = false;
    for (const { metadata } of nodes()) putNode(metadata.name ?? "", {});
    for (let round = 0; round < 8; round += 1) {
      for (const pod of pods()) await finish(pod);
      await clock.advance(60_000);
    }
    skewAtBinding();
    // A plain Pod for which any node has room must not be left waiting.
    const free = nodes().map(
      ({ metadata }) =>
        CPUS -
        pods()
          .filter(({ spec }) => spec?.nodeName === metadata.name)
          .reduce((sum, { spec }) => sum + Number(spec?.containers[0]?.resources?.requests?.["cpu"] ?? 0), 0),
    );
    for (const pod of pods()) {
      if (pod.spec?.nodeName || pod.metadata.labels?.["shape"] !== "plain" || pod.status?.nominatedNodeName) continue;
      const cpu = Number(pod.spec?.containers[0]?.resources?.requests?.["cpu"]);
      expect(Math.max(...free), `seed ${seed}: ${pod.metadata.name} was forgotten`).toBeLessThan(cpu);
    }
    // At rest nothing is written but what the five-minute retry says again.
    const writes = client.writes.length;
    await clock.advance(240_000);
    expect(client.writes.length - writes, `seed ${seed}: it runs hot`).toBeLessThan(4 * pods().length + 4);
  } finally {
    await scheduler.stop();
  }
}

const only = process.env["DRYDOCK_SEED"];
test(
  "whatever users, nodes and the API do, the scheduler keeps its promises",
  { timeout: 60_000 + RUNS * 200 },
  async () => {
    const seeds = only === undefined ? Array.from({ length: RUNS }, (_, at) => at + 1) : [Number(only)];
    let held = 0;
    for (const seed of seeds) {
      try {
        await run(seed);
        held += 1;
      } catch (error) {
        throw new Error(`DRYDOCK_SEED=${seed} fails: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        });
      }
    }
    expect(held).toBe(seeds.length);
  },
);
