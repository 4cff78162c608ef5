/** The proxy subresource of Pods, Services and Nodes: HTTP and its upgrades, handed on to who is meant. */
import { request as httpRequest } from "node:http";
import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders } from "node:http";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { connect as tlsConnect } from "node:tls";
import { createDeflateRaw, createGunzip, createGzip, createInflateRaw } from "node:zlib";
import { StatusError } from "../../../../common/kube/status.ts";
import type { EndpointSlice, Pod, Service } from "../../../../common/kube/types.ts";
import type { ApiEnvironment } from "../environment.ts";
import type { Exchange } from "../http/exchange.ts";
import { viewOf } from "../registry/context.ts";
import type { Target } from "../registry/context.ts";
import { getObject, listObjects } from "../registry/read.ts";
import { departure, onDeparture } from "./departure.ts";
import { join } from "../../../../common/join.ts";
import { HtmlLinks } from "./html-links.ts";
import { nodeKubelet, podKubelet } from "./places.ts";
import { isProxyable, podPort, proxiedPath, readProxyName, rewriteLocation, serviceEndpoints } from "./proxy-target.ts";
import type { Endpoint, ProxyName } from "./proxy-target.ts";

/** RFC 9110, 7.6.1: of one connection, not for the next. The credentials were meant for us. */
const OURS = new Set(
  "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding upgrade authorization".split(
    " ",
  ),
);
const CORS = new Set(["credentials", "headers", "methods", "origin"].map((name) => `access-control-allow-${name}`));
const DIAL_MILLIS = 30_000;

interface Reached {
  connection: Duplex;
  /** As the other side is called in Host. */
  host: string;
}

/** Throws StatusError as long as nothing was answered. */
export async function handleProxied(environment: ApiEnvironment, exchange: Exchange, target: Target): Promise<void> {
  const { request, response } = exchange;
  const { prefix, path } = proxiedPath(request.url ?? "/");
  // Relative links of what is shown must find their way back here.
  if (!path.startsWith("/") && (request.method === "GET" || request.method === "HEAD")) {
    response.writeHead(301, { location: `${prefix}/${path}`, "content-length": 0 }).end();
    return;
  }
  const left = departure(response);
  const { connection, host } = await reach(environment, target, left);
  onDeparture(left, () => connection.destroy());
  const outgoing = ask(request, connection, host, prefix, path, {});
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once("response", resolve);
    outgoing.once("error", (error) => reject(failed(error)));
  });
  request.pipe(outgoing);
  const answer = await answered;
  const headers = keptOf(answer);
  // Who may read across origins is ours to say.
  for (const name of Object.keys(headers)) if (CORS.has(name)) delete headers[name];
  const rewrite = (link: string): string => rewriteLocation(link, host, prefix);
  const isRedirect = typeof headers["location"] === "string";
  if (isRedirect) headers["location"] = rewrite(String(headers["location"]));
  const stages = isRedirect || request.method === "HEAD" ? [] : pageStages(headers, rewrite);
  if (stages.length > 0) delete headers["content-length"];
  response.writeHead(answer.statusCode ?? 502, headers);
  response.flushHeaders();
  try {
    await pipeline([answer, ...stages, response]);
  } catch (error) {
    // The head is out: the client sees the early end, which is all that can be said.
    environment.log.debug({ error: String(error) }, "proxied answer ended early");
  }
}

/** What an HTML page goes through, so that its links lead back here; nothing for all else. */
function pageStages(headers: OutgoingHttpHeaders, rewrite: (link: string) => string): Duplex[] {
  const type = String(headers["content-type"] ?? "").split(";")[0];
  if (type?.trim().toLowerCase() !== "text/html") return [];
  const links = new HtmlLinks(rewrite);
  switch (headers["content-encoding"] ?? "") {
    case "":
      return [links];
    case "gzip":
      return [createGunzip(), links, createGzip()];
    case "deflate":
      return [createInflateRaw(), links, createDeflateRaw()];
    default:
      return [];
  }
}

/** Throws StatusError as long as nothing was answered. */
export async function upgradeProxied(
  environment: ApiEnvironment,
  target: Target,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const { prefix, path } = proxiedPath(request.url ?? "/");
  const left = departure(socket);
  const { connection, host } = await reach(environment, target, left);
  const leave = (): void => void connection.destroy();
  onDeparture(left, leave);
  const outgoing = ask(request, connection, host, prefix, path === "" ? "/" : path, {
    connection: "Upgrade",
    upgrade: request.headers.upgrade,
  });
  const answered = new Promise<void>((resolve, reject) => {
    outgoing.once("error", (error) => reject(failed(error)));
    outgoing.once("upgrade", (answer, upgraded, rest) => {
      socket.write(headOf(answer, answer.rawHeaders));
      if (rest.length > 0) socket.write(rest);
      if (head.length > 0) upgraded.write(head);
      // From here on each side is sent the rest when the other ends.
      left.removeEventListener("abort", leave);
      join(socket, upgraded);
      resolve();
    });
    outgoing.once("response", (answer) => {
      // Not upgraded: what was said instead is the answer.
      const headers = Object.entries(keptOf(answer)).flatMap(([name, value]) =>
        [value ?? []].flat().flatMap((one) => [name, String(one)]),
      );
      socket.write(headOf(answer, [...headers, "connection", "close"]));
      resolve(pipeline(answer, socket).catch(() => undefined));
    });
  });
  outgoing.end();
  await answered;
}

