/** Services: addresses and ports that stay while Pods come and go. */
import { dns1035LabelProblems } from "../../../../common/kube/names.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { Service } from "../../../../common/kube/types.ts";
import type { ResourceDefinition } from "../definition.ts";
import { define, shows, showsAge, statusSubresource, table, withStatus } from "../define.ts";
import { formatLabels } from "../workload/columns.ts";
import type { ServiceAllocator } from "./service-allocator.ts";
import { wantsNodePorts } from "./service-allocator.ts";
import { validateService, validateServiceUpdate } from "./service-validation.ts";

type Spec = NonNullable<Service["spec"]>;
type Port = NonNullable<Spec["ports"]>[number];

const needsAddress = (spec: Spec): boolean => spec.type !== "ExternalName";
const specOf = (object: KubeObject): Spec => ((object as Service).spec ?? {}) as Spec;

function externalAddresses(service: Service): string {
  const spec = specOf(service);
  const own = spec.externalIPs ?? [];
  if (spec.type === "ExternalName") return spec.externalName ?? "";
  if (spec.type !== "LoadBalancer") return own.length > 0 ? own.join(",") : "<none>";
  const given = (service.status?.loadBalancer?.ingress ?? []).map((one) => one.ip || one.hostname || "");
  const all = [...new Set([...given.filter(Boolean), ...own])];
  return all.length > 0 ? all.join(",") : "<pending>";
}

/** "80/TCP,443:30443/TCP" */
function portsText(service: Service): string {
  const ports = specOf(service).ports ?? [];
  if (ports.length === 0) return "<none>";
  return ports
    .map(({ port, nodePort, protocol }) => `${port}${nodePort ? `:${nodePort}` : ""}/${protocol ?? "TCP"}`)
    .join(",");
}

/** clusterIP and the first of clusterIPs are one and the same, whichever was written. */
function alignAddresses(spec: Spec): void {
  if (spec.clusterIP && !spec.clusterIPs?.length) spec.clusterIPs = [spec.clusterIP];
  else if (!spec.clusterIP && spec.clusterIPs?.[0]) spec.clusterIP = spec.clusterIPs[0];
}

function setFamilies(spec: Spec): void {
  if (!needsAddress(spec)) return;
  spec.ipFamilies ??= ["IPv4"];
  spec.ipFamilyPolicy ??= "SingleStack";
}

/** Who changes clusterIP alone means the first of clusterIPs as well. */
function followAddress(spec: Spec, before: Spec): void {
  const listed = (spec.clusterIPs ?? []).join() === (before.clusterIPs ?? []).join();
  if (!spec.clusterIP || spec.clusterIP === before.clusterIP || !listed) return;
  spec.clusterIPs = [spec.clusterIP];
}

/** A PUT without what was allocated keeps it. */
function keepAllocated(spec: Spec, before: Spec): void {
  followAddress(spec, before);
  if (needsAddress(spec) && needsAddress(before)) {
    if (!spec.clusterIP) {
      if (before.clusterIP !== undefined) spec.clusterIP = before.clusterIP;
      if (!spec.clusterIPs?.length && before.clusterIPs) spec.clusterIPs = [...before.clusterIPs];
    }
    spec.ipFamilies ??= before.ipFamilies;
    spec.ipFamilyPolicy ??= before.ipFamilyPolicy;
  }
  if (spec.type === "NodePort" || spec.type === "LoadBalancer") {
    const used = new Set((spec.ports ?? []).map((port) => port.nodePort));
    for (const port of spec.ports ?? []) {
      if (port.nodePort) continue;
      const same = (one: Port): boolean =>
        one.port === port.port && (one.protocol ?? "TCP") === (port.protocol ?? "TCP");
      const nodePort = before.ports?.find(same)?.nodePort;
      if (nodePort && !used.has(nodePort)) port.nodePort = nodePort;
    }
    if (!spec.healthCheckNodePort && before.healthCheckNodePort && spec.externalTrafficPolicy === "Local") {
      spec.healthCheckNodePort = before.healthCheckNodePort;
    }
  }
}

/** Fields that the old type had allocated and the new type has no use for go away by themselves. */
function dropUnused(object: KubeObject, spec: Spec, before: Spec): void {
  if (before.type === spec.type) return;
  if (spec.type === "ExternalName" && spec.clusterIP === before.clusterIP) {
    for (const field of ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] as const) delete spec[field];
  }
  if (!wantsNodePorts(object)) {
    const old = new Set((before.ports ?? []).map((port) => port.nodePort));
    for (const port of spec.ports ?? []) if (old.has(port.nodePort)) delete port.nodePort;
    if (spec.healthCheckNodePort === before.healthCheckNodePort) delete spec.healthCheckNodePort;
    if (spec.type === "ClusterIP" && spec.externalTrafficPolicy === before.externalTrafficPolicy) {
      delete spec.externalTrafficPolicy;
    }
  }
}

export function service(allocator: ServiceAllocator): ResourceDefinition {
  return define({
    group: "",
    version: "v1",
    kind: "Service",
    resource: "services",
    shortNames: ["svc"],
    categories: ["all"],
    nameProblems: dns1035LabelProblems,
    strategy: withStatus(
      {
        defaults: (object) => alignAddresses(specOf(object)),
        prepareForCreate: (object) => setFamilies(specOf(object)),
        prepareForUpdate(object, old) {
          keepAllocated(specOf(object), specOf(old));
          dropUnused(object, specOf(object), specOf(old));
          setFamilies(specOf(object));
        },
        validate: validateService,
        validateUpdate: validateServiceUpdate,
        claim: (object, old) => allocator.claim(object, old),
        released: (object) => allocator.released(object),
      },
      () => ({ loadBalancer: {} }),
    ),
    table: table<Service>(
      shows("Type", "How the Service is reached", (one) => specOf(one).type ?? ""),
      shows("Cluster-IP", "The address in the cluster", (one) => specOf(one).clusterIP || "<none>"),
      shows("External-IP", "Addresses from outside", externalAddresses),
      shows("Port(s)", "Ports, node ports and protocols", portsText),
      showsAge,
      shows("Selector", "Which Pods are behind it", (one) => formatLabels(specOf(one).selector), { wide: true }),
    ),
    selectableFields: {
      "spec.clusterIP": (object) => specOf(object).clusterIP ?? "",
      "spec.type": (object) => specOf(object).type ?? "",
    },
    subresources: [
      statusSubresource(),
      { name: "proxy", verbs: ["create", "delete", "get", "patch", "update"], handled: true },
    ],
  });
}
