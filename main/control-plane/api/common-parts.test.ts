import { expect, it } from "vitest";
import type { KubeObject } from "../../../common/kube/object.ts";
import { shareParts } from "./common-parts.ts";

interface Pod extends KubeObject {
  spec: { nodeName: string; containers: { volumeMounts: object[]; resources: object }[]; tolerations: object[] };
}

const pod = (name: string): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, labels: { app: "web" } },
  spec: {
    nodeName: name,
    containers: [{ volumeMounts: [{ name: `token-${name}` }], resources: { limits: { cpu: "1" } } }],
    tolerations: [{ key: "a", operator: "Exists" }],
  },
});

it("keeps once what objects have in common, and changes nothing of what they say", () => {
  const [a, b] = [pod("a"), pod("b")];
  for (const one of [a, b]) shareParts(one);
  expect([a, b]).toEqual([pod("a"), pod("b")]);
  expect(b.spec.tolerations).toBe(a.spec.tolerations);
  expect(b.spec.containers[0]?.resources).toBe(a.spec.containers[0]?.resources);
  expect(b.spec.containers[0]).not.toBe(a.spec.containers[0]);
  expect(b.metadata.labels).not.toBe(a.metadata.labels);
});
