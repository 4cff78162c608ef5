/** HTTPS for `HttpClient` on Node: one pool of connections, a client certificate or a token, the cluster's CA. */
import { Agent, request as httpsRequest } from "node:https";
import type { IncomingMessage } from "node:http";
import { parse } from "yaml";
import type { Transport, TransportResponse } from "../../../common/kube/http-client.ts";

export interface NodeTransportOptions {
  /** "https://127.0.0.1:6443" */
  server: string;
  /** PEM. Without it the system's authorities are trusted. */
  ca?: string;
  /** The client certificate and its key, PEM. */
  certificate?: string;
  key?: string;
  token?: string;
  /** A request that gets no answer within this time fails; an answer may then take as long as it likes. */
  answerWithinMillis?: number;
}

export interface NodeTransport {
  transport: Transport;
  /** Closes idle connections. */
  close(): void;
}

export function nodeTransport(options: NodeTransportOptions): NodeTransport {
  const server = new URL(options.server);
  const agent = new Agent({
    keepAlive: true,
    ...(options.ca ? { ca: options.ca } : {}),
    ...(options.certificate ? { cert: options.certificate } : {}),
    ...(options.key ? { key: options.key } : {}),
  });
  const transport: Transport = ({ method, path, query = {}, headers = {}, body, signal }) => {
    const search = new URLSearchParams(query).toString();
    return new Promise<TransportResponse>((resolve, reject) => {
      const request = httpsRequest(
        {
          agent,
          host: server.hostname,
          port: server.port || 443,
          method,
          path: search === "" ? path : `${path}?${search}`,
          headers: {
            ...headers,
            ...(options.token ? { authorization: `Bearer ${options.token}` } : {}),
            ...(body === undefined ? {} : { "content-length": Buffer.byteLength(body) }),
          },
          ...(signal ? { signal } : {}),
        },
        (response) => {
          clearTimeout(timer);
          resolve({ status: response.statusCode ?? 0, headers: flat(response.headers), body: response });
        },
      );
      const limit = options.answerWithinMillis ?? 60_000;
      const timer = setTimeout(
        () => request.destroy(new Error(`${method} ${path}: no answer within ${limit / 1000} s`)),
        limit,
      );
      request.once("error", (error) => {
        clearTimeout(timer);
        reject(error);
      });
      request.end(body);
    });
  };
  return { transport, close: () => agent.destroy() };
}

function flat(headers: IncomingMessage["headers"]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : (value ?? "")]),
  );
}

interface KubeconfigFile {
  "current-context"?: string;
  contexts?: { name: string; context: { cluster: string; user: string } }[];
  clusters?: { name: string; cluster: { server: string; "certificate-authority-data"?: string } }[];
  users?: {
    name: string;
    user: { "client-certificate-data"?: string; "client-key-data"?: string; token?: string };
  }[];
}

/** What a kubeconfig's current context says, for files whose certificates stand inside them. Throws on others. */
export function readKubeconfig(text: string): NodeTransportOptions {
  const file = parse(text) as KubeconfigFile;
  const context = file.contexts?.find(({ name }) => name === file["current-context"])?.context;
  const cluster = file.clusters?.find(({ name }) => name === context?.cluster)?.cluster;
  const user = file.users?.find(({ name }) => name === context?.user)?.user;
  if (!cluster) throw new Error("the kubeconfig names no cluster");
  const decode = (base64: string | undefined): string | undefined =>
    base64 === undefined ? undefined : Buffer.from(base64, "base64").toString();
  const ca = decode(cluster["certificate-authority-data"]);
  const certificate = decode(user?.["client-certificate-data"]);
  const key = decode(user?.["client-key-data"]);
  return {
    server: cluster.server,
    ...(ca ? { ca } : {}),
    ...(certificate ? { certificate } : {}),
    ...(key ? { key } : {}),
    ...(user?.token ? { token: user.token } : {}),
  };
}
