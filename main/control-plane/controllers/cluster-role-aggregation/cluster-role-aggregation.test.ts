import { afterEach, expect, test } from "vitest";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { TestCluster } from "../../testing/cluster.ts";
import { kinds } from "../kernel/kinds.ts";

let cluster: TestCluster | undefined;
afterEach(() => cluster?.stop());

test("an aggregating role has the rules of those it selects, as they come, change and go", async () => {
  const of = (cluster = new TestCluster({ controllers: ["clusterrole-aggregation-controller"] }));
  of.start();
  await of.clock.settle();
  const rule = (resource: string): object => ({ apiGroups: [""], resources: [resource], verbs: ["get"] });
  await of.create<KubeObject>(kinds.clusterRoles, {
    metadata: { name: "sum" },
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { part: "yes" } }] },
  } as never);
  await of.create<KubeObject>(kinds.clusterRoles, {
    metadata: { name: "one", labels: { part: "yes" } },
    rules: [rule("pods")],
  } as never);
  await of.create<KubeObject>(kinds.clusterRoles, { metadata: { name: "other" }, rules: [rule("nodes")] } as never);
  await of.clock.settle();
  expect(of.one<KubeObject>(kinds.clusterRoles, "sum")["rules"]).toEqual([rule("pods")]);
  await of.patch(kinds.clusterRoles, "one", { rules: [rule("services")] });
  await of.clock.settle();
  expect(of.one<KubeObject>(kinds.clusterRoles, "sum")["rules"]).toEqual([rule("services")]);
  await of.client.delete({ ...kinds.clusterRoles, name: "one" });
  await of.clock.settle();
  expect(of.one<KubeObject>(kinds.clusterRoles, "sum")["rules"]).toEqual([]);
  expect(of.log).toEqual([]);
});
