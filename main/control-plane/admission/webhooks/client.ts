/** Calling a webhook: an AdmissionReview by HTTPS to a URL, or to a Service's Pod by whichever way Pods are reached. */
import { Agent, request as httpsRequest } from "node:https";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { checkServerIdentity, connect as tlsConnect } from "node:tls";
import type { Client } from "../../../../common/kube/client.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";

export interface ClientConfig {
  url?: string;
  service?: { namespace?: string; name?: string; path?: string; port?: number };
  /** Base64 of PEM. */
  caBundle?: string;
}

/** A connection to a Pod's address: directly, or through the node egress. Rejects when there is none in time. */
export type Dial = (address: string, port: number, signal: AbortSignal) => Promise<Duplex>;

export interface WebhookTransport {
  client(): Client;
  dial: Dial;
}

const LARGEST_ANSWER = 16 * 1024 * 1024;
/** Connections are kept a while: a webhook is asked again soon. */
const agents = new Map<string, Agent>();
const MOST_AGENTS = 64;

export function closeWebhookConnections(): void {
  for (const agent of agents.values()) agent.destroy();
  agents.clear();
}

function agentFor(caBundle: string | undefined): Agent {
  const key = caBundle ?? "";
  let agent = agents.get(key);
  if (!agent) {
    const [oldest] = agents.keys();
    if (agents.size >= MOST_AGENTS && oldest !== undefined) {
      agents.get(oldest)?.destroy();
      agents.delete(oldest);
    }
    const ca = caBundle ? { ca: Buffer.from(caBundle, "base64").toString() } : {};
    agent = new Agent({ keepAlive: true, maxSockets: 64, timeout: 60_000, ...ca });
    agents.set(key, agent);
  }
  return agent;
}

/** What was answered, parsed. Throws Error that says, in Go's manner, what the call was and why it failed. */
export async function postJson(
  config: ClientConfig,
  body: object,
  timeoutSeconds: number,
  transport: WebhookTransport,
): Promise<unknown> {
  const url = urlOf(config);
  url.searchParams.set("timeout", `${timeoutSeconds}s`);
  const signal = AbortSignal.timeout(timeoutSeconds * 1000);
  try {
    const answer = await send(config, url, JSON.stringify(body), transport, signal);
    const text = await read(answer);
    if ((answer.statusCode ?? 0) < 200 || (answer.statusCode ?? 0) > 299) {
      throw new Error(`the server rejected our request for an unknown reason (${answer.statusCode})`);
    }
    return JSON.parse(text) as unknown;
  } catch (error) {
    const why = signal.aborted ? "context deadline exceeded" : words(error);
    throw new Error(`failed to call webhook: Post ${JSON.stringify(url.href)}: ${why}`, { cause: error });
  }
}

function urlOf({ url, service }: ClientConfig): URL {
  if (url !== undefined) return new URL(url);
  const { namespace = "", name = "", port = 443, path = "" } = service ?? {};
  return new URL(`https://${name}.${namespace}.svc:${port}${path.startsWith("/") || path === "" ? path : `/${path}`}`);
}

async function send(
  config: ClientConfig,
  url: URL,
  body: string,
  transport: WebhookTransport,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const through = config.service ? await dialService(config, transport, signal) : undefined;
  return new Promise((resolve, reject) => {
    const outgoing = httpsRequest(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/json",
        "content-length": Buffer.byteLength(body),
        "user-agent": "kube-apiserver-admission",
      },
      ...(through ? { createConnection: () => through as never } : { agent: agentFor(config.caBundle) }),
      signal,
    });
    outgoing.once("response", (answer) => {
      if (through) answer.once("close", () => through.destroy());
      resolve(answer);
    });
    outgoing.once("error", (error) => {
      through?.destroy();
      reject(error);
    });
    outgoing.end(body);
  });
}

async function read(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LARGEST_ANSWER) throw new Error("the answer is too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

interface Port {
  name?: string;
  port?: number;
}
interface Slice extends KubeObject {
  endpoints?: { addresses?: string[]; conditions?: { ready?: boolean } }[];
  ports?: Port[];
}

/** TLS to a ready endpoint of the Service, under the Service's own name. */
async function dialService(
  { service, caBundle }: ClientConfig,
  { client, dial }: WebhookTransport,
  signal: AbortSignal,
): Promise<Duplex> {
  const { namespace = "", name = "", port = 443 } = service ?? {};
  const found = await client().get({ group: "", version: "v1", resource: "services", namespace, name });
  const spec = (found["spec"] ?? {}) as { ports?: Port[]; type?: string; externalName?: string };
  const wanted = spec.ports?.find((one) => one.port === port);
  if (!wanted && spec.type !== "ExternalName") {
    throw new Error(`no service port ${port} found for service ${JSON.stringify(name)}`);
  }
  const place =
    spec.type === "ExternalName"
      ? { address: spec.externalName ?? "", port }
      : await endpointOf(client(), namespace, name, wanted as Port);
  const socket = await dial(place.address, place.port, signal);
  const host = `${name}.${namespace}.svc`;
  return new Promise((resolve, reject) => {
    const secured = tlsConnect({
      socket: socket as never,
      servername: host,
      ALPNProtocols: ["http/1.1"],
      ...(caBundle ? { ca: Buffer.from(caBundle, "base64").toString() } : {}),
      checkServerIdentity: (_, peer) => checkServerIdentity(host, peer),
    });
    const stop = (): void => {
      secured.destroy(new Error("context deadline exceeded"));
    };
    signal.addEventListener("abort", stop, { once: true });
    secured.once("error", reject);
    secured.once("close", () => signal.removeEventListener("abort", stop));
    secured.once("secureConnect", () => resolve(secured));
  });
}

async function endpointOf(
  client: Client,
  namespace: string,
  name: string,
  wanted: Port,
): Promise<{ address: string; port: number }> {
  const { items } = await client.list<Slice>(
    { group: "discovery.k8s.io", version: "v1", resource: "endpointslices" },
    { namespace, labelSelector: `kubernetes.io/service-name=${name}` },
  );
  for (const { endpoints = [], ports = [] } of items) {
    const port = ports.find((one) => (one.name ?? "") === (wanted.name ?? ""))?.port;
    const ready = endpoints.filter(({ conditions }) => conditions?.ready !== false);
    const address = ready[Math.floor(Math.random() * ready.length)]?.addresses?.[0];
    if (port !== undefined && address !== undefined) return { address, port };
  }
  throw new Error(`no endpoints available for service ${JSON.stringify(name)}`);
}

/** As Go words the usual ones. */
function words(error: unknown): string {
  const { code, message, address, port } = error as {
    code?: string;
    message?: string;
    address?: string;
    port?: number;
  };
  switch (code) {
    case "ECONNREFUSED":
      return `dial tcp ${address}:${port}: connect: connection refused`;
    case "ENOTFOUND":
      return `dial tcp: lookup ${message?.split(" ").at(-1)}: no such host`;
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
      return "tls: failed to verify certificate: x509: certificate signed by unknown authority";
    default:
      return message ?? String(error);
  }
}
