import { expect, test } from "vitest";
import { DESIRED_REPLICAS, MAX_REPLICAS } from "./model.ts";
import type { DeploymentObject, ReplicaSetObject } from "./model.ts";
import { decideStep } from "./rollout.ts";

interface Size {
  image: string;
  replicas: number;
  generation: number;
  observed: number;
  available: number;
}

const template = (image: string): object => ({
  metadata: { labels: { app: "web" } },
  spec: { containers: [{ name: "web", image }] },
});

function set({ image, replicas, generation, observed, available }: Size): ReplicaSetObject {
  return {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: {
      name: `web-${image}`,
      uid: image,
      generation,
      annotations: {
        [DESIRED_REPLICAS]: "6",
        [MAX_REPLICAS]: "9",
        "deployment.kubernetes.io/revision": image === "a" ? "2" : "1",
      },
    },
    spec: { replicas, minReadySeconds: 0, selector: {}, template: template(image) },
    status: { observedGeneration: observed, replicas: available, availableReplicas: available },
  } as unknown as ReplicaSetObject;
}

/** Of six Pods two may be missing; "a" is the present template, taken back to in the middle of a rollout to "c". */
function sizesAfter(a: Omit<Size, "image">, c: Omit<Size, "image">): Record<string, number | undefined> {
  const deployment = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", generation: 1 },
    spec: {
      replicas: 6,
      selector: { matchLabels: { app: "web" } },
      template: template("a"),
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 3, maxUnavailable: 2 } },
    },
  } as unknown as DeploymentObject;
  const step = decideStep({
    deployment,
    replicaSets: [set({ image: "c", ...c }), set({ image: "a", ...a })],
    podsOf: () => [],
  });
  return Object.fromEntries(step.change.map(({ metadata, spec }) => [metadata.uid ?? "", spec.replicas]));
}

test("Pods that run well stay while the status of a ReplicaSet is of an earlier size", () => {
  const c = { replicas: 6, generation: 3, observed: 3, available: 6 };
  // It was shrunk to one and grown to three: of the four that its status counts two are gone.
  expect(sizesAfter({ replicas: 3, generation: 6, observed: 5, available: 4 }, c)).toEqual({});
  expect(sizesAfter({ replicas: 3, generation: 6, observed: 6, available: 2 }, c)).toEqual({ c: 2 });
});

test("Pods that do not run well go all the same, and none is counted that was given up", () => {
  const c = { replicas: 6, generation: 3, observed: 3, available: 4 };
  expect(sizesAfter({ replicas: 3, generation: 6, observed: 5, available: 4 }, c)).toEqual({ c: 4 });
});
