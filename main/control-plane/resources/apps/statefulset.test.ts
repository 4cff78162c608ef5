import { describe, expect, it } from "vitest";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { statefulSet } from "./statefulset.ts";

const set = (mounts: string[], claims: string[], volumes: object[] = []): KubeObject =>
  ({
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: { name: "db", namespace: "default" },
    spec: {
      serviceName: "db",
      replicas: 1,
      podManagementPolicy: "OrderedReady",
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 0 } },
      selector: { matchLabels: { app: "db" } },
      template: {
        metadata: { labels: { app: "db" } },
        spec: {
          restartPolicy: "Always",
          dnsPolicy: "ClusterFirst",
          schedulerName: "default-scheduler",
          terminationGracePeriodSeconds: 30,
          containers: [
            {
              name: "c",
              image: "i",
              imagePullPolicy: "Always",
              terminationMessagePolicy: "File",
              volumeMounts: mounts.map((name) => ({ name, mountPath: `/${name}` })),
            },
          ],
          volumes,
        },
      },
      volumeClaimTemplates: claims.map((name) => ({ metadata: { name }, spec: { accessModes: ["ReadWriteOnce"] } })),
    },
  }) as KubeObject;

describe("a StatefulSet", () => {
  it.each([
    ["its claim templates", ["data"], ["data"], []],
    ["volumes of its Pods", ["tmp"], ["data"], [{ name: "tmp", emptyDir: {} }]],
    ["a claim template instead of a volume of that name", ["data"], ["data"], [{ name: "data", emptyDir: {} }]],
  ])("may mount %s", (_, mounts, claims, volumes) => {
    expect(statefulSet.strategy.validate?.(set(mounts, claims, volumes), {} as never)).toEqual([]);
  });

  it("may not mount what is neither", () => {
    expect(statefulSet.strategy.validate?.(set(["other"], ["data"]), {} as never)).toMatchObject([
      { field: "spec.template.spec.containers[0].volumeMounts[0].name" },
    ]);
  });
});
