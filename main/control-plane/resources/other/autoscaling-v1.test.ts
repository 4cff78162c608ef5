import { expect, it } from "vitest";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { fromOld, toOld } from "./autoscaling-v1.ts";

it("keeps what v1 has no fields for", () => {
  const modern: KubeObject = {
    apiVersion: "autoscaling/v2",
    kind: "HorizontalPodAutoscaler",
    metadata: { name: "web" },
    spec: {
      maxReplicas: 5,
      metrics: [
        { type: "Pods", pods: { metric: { name: "rps" }, target: { type: "AverageValue", averageValue: "10" } } },
        { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 70 } } },
      ],
      behavior: { scaleDown: { stabilizationWindowSeconds: 60 } },
    },
    status: { currentMetrics: null, currentReplicas: 1, desiredReplicas: 2 },
  };
  const old = toOld(modern);
  expect(old["spec"]).toEqual({ maxReplicas: 5, targetCPUUtilizationPercentage: 70 });
  expect(fromOld(old)).toEqual(modern);
});
