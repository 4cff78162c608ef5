/** Ingresses, IngressClasses and NetworkPolicies. */
import type { IIngress } from "kubernetes-models/networking.k8s.io/v1/Ingress";
import type { INetworkPolicy } from "kubernetes-models/networking.k8s.io/v1/NetworkPolicy";
import { dnsSubdomainProblems } from "../../../../common/kube/names.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { LabelSelectorObject } from "../../../../common/kube/selector.ts";
import type { StatusCause } from "../../../../common/kube/status.ts";
import type { ResourceDefinition } from "../definition.ts";
import { define, shows, showsAge, statusSubresource, table, withStatus } from "../define.ts";
import { cidrProblems, portNumberProblems, validatePort } from "../validation/numbers.ts";
import { Problems } from "../validation/problems.ts";
import { validateLabelSelector } from "../validation/selectors.ts";
import { formatSelector } from "../workload/columns.ts";

const group = "networking.k8s.io";
type Ingress = KubeObject & Pick<IIngress, "spec" | "status">;
type Backend = { service?: { name?: string; port?: { number?: number; name?: string } }; resource?: object };

function validateBackend(backend: Backend | undefined, field: string, problems: Problems): void {
  if (backend?.service && backend.resource) {
    problems.invalid(field, "", "cannot set both resource and service backends");
  } else if (!backend?.service && !backend?.resource) {
    problems.required(field, "must specify a backend: service or resource");
  }
  const service = backend?.service;
  if (!service) return;
  if (!service.name) problems.required(`${field}.service.name`);
  const { number, name } = service.port ?? {};
  if (!number && !name) problems.required(field, "port name or number is required");
  else if (number && name) problems.invalid(field, "", "cannot set both port name & port number");
  else if (number) problems.invalidAll(`${field}.service.port.number`, number, portNumberProblems(number));
}

function validateHost(host: string, field: string, problems: Problems): void {
  if (/^[\d.]+$/.test(host)) problems.invalid(field, host, "must be a DNS name, not an IP address");
  else problems.invalidAll(field, host, dnsSubdomainProblems(host.replace(/^\*\./, "")));
}

function validateIngress(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const spec = (object as Ingress).spec ?? {};
  const rules = spec.rules ?? [];
  if (rules.length === 0 && spec.defaultBackend === undefined) {
    problems.invalid("spec", rules, "either `defaultBackend` or `rules` must be specified");
  }
  if (spec.defaultBackend) validateBackend(spec.defaultBackend as Backend, "spec.defaultBackend", problems);
  rules.forEach((rule, index) => {
    const field = `spec.rules[${index}]`;
    if (rule.host) validateHost(rule.host, `${field}.host`, problems);
    if (rule.http && !rule.http.paths?.length) problems.required(`${field}.http.paths`);
    (rule.http?.paths ?? []).forEach((path, at) => {
      const where = `${field}.http.paths[${at}]`;
      const { path: value = "", pathType } = path;
      if (!pathType) problems.required(`${where}.pathType`, "pathType must be specified");
      else if (!["Exact", "ImplementationSpecific", "Prefix"].includes(pathType)) {
        problems.notSupported(`${where}.pathType`, pathType, ["Exact", "ImplementationSpecific", "Prefix"]);
      }
      if ((pathType !== "ImplementationSpecific" || value !== "") && !value.startsWith("/")) {
        problems.invalid(`${where}.path`, value, "must be an absolute path");
      }
      for (const part of ["//", "/./", "/../", "%2f", "%2F"]) {
        if (pathType !== "ImplementationSpecific" && value.includes(part))
          problems.invalid(`${where}.path`, value, `must not contain '${part}'`);
      }
      validateBackend(path.backend as Backend, `${where}.backend`, problems);
    });
  });
  (spec.tls ?? []).forEach((tls, index) => {
    (tls.hosts ?? []).forEach((host, at) => validateHost(host, `spec.tls[${index}].hosts[${at}]`, problems));
  });
  if (spec.ingressClassName) {
    problems.invalidAll("spec.ingressClassName", spec.ingressClassName, dnsSubdomainProblems(spec.ingressClassName));
  }
  return problems.causes;
}

function hosts(ingress: Ingress): string {
  const all = (ingress.spec?.rules ?? []).map(({ host }) => host || "*");
  if (all.length === 0) return "*";
  return all.length > 3 ? `${all.slice(0, 3).join(",")} + ${all.length - 3} more...` : all.join(",");
}

const addresses = (ingress: Ingress): string =>
  (ingress.status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip || hostname || "").join(",");

export const ingress: ResourceDefinition = define({
  group,
  version: "v1",
  kind: "Ingress",
  resource: "ingresses",
  shortNames: ["ing"],
  hasGeneration: true,
  strategy: withStatus({ validate: validateIngress, validateUpdate: validateIngress }, () => ({ loadBalancer: {} })),
  table: table<Ingress>(
    shows(
      "Class",
      "Which controller serves it",
      (one) => one.spec?.ingressClassName ?? one.metadata.annotations?.["kubernetes.io/ingress.class"] ?? "<none>",
    ),
    shows("Hosts", "For which hosts", hosts),
    shows("Address", "Where it is reached", addresses),
    shows("Ports", "80, and 443 with TLS", (one) => ((one.spec?.tls ?? []).length > 0 ? "80, 443" : "80")),
    showsAge,
  ),
  subresources: [statusSubresource()],
});

