/** Writes into LoadBalancer Services where they are reached on this computer, with an event that says it in words. */
import { randomBytes } from "node:crypto";
import { isStatus } from "../../common/kube/status.ts";
import type { Service } from "../../common/kube/types.ts";
import { fail } from "./failure.ts";
import type { KubeApi } from "./kube-api.ts";
import { wantedStatus, whereItAnswers } from "./load-balancers.ts";
import type { LoadBalancer } from "./load-balancers.ts";
import { requestJSON } from "./watch.ts";

const SOURCE = "drydock-load-balancer";

/** Those whose status says something else. */
export async function tellServices(
  api: KubeApi,
  services: readonly Service[],
  balancers: readonly LoadBalancer[],
): Promise<void> {
  for (const service of services) {
    const { name, namespace } = service.metadata;
    const balancer = balancers.find((one) => one.service === name && one.namespace === namespace);
    const ingress = wantedStatus(service, balancer);
    if (!ingress) continue;
    try {
      await patchStatus(api, service, ingress);
      if (balancer) await tellEvent(api, service, `Ensured load balancer: port ${whereItAnswers(balancer)}`);
    } catch (error) {
      if (!isStatus(error, "NotFound")) throw error;
    }
  }
}

async function patchStatus(api: KubeApi, { metadata }: Service, ingress: unknown[]): Promise<void> {
  const { namespace = "", name = "" } = metadata;
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/services/${encodeURIComponent(name)}/status`;
  const response = await api.request({
    method: "PATCH",
    path,
    headers: { "content-type": "application/merge-patch+json" },
    body: JSON.stringify({ status: { loadBalancer: ingress.length > 0 ? { ingress } : { ingress: null } } }),
  });
  if (response.status >= 300 && response.status !== 404)
    throw fail("API_REFUSED", `${namespace}/${name}: ${response.status} ${response.body.slice(0, 300)}`);
}

async function tellEvent(api: KubeApi, service: Service, message: string): Promise<void> {
  const { namespace = "", name = "", uid, resourceVersion } = service.metadata;
  const now = new Date().toISOString().replace(/\.\d+Z$/, "Z");
  await requestJSON(api, "POST", `/api/v1/namespaces/${encodeURIComponent(namespace)}/events`, {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: `${name}.${randomBytes(8).toString("hex")}`, namespace },
    involvedObject: { apiVersion: "v1", kind: "Service", namespace, name, uid, resourceVersion },
    type: "Normal",
    reason: "EnsuredLoadBalancer",
    message,
    source: { component: SOURCE },
    reportingComponent: SOURCE,
    firstTimestamp: now,
    lastTimestamp: now,
    count: 1,
  });
}
