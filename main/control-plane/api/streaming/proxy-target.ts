/** Where the proxy subresource of a Pod, Service or Node leads: pure, but for the looking up. */
import { isIP } from "node:net";
import { StatusError } from "../../../../common/kube/status.ts";
import type { EndpointSlice, Pod, Service } from "../../../../common/kube/types.ts";

export interface ProxyName {
  scheme: "http" | "https";
  name: string;
  /** A number or a name; empty: whatever is usual. */
  port: string;
}

/** `name`, `name:port` or `scheme:name:port` of a `pod`, say. Throws BadRequest. */
export function readProxyName(text: string, singular: string): ProxyName {
  const parts = text.split(":");
  const invalid = (): StatusError =>
    new StatusError("BadRequest", `invalid ${singular} request ${JSON.stringify(text)}`);
  if (parts.length > 3) throw invalid();
  const [scheme, name = "", port = ""] = parts.length === 3 ? parts : ["", ...parts];
  if (name === "" || (scheme !== "" && scheme !== "http" && scheme !== "https")) throw invalid();
  return { scheme: scheme === "https" ? "https" : "http", name, port };
}

const usual = (scheme: ProxyName["scheme"]): number => (scheme === "https" ? 443 : 80);

/** A number as it is, a name as the Pod's containers have it, nothing as the first port of them. Throws BadRequest. */
export function podPort(pod: Pod, { scheme, port }: ProxyName): number {
  const ports = (pod.spec?.containers ?? []).flatMap((container) => container.ports ?? []);
  if (port === "") return ports[0]?.containerPort ?? usual(scheme);
  const found = /^\d+$/.test(port) ? Number(port) : ports.find(({ name }) => name === port)?.containerPort;
  if (found === undefined || found < 1 || found > 65_535)
    throw new StatusError("BadRequest", `invalid port ${JSON.stringify(port)} of pod ${pod.metadata.name}`);
  return found;
}

export interface Endpoint {
  address: string;
  port: number;
  /** Set when it is a Pod's. */
  pod?: { namespace: string; name: string };
}

/** The ready endpoints of the Service's port. Throws ServiceUnavailable where there are none, or no such port. */
export function serviceEndpoints(service: Service, slices: readonly EndpointSlice[], wanted: ProxyName): Endpoint[] {
  const quoted = JSON.stringify(service.metadata.name);
  const ports = service.spec?.ports ?? [];
  const chosen =
    wanted.port === "" && ports.length === 1
      ? ports[0]
      : ports.find(({ name = "", port }) => name === wanted.port || String(port) === wanted.port);
  if (!chosen) {
    throw new StatusError(
      "ServiceUnavailable",
      `no service port ${JSON.stringify(wanted.port)} found for service ${quoted}`,
    );
  }
  const endpoints = slices.flatMap((slice) => {
    const port = slice.ports?.find(({ name = "" }) => name === (chosen.name ?? ""))?.port;
    if (port === undefined) return [];
    return (slice.endpoints ?? []).flatMap(({ addresses = [], conditions, targetRef }): Endpoint[] => {
      const [address] = addresses;
      if (address === undefined || conditions?.ready === false) return [];
      const { kind, name = "", namespace = service.metadata.namespace ?? "" } = targetRef ?? {};
      return [{ address, port, ...(kind === "Pod" ? { pod: { namespace, name } } : {}) }];
    });
  });
  if (endpoints.length === 0)
    throw new StatusError("ServiceUnavailable", `no endpoints available for service ${quoted}`);
  return endpoints;
}

/** Addresses of our own computer are nobody's to reach by way of an object that anybody may write. */
export function isProxyable(address: string): boolean {
  if (isIP(address) === 4) return !/^(127\.|169\.254\.|0\.|22[4-9]\.|23\d\.|255\.255\.255\.255$)/.test(address);
  if (isIP(address) === 6) return !/^(::1?$|::ffff:|fe[89ab]|ff)/i.test(address);
  return false;
}

/** What comes after `/proxy`, as the other side is to be asked for it. */
export function proxiedPath(url: string): { prefix: string; path: string } {
  const question = url.indexOf("?");
  const whole = question < 0 ? url : url.slice(0, question);
  const query = question < 0 ? "" : url.slice(question);
  const match = /^(\/api\/v1\/(?:namespaces\/[^/]+\/)?[^/]+\/[^/]+\/proxy)(\/.*)?$/.exec(whole);
  return { prefix: match?.[1] ?? whole, path: (match?.[2] ?? "") + query };
}

/** A redirect's target, as the client must ask for it. */
export function rewriteLocation(location: string, host: string, prefix: string): string {
  let path = location;
  if (/^https?:\/\//i.test(location)) {
    const url = new URL(location);
    if (url.host !== host) return location;
    path = url.pathname + url.search + url.hash;
  }
  return path.startsWith("/") && !path.startsWith("//") && !path.startsWith(`${prefix}/`) ? prefix + path : path;
}
