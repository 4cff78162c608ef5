import fc from "fast-check";
import { expect, test } from "vitest";
import type { Node, Pod } from "../../../common/kube/types.ts";
import { ClusterCache } from "./cache.ts";
import { Cycle } from "./cycle.ts";
import { PodInfo } from "./model.ts";
import { defaultPlugins } from "./plugins/index.ts";
import { profileOf } from "./profiles.ts";

const NODES = 6;

const node = (at: number, cpu: number, tainted: boolean, zone: string): Node =>
  ({
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: `n${at}`, labels: { "kubernetes.io/hostname": `n${at}`, zone } },
    spec: { unschedulable: cpu === 3, ...(tainted ? { taints: [{ key: "k", effect: "NoSchedule" }] } : {}) },
    status: { allocatable: { cpu: String(cpu), memory: "4Gi", pods: "4" } },
  }) as unknown as Node;

/** Four shapes, of which the last also looks at the cluster. */
const pod = (name: string, shape: number): Pod =>
  ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default", uid: name, labels: { app: "a" } },
    spec: {
      containers: [
        {
          name: "c",
          image: "i",
          resources: { requests: { cpu: shape === 0 ? "1" : "500m" } },
          ...(shape === 2 ? { ports: [{ hostPort: 80, containerPort: 80 }] } : {}),
        },
      ],
      ...(shape === 1 ? { nodeSelector: { zone: "a" }, tolerations: [{ operator: "Exists" }] } : {}),
      ...(shape === 3
        ? {
            affinity: {
              podAntiAffinity: {
                requiredDuringSchedulingIgnoredDuringExecution: [
                  { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: { app: "a" } } },
                ],
              },
            },
          }
        : {}),
    },
  }) as unknown as Pod;

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("schedule" as const), shape: fc.nat(3) }) },
  fc.record({ do: fc.constant("end" as const), which: fc.nat(20) }),
  fc.record({
    do: fc.constant("node" as const),
    at: fc.nat(NODES - 1),
    cpu: fc.integer({ min: 1, max: 4 }),
    tainted: fc.boolean(),
    zone: fc.constantFrom("a", "b"),
  }),
  fc.record({ do: fc.constant("gone" as const), at: fc.nat(NODES - 1) }),
);

test("answers that were kept are those that would be given", () => {
  const keeping = profileOf();
  const asking = profileOf(
    keeping.schedulerName,
    defaultPlugins.map((plugin) => ({ ...plugin, ofNodeAlone: false })),
  );
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 40 }), (steps) => {
      const cluster = new ClusterCache();
      for (let at = 0; at < NODES; at += 1) cluster.setNode(node(at, 2, false, "a"));
      const [one, other] = [new Cycle(() => 0.5), new Cycle(() => 0.5)];
      const placed: string[] = [];
      for (const [count, each] of steps.entries()) {
        if (each.do === "node") cluster.setNode(node(each.at, each.cpu, each.tainted, each.zone));
        else if (each.do === "gone") cluster.removeNode(`n${each.at}`);
        else if (each.do === "end") cluster.removePod(placed[each.which] ?? "");
        else {
          const info = new PodInfo(pod(`p${count}`, each.shape));
          const verdict = one.decide(info, cluster, keeping);
          expect(verdict).toEqual(other.decide(info, cluster, asking));
          if (!("node" in verdict)) continue;
          cluster.assume(info, verdict.node);
          placed.push(info.uid);
        }
      }
    }),
    { seed: 20261128, numRuns: 300 },
  );
});

test("a node that stayed as it was is not asked again for a Pod of the same shape", () => {
  const asked: string[] = [];
  const plugin = {
    name: "Counting",
    ofNodeAlone: true,
    prepare: () => ({
      filter: ({ name }: { name: string }) => {
        asked.push(name);
        return undefined;
      },
      score: () => 0,
    }),
  };
  const cluster = new ClusterCache();
  for (const at of [0, 1, 2]) cluster.setNode(node(at, 2, false, "a"));
  const cycle = new Cycle(() => 1);
  const profile = profileOf("default-scheduler", [plugin]);
  const schedule = (name: string, shape = 0): string[] => {
    asked.length = 0;
    const info = new PodInfo(pod(name, shape));
    const verdict = cycle.decide(info, cluster, profile);
    if ("node" in verdict) cluster.assume(info, verdict.node);
    return [...asked];
  };
  expect(schedule("a")).toEqual(["n0", "n1", "n2"]);
  expect(schedule("b")).toEqual(["n0"]);
  expect(schedule("c", 1)).toEqual(["n0", "n1", "n2"]);
  cluster.setNode(node(2, 2, true, "a"));
  expect(schedule("d")).toEqual(["n0", "n2"]);
});
