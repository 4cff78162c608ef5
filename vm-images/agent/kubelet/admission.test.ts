import { expect, it } from "vitest";
import type { Pod } from "../../../common/kube/types.ts";
import { requestedBy, shortageMessage, shortageOf } from "./admission.ts";

const pod = (uid: string, cpu: string, more: object = {}): Pod =>
  ({
    metadata: { uid },
    spec: { containers: [{ name: "a", resources: { requests: { cpu, memory: "100Mi" } } }] },
    ...more,
  }) as unknown as Pod;
const capacity = { cpuMilli: 2000, memoryBytes: 300 * 1024 ** 2, pods: 3 };

it("takes what fits beside the others, and says what does not", () => {
  expect(shortageOf(pod("a", "1"), [], capacity)).toBeUndefined();
  expect(shortageOf(pod("a", "1"), [pod("b", "1")], capacity)).toBeUndefined();
  const cpu = shortageOf(pod("a", "1500m"), [pod("b", "1")], capacity);
  expect(cpu && shortageMessage(cpu)).toBe(
    "Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000",
  );
  const memory = { ...capacity, memoryBytes: 150 * 1024 ** 2 };
  expect(shortageOf(pod("a", "1"), [pod("b", "1")], memory)?.resource).toBe("memory");
  const many = ["b", "c", "d"].map((uid) => pod(uid, "0"));
  expect(shortageOf(pod("a", "0"), many, capacity)).toMatchObject({ resource: "pods", used: 3 });
});

it("counts neither the Pod itself nor those that have ended", () => {
  const over = [pod("a", "2"), pod("b", "2", { status: { phase: "Succeeded" } })];
  expect(shortageOf(pod("a", "2"), over, capacity)).toBeUndefined();
});

it("counts what a Pod was given, not what it asks for, as long as its resize waits", () => {
  const used = (containerStatuses: object[], conditions: object[] = []): number | undefined =>
    shortageOf(pod("a", "2"), [pod("b", "90", { status: { conditions, containerStatuses } })], capacity)?.used;
  expect(used([{ name: "a", allocatedResources: { cpu: "500m" } }])).toBe(500);
  expect(used([{ name: "a" }])).toBe(90_000);
  expect(used([{ name: "a" }], [{ type: "PodResizePending", status: "True" }])).toBeUndefined();
});

it("asks for the largest init container, or for the others with the sidecars", () => {
  const container = (cpu: string, restartPolicy?: string): object => ({
    resources: { limits: { cpu } },
    ...(restartPolicy ? { restartPolicy } : {}),
  });
  const of = (init: object[]): number =>
    requestedBy(
      { metadata: {}, spec: { initContainers: init, containers: [container("300m")] } } as unknown as Pod,
      "cpu",
    );
  expect(of([container("200m"), container("900m")])).toBe(900);
  expect(of([container("200m", "Always"), container("400m")])).toBe(500);
});
