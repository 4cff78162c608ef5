/** What a Service must look like. */
import { dnsLabelProblems, dnsSubdomainProblems } from "../../../../common/kube/names.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import type { Service } from "../../../../common/kube/types.ts";
import { validateLabels } from "../validation/metadata.ts";
import { addressProblems, cidrProblems, portNumberProblems, validatePort } from "../validation/numbers.ts";
import { Problems } from "../validation/problems.ts";

type Spec = NonNullable<Service["spec"]>;

const types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const protocols = ["SCTP", "TCP", "UDP"];
const mostAffinitySeconds = 86_400;
const isExternal = (spec: Spec): boolean =>
  spec.type === "LoadBalancer" || spec.type === "NodePort" || (spec.externalIPs ?? []).length > 0;

export function validateService(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const spec = ((object as Service).spec ?? {}) as Spec;
  const headless = spec.clusterIP === "None";
  const ports = spec.ports ?? [];
  if (ports.length === 0 && !headless && spec.type !== "ExternalName") problems.required("spec.ports");
  if (spec.type === "ExternalName") externalName(spec, problems);
  if ((spec.type === "LoadBalancer" || spec.type === "NodePort") && headless) {
    problems.invalid("spec.clusterIPs[0]", "None", `may not be set to 'None' for ${spec.type} services`);
  }
  problems.add(validateLabels(spec.selector, "spec.selector"));
  affinity(spec, problems);
  problems.oneOf("spec.type", spec.type, types);
  addresses(spec, problems);
  validatePorts(spec, headless, problems);
  policies(spec, problems);
  return problems.causes;
}

function externalName(spec: Spec, problems: Problems): void {
  if ((spec.clusterIPs ?? []).length > 0) {
    problems.forbidden("spec.clusterIPs", "may not be set for ExternalName services");
  }
  const name = (spec.externalName ?? "").replace(/\.$/, "");
  if (name === "") problems.required("spec.externalName");
  else problems.invalidAll("spec.externalName", name, dnsSubdomainProblems(name));
}

function affinity(spec: Spec, problems: Problems): void {
  problems.oneOf("spec.sessionAffinity", spec.sessionAffinity, ["ClientIP", "None"]);
  const config = spec.sessionAffinityConfig;
  if (spec.sessionAffinity === "ClientIP") {
    const seconds = config?.clientIP?.timeoutSeconds;
    const field = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
    if (seconds === undefined) problems.required(field, "when session affinity type is ClientIP");
    else if (seconds <= 0 || seconds > mostAffinitySeconds) {
      problems.invalid(field, seconds, `must be greater than 0 and less than ${mostAffinitySeconds}`);
    }
  } else if (config !== undefined) {
    problems.forbidden("spec.sessionAffinityConfig", "must not be set when session affinity is None");
  }
}

function addresses(spec: Spec, problems: Problems): void {
  const list = spec.clusterIPs ?? [];
  list.forEach((address, index) => {
    if (address !== "None") problems.invalidAll(`spec.clusterIPs[${index}]`, address, addressProblems(address));
    else if (index > 0) problems.invalid(`spec.clusterIPs[${index}]`, address, "may not be set to 'None' in secondary");
  });
  if (spec.clusterIP && list.length > 0 && list[0] !== spec.clusterIP) {
    problems.invalid("spec.clusterIPs", list, "first value must match `clusterIP`");
  }
  if (list.length > 1 || (spec.ipFamilies ?? []).length > 1 || spec.ipFamilyPolicy === "RequireDualStack") {
    problems.invalid(
      "spec.ipFamilyPolicy",
      spec.ipFamilyPolicy ?? "",
      "this cluster is not configured for dual-stack services",
    );
  }
  (spec.ipFamilies ?? []).forEach((family, index) => {
    if (family === "IPv6") {
      problems.invalid(`spec.ipFamilies[${index}]`, family, "not configured on this cluster");
    } else {
      problems.oneOf(`spec.ipFamilies[${index}]`, family, ["IPv4", "IPv6"]);
    }
  });
  (spec.externalIPs ?? []).forEach((address, index) =>
    problems.invalidAll(`spec.externalIPs[${index}]`, address, addressProblems(address)),
  );
  if ((spec.loadBalancerSourceRanges ?? []).length > 0 && spec.type !== "LoadBalancer") {
    problems.forbidden("spec.LoadBalancerSourceRanges", "may only be used when `type` is 'LoadBalancer'");
  }
  (spec.loadBalancerSourceRanges ?? []).forEach((range, index) =>
    problems.invalidAll(`spec.loadBalancerSourceRanges[${index}]`, range, cidrProblems(range)),
  );
}

