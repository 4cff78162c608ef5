/** What the proxy is to do, from Ingresses and what they name: hosts, locations, upstreams, certificates. Pure. */
import type { EndpointSlice, Ingress, IngressClass, Secret, Service } from "../../../../common/kube/types.ts";

export const CONTROLLER = "drydock.local/ingress-nginx";
const CLASS_ANNOTATION = "kubernetes.io/ingress.class";
const DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class";
export const ANNOTATION = "nginx.ingress.kubernetes.io/";

export interface Upstream {
  name: string;
  servers: string[];
  /** The cookie that keeps a client at one server. */
  cookie: string | undefined;
}

export interface Location {
  path: string;
  kind: "exact" | "prefix" | "regex";
  /** undefined: nothing is there to answer. */
  upstream: string | undefined;
  /** Percent of requests for another upstream. */
  canary: { upstream: string; weight: number } | undefined;
  annotations: Record<string, string>;
  /** "namespace/name" of the Ingress. */
  owner: string;
}

export interface Server {
  /** "" is every host that no other server has. */
  host: string;
  locations: Location[];
  tls: boolean;
  /** "namespace/name" of the Secret with its certificate. */
  secret: string | undefined;
}

export interface ProxyModel {
  servers: Server[];
  upstreams: Upstream[];
  /** Ingresses that this controller serves. */
  served: Ingress[];
}

export interface IngressInput {
  ingresses: readonly Ingress[];
  classes: readonly IngressClass[];
  service(namespace: string, name: string): Service | undefined;
  slices(namespace: string, service: string): readonly EndpointSlice[];
  secret(namespace: string, name: string): Secret | undefined;
}

type Rule = NonNullable<NonNullable<Ingress["spec"]>["rules"]>[number];
type Path = NonNullable<NonNullable<Rule["http"]>["paths"]>[number];
type Backend = Path["backend"];

/** Of our class by name, by the old annotation, or (with neither) when ours is the default class. */
export function isOurs(ingress: Ingress, classes: readonly IngressClass[]): boolean {
  const ours = classes.filter(({ spec }) => spec?.controller === CONTROLLER);
  const named = ingress.spec?.ingressClassName ?? ingress.metadata.annotations?.[CLASS_ANNOTATION];
  if (named !== undefined) return ours.some(({ metadata }) => metadata.name === named);
  return ours.some(({ metadata }) => metadata.annotations?.[DEFAULT_CLASS] === "true");
}

export function modelOf(input: IngressInput): ProxyModel {
  const served = input.ingresses
    .filter((ingress) => !ingress.metadata.deletionTimestamp && isOurs(ingress, input.classes))
    // Of two that want the same path the older has it.
    .toSorted((a, b) => key(a).localeCompare(key(b)));
  const servers = new Map<string, Server>();
  const upstreams = new Map<string, Upstream>();
  const server = (host: string): Server => {
    const found = servers.get(host) ?? { host, locations: [], tls: false, secret: undefined };
    servers.set(host, found);
    return found;
  };
  server("");
  for (const ingress of served.filter((each) => !isCanary(each))) {
    const { namespace = "", annotations = {} } = ingress.metadata;
    const owner = `${namespace}/${ingress.metadata.name}`;
    const place = (host: string, path: string, kind: Location["kind"], backend: Backend | undefined): void => {
      const { locations } = server(host);
      if (locations.some((other) => other.path === path && other.kind === kind)) return;
      const upstream = backend && upstreamOf(input, upstreams, namespace, backend, annotations);
      locations.push({ path, kind, upstream, canary: undefined, annotations, owner });
    };
    for (const { host = "", http } of ingress.spec?.rules ?? []) {
      for (const { path = "/", pathType, backend } of http?.paths ?? [])
        place(host, path, kindOf(pathType, annotations), backend);
      if (ingress.spec?.defaultBackend) place(host, "/", "prefix", ingress.spec.defaultBackend);
    }
    if (ingress.spec?.defaultBackend) place("", "/", "prefix", ingress.spec.defaultBackend);
    for (const { hosts = [], secretName } of ingress.spec?.tls ?? []) {
      const usable = secretName !== undefined && hasCertificate(input.secret(namespace, secretName));
      for (const host of hosts) {
        const one = server(host);
        one.tls = true;
        if (usable) one.secret ??= `${namespace}/${secretName}`;
      }
    }
  }
  for (const ingress of served.filter(isCanary)) addCanary(input, servers, upstreams, ingress);
  return { servers: [...servers.values()], upstreams: [...upstreams.values()], served };
}

