import { expect, it } from "vitest";
import type { Pod } from "../../../common/kube/types.ts";
import { podLimits } from "./pod-cgroup.ts";

const container = (requests?: object, limits?: object, more: object = {}): object => ({
  resources: { requests, limits },
  ...more,
});
const limits = (spec: object): ReturnType<typeof podLimits> => podLimits({ metadata: {}, spec } as unknown as Pod);

it("gives a Pod the least weight when it asks for nothing, and no limits", () => {
  expect(limits({ containers: [container()] })).toEqual({ cpuWeight: 1, cpuMax: "max 100000", memoryMax: "max" });
});

it("adds up requests, and limits when every container has one", () => {
  const both = [
    container({ cpu: "500m" }, { cpu: "1", memory: "64Mi" }),
    container({ cpu: "500m" }, { cpu: "250m", memory: "64Mi" }),
  ];
  expect(limits({ containers: both })).toEqual({ cpuWeight: 39, cpuMax: "125000 100000", memoryMax: "134217728" });
  expect(limits({ containers: [...both, container()] })).toMatchObject({ cpuMax: "max 100000", memoryMax: "max" });
});

it("leaves room for an init container that may have more, and for ephemeral containers", () => {
  const small = container({}, { cpu: "100m", memory: "16Mi" });
  const large = container({}, { cpu: "1", memory: "64Mi" });
  expect(limits({ containers: [small], initContainers: [large] })).toMatchObject({
    cpuMax: "100000 100000",
    memoryMax: "67108864",
  });
  expect(limits({ containers: [small], ephemeralContainers: [{ name: "e" }] })).toMatchObject({ memoryMax: "max" });
});
