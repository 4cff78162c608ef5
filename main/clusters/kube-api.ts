/**
 * The cluster's API server as its administrator: plain requests and endless answers over HTTPS with the
 * client certificate of the kubeconfig. What speaks Kubernetes on top of it is in common/kube.
 */
import { readFile } from "node:fs/promises";
import { Agent, request as httpsRequest } from "node:https";
import type { IncomingMessage } from "node:http";
import { parse } from "yaml";
import * as z from "zod";
import { fail } from "./failure.ts";

export interface Credentials {
  server: string;
  ca: Buffer;
  cert: Buffer;
  key: Buffer;
}

export interface KubeRequest {
  method: string;
  /** Path and query. */
  path: string;
  headers?: Record<string, string>;
  body?: string | undefined;
  signal?: AbortSignal | undefined;
}

export interface KubeResponse {
  status: number;
  headers: Record<string, string>;
  body: string;
}

const Kubeconfig = z.object({
  clusters: z
    .array(z.object({ cluster: z.object({ server: z.string(), "certificate-authority-data": z.string() }) }))
    .min(1),
  users: z
    .array(z.object({ user: z.object({ "client-certificate-data": z.string(), "client-key-data": z.string() }) }))
    .min(1),
});

/** The first cluster and user of a kubeconfig that holds its certificates inside. */
export async function readCredentials(kubeconfig: string): Promise<Credentials> {
  const parsed = Kubeconfig.safeParse(parse(await readFile(kubeconfig, "utf8")));
  if (!parsed.success) throw fail("CONTROL_PLANE_FAILED", `${kubeconfig} is not a kubeconfig with certificates`);
  const cluster = parsed.data.clusters[0]?.cluster;
  const user = parsed.data.users[0]?.user;
  if (!cluster || !user) throw fail("CONTROL_PLANE_FAILED", `${kubeconfig} names no cluster or no user`);
  return {
    server: cluster.server,
    ca: Buffer.from(cluster["certificate-authority-data"], "base64"),
    cert: Buffer.from(user["client-certificate-data"], "base64"),
    key: Buffer.from(user["client-key-data"], "base64"),
  };
}

export class KubeApi {
  readonly credentials: Credentials;
  private readonly agent: Agent;

  constructor(credentials: Credentials) {
    this.credentials = credentials;
    const { ca, cert, key } = credentials;
    this.agent = new Agent({ keepAlive: true, maxSockets: 64, ca, cert, key });
  }

  /** One answer, whole. Any status is an answer; API_UNREACHABLE when there is none. */
  async request(request: KubeRequest): Promise<KubeResponse> {
    // A server may close an idle connection just as it is used again: what changes nothing is tried once more.
    const attempts = request.method === "GET" ? 2 : 1;
    for (let attempt = 1; ; attempt++) {
      try {
        const response = await this.open(request, 60_000);
        return { status: response.statusCode ?? 0, headers: headersOf(response), body: await textOf(response) };
      } catch (error) {
        if (request.signal?.aborted) throw request.signal.reason;
        const reset = (error as NodeJS.ErrnoException).code === "ECONNRESET";
        if (!reset || attempt >= attempts) throw unreachable(this.credentials.server, error);
      }
    }
  }

  /** The head, then the body's text as it comes; pulling slowly slows the server down. Ends with the answer or the signal. */
  async stream(
    request: KubeRequest,
  ): Promise<{ status: number; headers: Record<string, string>; body: AsyncGenerator<string, void, void> }> {
    let response: IncomingMessage;
    try {
      response = await this.open(request, 0);
    } catch (error) {
      if (request.signal?.aborted) throw request.signal.reason;
      throw unreachable(this.credentials.server, error);
    }
    return { status: response.statusCode ?? 0, headers: headersOf(response), body: chunksOf(response, request.signal) };
  }

  close(): void {
    this.agent.destroy();
  }

  private open(request: KubeRequest, timeoutMillis: number): Promise<IncomingMessage> {
    const url = new URL(request.path, this.credentials.server);
    return new Promise((resolve, reject) => {
      const outgoing = httpsRequest(url, {
        method: request.method,
        agent: this.agent,
        headers: {
          accept: "application/json",
          ...request.headers,
          ...(request.body === undefined ? {} : { "content-length": String(Buffer.byteLength(request.body)) }),
        },
        ...(request.signal ? { signal: request.signal } : {}),
      });
      if (timeoutMillis > 0)
        outgoing.setTimeout(timeoutMillis, () =>
          outgoing.destroy(new Error(`no answer within ${timeoutMillis / 1000} s`)),
        );
      outgoing.on("response", resolve);
      outgoing.on("error", reject);
      outgoing.end(request.body);
    });
  }
}

function unreachable(server: string, error: unknown): Error {
  return fail(
    "API_UNREACHABLE",
    `${server} does not answer: ${error instanceof Error ? error.message : String(error)}`,
    { cause: error },
  );
}

function headersOf(response: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(response.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return headers;
}

async function textOf(response: IncomingMessage): Promise<string> {
  response.setEncoding("utf8");
  let text = "";
  for await (const chunk of response) text += String(chunk);
  return text;
}

async function* chunksOf(
  response: IncomingMessage,
  signal: AbortSignal | undefined,
): AsyncGenerator<string, void, void> {
  response.setEncoding("utf8");
  try {
    for await (const chunk of response) yield String(chunk);
  } catch (error) {
    // An end that we asked for is an end, and so is a server that goes away in the middle of a watch.
    if (!signal?.aborted && (error as NodeJS.ErrnoException).code !== "ECONNRESET") throw error;
  } finally {
    response.destroy();
  }
}
