import { expect, test } from "vitest";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { componentStatuses, leaseProblem } from "./component-status.ts";

const NOW = Date.parse("2026-01-01T00:01:00Z");
const lease = (spec: object): KubeObject => ({
  apiVersion: "coordination.k8s.io/v1",
  kind: "Lease",
  metadata: {},
  spec,
});
const held = { holderIdentity: "me", leaseDurationSeconds: 15, renewTime: "2026-01-01T00:00:50.000000Z" };

test.each([
  [lease(held), undefined],
  [lease({ ...held, renewTime: "2026-01-01T00:00:00.000000Z" }), "its Lease was not renewed for 60 s"],
  [lease({ ...held, holderIdentity: "" }), "nobody leads"],
  [undefined, "nobody leads"],
])("%# a Lease says whether somebody works", (given, expected) => {
  expect(leaseProblem(given, NOW)).toBe(expected);
});

test("each component is asked by itself, and a failure is told of it alone", async () => {
  const { computed } = componentStatuses(() => ({
    reader: { live: async (_resource, _namespace, name) => (name === "kube-scheduler" ? lease(held) : undefined) },
    askStore: async () => {
      throw new Error("no space left");
    },
    now: () => NOW,
  }));
  const said = (await computed?.list(undefined, {}))?.map(({ metadata, ...rest }) => [
    metadata.name,
    (rest["conditions"] as { status: string; message: string }[])[0],
  ]);
  expect(said).toEqual([
    ["scheduler", { type: "Healthy", status: "True", message: "ok" }],
    ["controller-manager", { type: "Healthy", status: "False", message: "nobody leads" }],
    ["etcd-0", { type: "Healthy", status: "False", message: "no space left" }],
  ]);
  await expect(computed?.get(undefined, "nothing")).rejects.toMatchObject({ code: 404 });
});