function validatePorts(spec: Spec, headless: boolean, problems: Problems): void {
  const ports = spec.ports ?? [];
  const names = new Set<string>();
  const seen = new Set<string>();
  const nodePorts = new Set<string>();
  ports.forEach((port, index) => {
    const field = `spec.ports[${index}]`;
    if (!port.name) {
      if (ports.length > 1) problems.required(`${field}.name`);
    } else {
      problems.invalidAll(`${field}.name`, port.name, dnsLabelProblems(port.name));
      if (names.has(port.name)) problems.duplicate(`${field}.name`, port.name);
      names.add(port.name);
    }
    problems.invalidAll(`${field}.port`, port.port, portNumberProblems(port.port));
    problems.oneOf(`${field}.protocol`, port.protocol, protocols);
    validatePort(problems, `${field}.targetPort`, port.targetPort);
    if (headless && typeof port.targetPort === "number" && port.targetPort !== port.port && !spec.selector) {
      problems.invalid(
        `${field}.targetPort`,
        port.targetPort,
        "must be equal to the value of 'port' when clusterIP = None",
      );
    }
    const key = `${port.protocol}/${port.port}`;
    if (seen.has(key)) problems.duplicate(field, { protocol: port.protocol, port: port.port });
    seen.add(key);
    if (!port.nodePort) return;
    if (spec.type === "ClusterIP") {
      problems.forbidden(`${field}.nodePort`, "may not be used when `type` is 'ClusterIP'");
    }
    const nodeKey = `${port.protocol}/${port.nodePort}`;
    if (nodePorts.has(nodeKey)) problems.duplicate(`${field}.nodePort`, port.nodePort);
    nodePorts.add(nodeKey);
  });
}

function policies(spec: Spec, problems: Problems): void {
  if (spec.externalTrafficPolicy) {
    if (!isExternal(spec)) {
      problems.invalid(
        "spec.externalTrafficPolicy",
        spec.externalTrafficPolicy,
        "may only be set for externally-accessible services",
      );
    } else {
      problems.oneOf("spec.externalTrafficPolicy", spec.externalTrafficPolicy, ["Cluster", "Local"]);
    }
  }
  if (spec.internalTrafficPolicy) {
    problems.oneOf("spec.internalTrafficPolicy", spec.internalTrafficPolicy, ["Cluster", "Local"]);
  }
  if (spec.loadBalancerClass && spec.type !== "LoadBalancer") {
    problems.forbidden("spec.loadBalancerClass", "may only be used when `type` is 'LoadBalancer'");
  }
  if (spec.allocateLoadBalancerNodePorts !== undefined && spec.type !== "LoadBalancer") {
    problems.forbidden("spec.allocateLoadBalancerNodePorts", "may only be used when `type` is 'LoadBalancer'");
  }
}

export function validateServiceUpdate(object: KubeObject, old: KubeObject): StatusCause[] {
  const problems = new Problems();
  const spec = ((object as Service).spec ?? {}) as Spec;
  const before = ((old as Service).spec ?? {}) as Spec;
  if (spec.type !== "ExternalName" && before.type !== "ExternalName" && before.clusterIP) {
    if (spec.clusterIP !== before.clusterIP) {
      problems.invalid("spec.clusterIPs[0]", spec.clusterIPs ?? [spec.clusterIP ?? ""], "may not change once set");
    }
  }
  if (
    spec.type === "LoadBalancer" &&
    before.type === "LoadBalancer" &&
    before.loadBalancerClass !== spec.loadBalancerClass
  ) {
    problems.immutable("spec.loadBalancerClass", spec.loadBalancerClass, before.loadBalancerClass);
  }
  problems.add(validateService(object));
  return problems.causes;
}
