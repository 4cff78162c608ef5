/** Calling a webhook: JSON by HTTPS to a URL, or to a Service's Pod by whichever way Pods are reached. */
import { Agent, request as httpsRequest } from "node:https";
import type { IncomingMessage } from "node:http";
import { dialService } from "./services.ts";
import type { Dialler } from "./services.ts";
import { parseExact } from "../../../common/kube/codec/exact-integers.ts";

export interface ClientConfig {
  url?: string;
  service?: { namespace?: string; name?: string; path?: string; port?: number };
  /** Base64 of PEM. */
  caBundle?: string;
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
  transport: Dialler,
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
    return parseExact(text);
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
  transport: Dialler,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { service, caBundle } = config;
  const through = service
    ? await dialService(service, caBundle ? { ca: Buffer.from(caBundle, "base64").toString() } : {}, transport, signal)
    : undefined;
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

/** Network errors, the usual ones as Go words them. */
export function words(error: unknown): string {
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