function key({ metadata }: Ingress): string {
  return `${metadata.creationTimestamp} ${metadata.namespace}/${metadata.name}`;
}

function isCanary({ metadata }: Ingress): boolean {
  return metadata.annotations?.[`${ANNOTATION}canary`] === "true";
}

function kindOf(pathType: string | undefined, annotations: Record<string, string>): Location["kind"] {
  if (pathType === "Exact") return "exact";
  const regex =
    annotations[`${ANNOTATION}use-regex`] === "true" || /\$\d/.test(annotations[`${ANNOTATION}rewrite-target`] ?? "");
  return regex ? "regex" : "prefix";
}

/** A part of the requests for a path that another Ingress has. */
function addCanary(
  input: IngressInput,
  servers: Map<string, Server>,
  upstreams: Map<string, Upstream>,
  ingress: Ingress,
): void {
  const { namespace = "", annotations = {} } = ingress.metadata;
  const weight = Math.min(100, Math.max(0, Number(annotations[`${ANNOTATION}canary-weight`] ?? 0) || 0));
  for (const { host = "", http } of ingress.spec?.rules ?? []) {
    for (const { path = "/", backend } of http?.paths ?? []) {
      const location = servers.get(host)?.locations.find((other) => other.path === path);
      const upstream = upstreamOf(input, upstreams, namespace, backend, {});
      if (location && upstream && weight > 0) location.canary = { upstream, weight };
    }
  }
}

function hasCertificate(secret: Secret | undefined): boolean {
  const data = secret?.data as Record<string, string> | undefined;
  return Boolean(data?.["tls.crt"] && data["tls.key"]);
}

/** The name of the upstream for a Service's port; undefined when there is no such port or nobody behind it. */
function upstreamOf(
  input: IngressInput,
  upstreams: Map<string, Upstream>,
  namespace: string,
  backend: Backend,
  annotations: Record<string, string>,
): string | undefined {
  const { name = "", port } = backend.service ?? {};
  const service = input.service(namespace, name);
  const found = service?.spec?.ports?.find((one) => (port?.name ? one.name === port.name : one.port === port?.number));
  if (!service || !found) return undefined;
  const servers =
    service.spec?.type === "ExternalName"
      ? [`${service.spec.externalName}:${found.port}`]
      : serversOf(input.slices(namespace, name), found.name ?? "");
  if (servers.length === 0) return undefined;
  const cookie =
    annotations[`${ANNOTATION}affinity`] === "cookie"
      ? (annotations[`${ANNOTATION}session-cookie-name`] ?? "INGRESSCOOKIE").replaceAll(/\W/g, "_")
      : undefined;
  const id = `${namespace}-${name}-${found.port}${cookie ? `-${cookie}` : ""}`;
  upstreams.set(id, { name: id, servers, cookie });
  return id;
}

function serversOf(slices: readonly EndpointSlice[], portName: string): string[] {
  const servers = slices
    .filter(({ addressType }) => addressType === "IPv4")
    .flatMap((slice) => {
      const port = (slice.ports ?? []).find(({ name }) => (name ?? "") === portName)?.port;
      return port === undefined || port === null
        ? []
        : (slice.endpoints ?? [])
            .filter(({ conditions }) => conditions?.ready !== false)
            .flatMap(({ addresses }) => addresses.map((address) => `${address}:${port}`));
    });
  return [...new Set(servers)].toSorted();
}