interface ClassSpec {
  controller?: string;
  parameters?: { apiGroup?: string; kind: string; name: string };
}
const classOf = (object: KubeObject): ClassSpec => (object["spec"] ?? {}) as ClassSpec;

export const ingressClass: ResourceDefinition = define({
  group,
  version: "v1",
  kind: "IngressClass",
  resource: "ingressclasses",
  namespaced: false,
  hasGeneration: true,
  strategy: {
    validate(object) {
      const problems = new Problems();
      const { controller = "" } = classOf(object);
      if (controller === "") problems.required("spec.controller");
      else if (!controller.includes("/")) {
        problems.invalid("spec.controller", controller, 'must be a domain-prefixed path (such as "acme.io/foo")');
      }
      return problems.causes;
    },
    validateUpdate(object, old) {
      const problems = new Problems();
      problems.immutable("spec.controller", classOf(object).controller, classOf(old).controller);
      return problems.causes;
    },
  },
  table: table(
    shows("Controller", "Who serves the class", (one) => classOf(one).controller ?? ""),
    shows("Parameters", "Further settings", (one) => {
      const { parameters } = classOf(one);
      if (!parameters) return "<none>";
      const suffix = parameters.apiGroup ? `.${parameters.apiGroup}` : "";
      return `${parameters.kind}${suffix}/${parameters.name}`;
    }),
    showsAge,
  ),
});

type Policy = KubeObject & Pick<INetworkPolicy, "spec">;
type Peer = {
  podSelector?: LabelSelectorObject;
  namespaceSelector?: LabelSelectorObject;
  ipBlock?: { cidr: string; except?: string[] };
};
type PolicyPort = { port?: number | string; endPort?: number; protocol?: string };

function validatePolicy(object: KubeObject): StatusCause[] {
  const problems = new Problems();
  const spec = (object as Policy).spec;
  problems.add(validateLabelSelector(spec?.podSelector as LabelSelectorObject | undefined, "spec.podSelector"));
  const sides = { ingress: "from", egress: "to" } as const;
  for (const [side, end] of Object.entries(sides)) {
    const rules = (spec?.[side as "ingress"] ?? []) as { ports?: PolicyPort[]; from?: Peer[]; to?: Peer[] }[];
    rules.forEach((rule, index) => {
      const field = `spec.${side}[${index}]`;
      (rule.ports ?? []).forEach((port, at) => policyPort(port, `${field}.ports[${at}]`, problems));
      (rule[end] ?? []).forEach((peer, at) => policyPeer(peer, `${field}.${end}[${at}]`, problems));
    });
  }
  (spec?.policyTypes ?? []).forEach((type, index) => {
    problems.oneOf(`spec.policyTypes[${index}]`, type, ["Egress", "Ingress"]);
  });
  return problems.causes;
}

function policyPort({ port, endPort, protocol }: PolicyPort, field: string, problems: Problems): void {
  if (protocol !== undefined) problems.oneOf(`${field}.protocol`, protocol, ["SCTP", "TCP", "UDP"]);
  if (port !== undefined) validatePort(problems, `${field}.port`, port);
  if (endPort === undefined) return;
  if (typeof port !== "number")
    problems.invalid(`${field}.endPort`, endPort, "may not be specified when `port` is non-numeric");
  else if (endPort < port) problems.invalid(`${field}.endPort`, endPort, "must be greater than or equal to `port`");
}

function policyPeer(peer: Peer, field: string, problems: Problems): void {
  const { podSelector, namespaceSelector, ipBlock } = peer;
  if (!podSelector && !namespaceSelector && !ipBlock) problems.required(field, "must specify a peer");
  if (ipBlock && (podSelector || namespaceSelector)) {
    problems.forbidden(field, "may not specify both ipBlock and another peer");
  }
  problems.add(validateLabelSelector(podSelector, `${field}.podSelector`));
  problems.add(validateLabelSelector(namespaceSelector, `${field}.namespaceSelector`));
  if (!ipBlock) return;
  if (!ipBlock.cidr) problems.required(`${field}.ipBlock.cidr`);
  else problems.invalidAll(`${field}.ipBlock.cidr`, ipBlock.cidr, cidrProblems(ipBlock.cidr));
  (ipBlock.except ?? []).forEach((cidr, at) =>
    problems.invalidAll(`${field}.ipBlock.except[${at}]`, cidr, cidrProblems(cidr)),
  );
}

export const networkPolicy: ResourceDefinition = define({
  group,
  version: "v1",
  kind: "NetworkPolicy",
  resource: "networkpolicies",
  shortNames: ["netpol"],
  hasGeneration: true,
  strategy: { validate: validatePolicy, validateUpdate: validatePolicy },
  table: table<Policy>(
    shows("Pod-Selector", "Which Pods it protects", (one) =>
      formatSelector(one.spec?.podSelector as LabelSelectorObject | undefined),
    ),
    showsAge,
  ),
});
