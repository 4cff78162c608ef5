import { expect, it } from "vitest";
import type { Pod } from "../../../common/kube/types.ts";
import type { PodSample } from "../stats/collect.ts";
import { overgrown, overLimit, unusedImages, victimOf } from "./decide.ts";

const MiB = 1024 ** 2;

function sample(
  name: string,
  mebibytes: number,
  spec: { request?: string; limit?: string; priority?: number; volumes?: object[] } = {},
): PodSample {
  const resources = {
    ...(spec.request ? { requests: { memory: spec.request, cpu: "1" } } : {}),
    ...(spec.limit ? { limits: { memory: spec.limit, cpu: "1" } } : {}),
  };
  return {
    pod: {
      metadata: { name },
      spec: { priority: spec.priority ?? 0, volumes: spec.volumes, containers: [{ name: "a", resources }] },
    } as unknown as Pod,
    containers: [{ usage: { workingSetBytes: mebibytes * MiB }, logBytes: 0 }],
    traffic: [],
    volumes: [{ name: "v", claim: undefined, usedBytes: 3 * MiB }],
  } as unknown as PodSample;
}
const victim = (...samples: PodSample[]): string | undefined => victimOf(samples, "memory")?.pod.metadata.name;

it("evicts who uses more than was asked for first, then by priority, then by excess", () => {
  expect(victim(sample("within", 500, { request: "600Mi" }), sample("above", 100, { request: "50Mi" }))).toBe("above");
  expect(victim(sample("low", 60), sample("high", 900, { priority: 5 }))).toBe("low");
  expect(victim(sample("some", 60), sample("more", 90))).toBe("more");
});

it("spares what the cluster cannot do without, and what stays within its guarantee", () => {
  expect(victim(sample("critical", 900, { priority: 2_000_000_000 }))).toBeUndefined();
  expect(victim(sample("guaranteed", 50, { request: "64Mi", limit: "64Mi" }))).toBeUndefined();
  expect(victim()).toBeUndefined();
});

it("finds emptyDirs that have outgrown their limit, on disk only", () => {
  const of = (emptyDir: object): number => overgrown([sample("p", 1, { volumes: [{ name: "v", emptyDir }] })]).length;
  expect([
    of({ sizeLimit: "1Mi" }),
    of({ sizeLimit: "4Mi" }),
    of({}),
    of({ sizeLimit: "1Mi", medium: "Memory" }),
  ]).toEqual([1, 0, 0, 0]);
});

it("counts what containers write beside their volumes", () => {
  const filled = (name: string, layerBytes: number, limit?: string): PodSample => ({
    ...sample(name, 1),
    pod: {
      metadata: { name },
      spec: { containers: [{ name: "a", resources: limit ? { limits: { "ephemeral-storage": limit } } : {} }] },
    } as unknown as Pod,
    containers: [{ name: "a", logBytes: 0, layerBytes }] as PodSample["containers"],
  });
  expect(victimOf([filled("small", MiB), filled("big", 9 * MiB)], "ephemeral-storage")?.pod.metadata.name).toBe("big");
  expect(overLimit([filled("over", 9 * MiB, "5Mi"), filled("within", MiB, "5Mi"), filled("free", 9 * MiB)])).toEqual([
    expect.objectContaining({
      message: `Pod ephemeral local storage usage exceeds the total limit of containers ${5 * MiB}. `,
    }),
  ]);
});

it("removes the largest images that nobody uses, as many as are needed", () => {
  const image = (id: string, bytes: number, name = `r/${id}:1`): { id: string; names: string[]; bytes: number } => ({
    id,
    names: [name],
    bytes,
  });
  const images = [
    image("small", 1),
    image("big", 9),
    image("used", 50),
    image("ours", 60, "drydock.local/x:1"),
    image("middle", 5),
  ];
  expect(unusedImages(images, new Set(["used"]), 10)).toEqual(["big", "middle"]);
});
