/**
 * Gives every LoadBalancer Service its address: the developer's own computer. There the Service's node ports are led to
 * 127.0.0.1, so a browser reaches it as localhost. Services of another load balancer class are left to that. The engine, which
 * knows the machines, does without this one and gives each Service an address of its own (main/clusters/load-balancers.ts).
 */
import type { Service } from "../../../common/kube/types.ts";
import { commit, equal } from "./kernel/committer.ts";
import { follow } from "./kernel/controller.ts";
import type { ControllerDefinition } from "./kernel/controller.ts";
import { kinds } from "./kernel/kinds.ts";

type Ingress = NonNullable<NonNullable<NonNullable<Service["status"]>["loadBalancer"]>["ingress"]>;

/** What the status should say; undefined leaves it as it is. A name and not an address: 127.0.0.1 is every node's own too. Pure. */
export function wantedIngress({ metadata, spec }: Service): Ingress | undefined {
  if (spec?.loadBalancerClass) return undefined;
  if (spec?.type !== "LoadBalancer" || metadata.deletionTimestamp) return [];
  return (spec.ports ?? []).some(({ nodePort }) => nodePort) ? [{ hostname: "localhost" }] : [];
}

export const loadBalancerController: ControllerDefinition = {
  name: "service-lb-controller",
  concurrency: 2,
  setup({ client, informers, events }, keys) {
    const services = follow(informers.for<Service>(kinds.services), keys);
    return {
      async reconcile(key) {
        const service = services.get(key);
        const ingress = service && wantedIngress(service);
        if (!service || !ingress) return;
        const has = service.status?.loadBalancer?.ingress ?? [];
        if (equal(has, ingress)) return;
        const loadBalancer = ingress.length > 0 ? { ingress } : {};
        await commit(client, kinds.services, service, {
          ...service,
          status: { ...service.status, loadBalancer },
        } as Service);
        if (ingress.length > 0) {
          const ports = (service.spec?.ports ?? []).flatMap(({ port, nodePort }) =>
            nodePort ? [`${port} at localhost:${nodePort}`] : [],
          );
          events.record(service, "Normal", "EnsuredLoadBalancer", `Ensured load balancer: port ${ports.join(", ")}`);
        }
      },
    };
  },
};
