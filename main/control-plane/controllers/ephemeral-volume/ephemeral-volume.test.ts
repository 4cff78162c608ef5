import { afterEach, expect, it } from "vitest";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { TestCluster } from "../../testing/cluster.ts";
import { kinds } from "../kernel/kinds.ts";

let cluster: TestCluster | undefined;
afterEach(async () => {
  await cluster?.stop();
  cluster = undefined;
});

const pod = (name: string): { metadata: { name: string }; spec: object } => ({
  metadata: { name },
  spec: {
    containers: [],
    volumes: [
      { name: "plain", emptyDir: {} },
      {
        name: "scratch",
        ephemeral: {
          volumeClaimTemplate: {
            metadata: { labels: { a: "b" } },
            spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Mi" } } },
          },
        },
      },
    ],
  },
});

it("makes a claim for each such volume, owned by its Pod", async () => {
  const of = (cluster = new TestCluster({ controllers: ["ephemeral-volume-controller"] }));
  of.start();
  const made = await of.create(kinds.pods, pod("p"));
  await of.clock.settle();
  expect(of.all(kinds.persistentVolumeClaims)).toMatchObject([
    {
      metadata: {
        name: "p-scratch",
        labels: { a: "b" },
        ownerReferences: [{ uid: made.metadata.uid, controller: true }],
      },
      spec: { resources: { requests: { storage: "1Mi" } } },
    },
  ]);
});

it("takes no claim that is somebody else's", async () => {
  const of = (cluster = new TestCluster({ controllers: ["ephemeral-volume-controller"] }));
  of.start();
  await of.create<KubeObject>(kinds.persistentVolumeClaims, { metadata: { name: "p-scratch" } });
  await of.create(kinds.pods, pod("p"));
  await of.clock.settle();
  expect(of.all(kinds.events)).toMatchObject([{ reason: "EphemeralVolumeFailed" }]);
});
