import { expect, it } from "vitest";
import type { Container, Pod } from "../../../common/kube/types.ts";
import type { RuntimeContainer } from "../runtime/runtime.ts";
import { containerResources } from "./resources.ts";
import { resizeOf } from "./resize.ts";

const NODE = 1024 ** 3;

function resize(before: object, after: object, policy: object[] = []): string {
  const spec = (resources: object): Container =>
    ({ name: "a", image: "i", resources, resizePolicy: policy }) as unknown as Container;
  const pod = (resources: object): Pod =>
    ({ metadata: { name: "p" }, spec: { containers: [spec(resources)] } }) as unknown as Pod;
  const running = { resources: containerResources(pod(before), spec(before), NODE) } as RuntimeContainer;
  return resizeOf(pod(after), spec(after), running, NODE).kind;
}

it("leaves a container that has what it should", () => {
  expect(resize({ limits: { cpu: "1", memory: "64Mi" } }, { limits: { cpu: "1000m", memory: "65536Ki" } })).toBe(
    "none",
  );
});

it("updates limits in place, also when one is taken away", () => {
  expect(resize({ limits: { cpu: "1" } }, { limits: { cpu: "2" } })).toBe("update");
  expect(resize({ limits: { cpu: "1" }, requests: { cpu: "1" } }, { requests: { cpu: "1" } })).toBe("update");
});

it("restarts where the container asks for it, and only for that resource", () => {
  const policy = [{ resourceName: "memory", restartPolicy: "RestartContainer" }];
  expect(resize({ limits: { memory: "64Mi" } }, { limits: { memory: "96Mi" } }, policy)).toBe("restart");
  expect(resize({ limits: { cpu: "1" } }, { limits: { cpu: "2" } }, policy)).toBe("update");
});