function ask(
  request: IncomingMessage,
  connection: Duplex,
  host: string,
  prefix: string,
  path: string,
  extra: OutgoingHttpHeaders,
): ClientRequest {
  const headers = keptOf(request);
  for (const name of Object.keys(headers)) if (name.startsWith("impersonate-")) delete headers[name];
  const before = headers["x-forwarded-for"];
  const client = request.socket.remoteAddress ?? "";
  return httpRequest({
    method: request.method ?? "GET",
    path,
    headers: {
      ...headers,
      ...(request.headers["transfer-encoding"] === undefined ? {} : { "transfer-encoding": "chunked" }),
      host,
      "x-forwarded-for": before === undefined ? client : `${String(before)}, ${client}`,
      "x-forwarded-uri": prefix + path.split("?")[0],
      ...extra,
    },
    createConnection: () => connection as never,
  });
}

/** Headers that are for the other end, by their names; those that may stand several times as lists. */
function keptOf({ headersDistinct, headers }: IncomingMessage): OutgoingHttpHeaders {
  const named = new Set((headers.connection ?? "").split(",").map((name) => name.trim().toLowerCase()));
  return Object.fromEntries(
    Object.entries(headersDistinct)
      .filter(([name]) => !OURS.has(name) && !named.has(name))
      .map(([name, values = []]) => [name, values.length === 1 ? values[0] : values]),
  );
}

function headOf(answer: IncomingMessage, headers: readonly string[]): string {
  const lines = [`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}`];
  for (let index = 0; index < headers.length; index += 2) lines.push(`${headers[index]}: ${headers[index + 1]}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}

function failed(error: Error): StatusError {
  return error instanceof StatusError
    ? error
    : new StatusError("ServiceUnavailable", `error trying to reach service: ${error.message}`);
}

async function reach(environment: ApiEnvironment, target: Target, left: AbortSignal): Promise<Reached> {
  const wanted = readProxyName(target.name ?? "", target.definition.singular);
  try {
    const reached = await dialTarget(environment, { ...target, name: wanted.name }, wanted, left);
    if (wanted.scheme !== "https" || target.definition.resource === "nodes") return reached;
    return { ...reached, connection: await secured(reached.connection) };
  } catch (error) {
    throw failed(error as Error);
  }
}

/** As Kubernetes does, whatever certificate a Pod or Service shows is taken. */
function secured(connection: Duplex): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = tlsConnect({ socket: connection as never, rejectUnauthorized: false, ALPNProtocols: ["http/1.1"] });
    const timer = setTimeout(() => socket.destroy(new Error("TLS handshake timed out")), DIAL_MILLIS);
    socket.once("error", reject);
    socket.once("close", () => {
      clearTimeout(timer);
      connection.destroy();
    });
    socket.once("secureConnect", () => {
      clearTimeout(timer);
      resolve(socket);
    });
  });
}

async function dialTarget(
  environment: ApiEnvironment,
  target: Target,
  wanted: ProxyName,
  left: AbortSignal,
): Promise<Reached> {
  const { registry, reader, kubelets } = environment;
  const object = viewOf(target.definition, await getObject(registry, target));
  switch (target.definition.resource) {
    case "pods": {
      const pod = object as Pod;
      const port = podPort(pod, wanted);
      return dialPod(environment, pod, port, left);
    }
    case "services":
      return dialEndpoint(environment, await endpointOf(environment, object as Service, wanted), left);
    default: {
      const kubelet = await nodeKubelet(reader, target.name ?? "");
      const port = wanted.port === "" ? kubelet.port : Number(wanted.port);
      const host = `${kubelet.address}:${port}`;
      if (!Number.isInteger(port) || port < 1 || port > 65_535)
        throw new StatusError("BadRequest", `invalid port ${JSON.stringify(wanted.port)} of node ${target.name}`);
      if (port === kubelet.port) return { connection: await kubelets.secure(kubelet, left), host };
      return { connection: await kubelets.connectThrough(kubelet, `127.0.0.1:${port}`, left), host };
    }
  }
}

async function dialPod(
  { reader, kubelets }: ApiEnvironment,
  pod: Pod,
  port: number,
  left: AbortSignal,
): Promise<Reached> {
  const { name = "", namespace = "" } = pod.metadata;
  const connection = await kubelets.connectPod(await podKubelet(reader, pod), { namespace, name }, port, left);
  return { connection, host: `${pod.status?.podIP ?? name}:${port}` };
}

async function endpointOf(
  { registry, catalog }: ApiEnvironment,
  service: Service,
  wanted: ProxyName,
): Promise<Endpoint> {
  const { name = "", namespace } = service.metadata;
  const definition = catalog.find("discovery.k8s.io", "v1", "endpointslices");
  if (!definition) throw new StatusError("ServiceUnavailable", "no EndpointSlices are served");
  const { items } = await listObjects(registry, definition, namespace, {
    labelSelector: `kubernetes.io/service-name=${name}`,
  });
  const slices = items.map((item) => viewOf(definition, item) as EndpointSlice);
  const endpoints = serviceEndpoints(service, slices, wanted);
  return endpoints[Math.floor(Math.random() * endpoints.length)] as Endpoint;
}

async function dialEndpoint(
  environment: ApiEnvironment,
  { address, port, pod: of }: Endpoint,
  left: AbortSignal,
): Promise<Reached> {
  const pod = of && ((await environment.reader.live("pods", of.namespace, of.name)) as Pod | undefined);
  if (pod) return dialPod(environment, pod, port, left);
  if (!isProxyable(address)) throw new StatusError("BadRequest", `address ${address} may not be reached by proxy`);
  const signal = AbortSignal.any([left, AbortSignal.timeout(DIAL_MILLIS)]);
  return { connection: await environment.kubelets.connect({ address, port }, signal), host: `${address}:${port}` };
}
