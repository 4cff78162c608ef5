import { expect, it } from "vitest";
import type { Pod } from "../../../../../common/kube/types.ts";
import { mergeLabelKeys } from "./label-keys.ts";

it("writes the values of a Pod's own labels into the selectors beside the keys", () => {
  const term = { topologyKey: "zone", labelSelector: { matchLabels: { app: "web" } } };
  const pod = {
    metadata: { labels: { app: "web", "pod-template-hash": "abc", tenant: "a" } },
    spec: {
      containers: [],
      affinity: {
        podAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            { weight: 1, podAffinityTerm: { ...structuredClone(term), matchLabelKeys: ["pod-template-hash", "none"] } },
          ],
        },
        podAntiAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: [
            { ...structuredClone(term), mismatchLabelKeys: ["tenant"] },
            { topologyKey: "zone", matchLabelKeys: ["tenant"] },
          ],
        },
      },
      topologySpreadConstraints: [
        {
          ...structuredClone(term),
          maxSkew: 1,
          whenUnsatisfiable: "DoNotSchedule",
          matchLabelKeys: ["pod-template-hash"],
        },
      ],
    },
  } as unknown as Pod;
  mergeLabelKeys(pod);
  const hash = { key: "pod-template-hash", operator: "In", values: ["abc"] };
  expect(pod.spec).toMatchObject({
    affinity: {
      podAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [
          { podAffinityTerm: { labelSelector: { matchLabels: { app: "web" }, matchExpressions: [hash] } } },
        ],
      },
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { labelSelector: { matchExpressions: [{ key: "tenant", operator: "NotIn", values: ["a"] }] } },
          { topologyKey: "zone", matchLabelKeys: ["tenant"] },
        ],
      },
    },
    topologySpreadConstraints: [{ labelSelector: { matchExpressions: [hash] } }],
  });
  expect(pod.spec?.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.[1]).not.toHaveProperty(
    "labelSelector",
  );
});
