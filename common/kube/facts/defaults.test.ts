import { expect, test } from "vitest";
import type { KubeObject } from "../object.ts";
import { applyDefaults, defaultPullPolicy } from "./defaults.ts";

function filled(apiVersion: string, kind: string, rest: object): KubeObject {
  const object: KubeObject = { apiVersion, kind, metadata: { name: "x" }, ...structuredClone(rest) };
  applyDefaults(object);
  return object;
}
const containers = [{ name: "c", image: "nginx" }];

test("a Pod", () => {
  const pod = filled("v1", "Pod", {
    spec: {
      containers: [
        {
          ...containers[0],
          ports: [{ containerPort: 80 }],
          resources: { limits: { cpu: "1" } },
          readinessProbe: { httpGet: { port: 80 } },
        },
      ],
      volumes: [{ name: "v", configMap: { name: "c" } }],
    },
  });
  expect(pod["spec"]).toMatchObject({
    restartPolicy: "Always",
    dnsPolicy: "ClusterFirst",
    schedulerName: "default-scheduler",
    terminationGracePeriodSeconds: 30,
    securityContext: {},
    enableServiceLinks: true,
    containers: [
      {
        imagePullPolicy: "Always",
        terminationMessagePath: "/dev/termination-log",
        terminationMessagePolicy: "File",
        ports: [{ containerPort: 80, protocol: "TCP" }],
        resources: { limits: { cpu: "1" }, requests: { cpu: "1" } },
        readinessProbe: {
          periodSeconds: 10,
          timeoutSeconds: 1,
          successThreshold: 1,
          failureThreshold: 3,
          httpGet: { path: "/", scheme: "HTTP" },
        },
      },
    ],
    volumes: [{ configMap: { defaultMode: 0o644 } }],
  });
});

test("a Deployment: what was written stays", () => {
  const deployment = filled("apps/v1", "Deployment", {
    spec: {
      replicas: 0,
      template: { spec: { containers, restartPolicy: "Always" } },
      strategy: { rollingUpdate: { maxSurge: 1 } },
    },
  });
  expect(deployment["spec"]).toMatchObject({
    replicas: 0,
    revisionHistoryLimit: 10,
    progressDeadlineSeconds: 600,
    strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: "25%" } },
    template: { spec: { dnsPolicy: "ClusterFirst" } },
  });
});

test("Recreate has no rolling update; a host's port is the container's", () => {
  const deployment = filled("apps/v1", "Deployment", {
    spec: {
      strategy: { type: "Recreate" },
      template: { spec: { hostNetwork: true, containers: [{ ...containers[0], ports: [{ containerPort: 80 }] }] } },
    },
  });
  expect(deployment["spec"]).toMatchObject({
    strategy: { type: "Recreate" },
    template: { spec: { containers: [{ ports: [{ containerPort: 80, hostPort: 80 }] }] } },
  });
  expect((deployment["spec"] as { strategy: object }).strategy).not.toHaveProperty("rollingUpdate");
});

test.each([
  [{}, { backoffLimit: 6, podReplacementPolicy: "TerminatingOrFailed" }],
  [{ completionMode: "Indexed", completions: 2, backoffLimitPerIndex: 0 }, { backoffLimit: 2_147_483_647 }],
  [
    { podFailurePolicy: { rules: [{ action: "Ignore", onPodConditions: [{ type: "DisruptionTarget" }] }] } },
    {
      podReplacementPolicy: "Failed",
      podFailurePolicy: { rules: [{ onPodConditions: [{ type: "DisruptionTarget", status: "True" }] }] },
    },
  ],
])("a Job with %j", (spec, filledIn) => {
  expect(filled("batch/v1", "Job", { spec: { ...spec, template: { spec: { containers } } } })["spec"]).toMatchObject(
    filledIn,
  );
});

test("a HorizontalPodAutoscaler whose behaviour says one thing is told the others", () => {
  const behavior = { scaleDown: { selectPolicy: "Disabled" } };
  const scaler = filled("autoscaling/v2", "HorizontalPodAutoscaler", { spec: { maxReplicas: 2, behavior } });
  expect((scaler["spec"] as { behavior: object }).behavior).toEqual({
    scaleDown: { selectPolicy: "Disabled", policies: [{ type: "Percent", value: 100, periodSeconds: 15 }] },
    scaleUp: {
      stabilizationWindowSeconds: 0,
      selectPolicy: "Max",
      policies: [
        { type: "Pods", value: 4, periodSeconds: 15 },
        { type: "Percent", value: 100, periodSeconds: 15 },
      ],
    },
  });
});

test("twice is as once, and objects do not share their defaults", () => {
  const one = filled("v1", "Pod", { spec: { containers } });
  const again = structuredClone(one);
  applyDefaults(again);
  expect(again).toEqual(one);
  const other = filled("v1", "Pod", { spec: { containers } });
  expect((one["spec"] as { securityContext: object }).securityContext).not.toBe(
    (other["spec"] as { securityContext: object }).securityContext,
  );
});

test.each([
  ["nginx", "Always"],
  ["nginx:latest", "Always"],
  ["nginx:1.27", "IfNotPresent"],
  ["registry:5000/nginx", "Always"],
  ["registry:5000/nginx:1", "IfNotPresent"],
  ["nginx@sha256:abc", "IfNotPresent"],
])("%s is pulled %s", (image, policy) => {
  expect(defaultPullPolicy(image)).toBe(policy);
});
