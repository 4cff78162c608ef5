import { afterEach, expect, it } from "vitest";
import type { Service } from "../../../common/kube/types.ts";
import { TestCluster } from "../testing/cluster.ts";
import { kinds } from "./kernel/kinds.ts";

let cluster: TestCluster | undefined;
afterEach(async () => {
  await cluster?.stop();
  cluster = undefined;
});

it("gives a LoadBalancer this computer's name, takes it away with the type, and leaves other classes alone", async () => {
  const of = (cluster = new TestCluster({ controllers: ["service-lb-controller"] }));
  of.start();
  const ports = [{ port: 80, nodePort: 30_080 }];
  await of.create(kinds.services, { metadata: { name: "web" }, spec: { type: "LoadBalancer", ports } });
  await of.create(kinds.services, {
    metadata: { name: "theirs" },
    spec: { type: "LoadBalancer", loadBalancerClass: "example.com/x", ports },
  });
  await of.clock.settle();
  const ingress = (name: string): unknown => of.one<Service>(kinds.services, name).status?.loadBalancer?.ingress;
  expect(ingress("web")).toEqual([{ hostname: "localhost" }]);
  expect(ingress("theirs")).toBeUndefined();
  expect(of.all(kinds.events)).toMatchObject([{ message: "Ensured load balancer: port 80 at localhost:30080" }]);
  await of.patch(kinds.services, "web", { spec: { type: "ClusterIP", ports: [{ port: 80 }] } });
  await of.clock.settle();
  expect(ingress("web")).toBeUndefined();
});
