/**
 * The agent's kubelet API from the host, through the loopback port that QEMU forwards into the node.
 * TLS both ways with the cluster's CA; the certificate must be the node's own, by its cluster address.
 */
import { Agent, request as httpsRequest } from "node:https";
import type { ClientRequest, IncomingMessage } from "node:http";
import { checkServerIdentity } from "node:tls";
import type { ConnectionOptions } from "node:tls";
import type { Duplex, Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { fail, toFailure } from "./failure.ts";
import type { Credentials } from "./kube-api.ts";

export interface KubeletTarget {
  node: string;
  /** On the cluster's network: what the certificate must name. */
  address: string;
  hostPort: number;
  credentials: Credentials;
}

/** For TLS to that node, whoever opens it (https, WebSocket). */
export function kubeletTLS(target: KubeletTarget): ConnectionOptions {
  const { ca, cert, key } = target.credentials;
  return {
    ca,
    cert,
    key,
    servername: "",
    checkServerIdentity: (_host, certificate) => checkServerIdentity(target.address, certificate),
  };
}

/** Answers with the open response; throws KUBELET_UNREACHABLE or, for a status of 300 and more, API_REFUSED. */
export async function kubeletRequest(
  target: KubeletTarget,
  options: {
    method: "GET" | "POST";
    path: string;
    body?: Readable;
    headers?: Record<string, string>;
    signal?: AbortSignal | undefined;
    timeoutMillis?: number;
  },
): Promise<IncomingMessage> {
  const { method, path, body, headers, signal, timeoutMillis = 30_000 } = options;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = open(target, method, path, headers, signal);
    if (timeoutMillis > 0)
      outgoing.setTimeout(timeoutMillis, () =>
        outgoing.destroy(new Error(`no answer within ${timeoutMillis / 1000} s`)),
      );
    outgoing.once("response", resolve);
    outgoing.once("error", (error) => reject(signal?.aborted ? (signal.reason as Error) : unreachable(target, error)));
    if (body) body.once("error", (error) => outgoing.destroy(error)).pipe(outgoing);
    else outgoing.end();
  });
  if ((response.statusCode ?? 500) < 300) return response;
  throw fail(
    "API_REFUSED",
    `${target.node}: ${method} ${path}: ${response.statusCode} ${(await text(response)).slice(0, 500)}`,
  );
}

/** Asks until it answers; the caller's deadline is the signal's. */
export async function untilKubeletAnswers(target: KubeletTarget, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      (await kubeletRequest(target, { method: "GET", path: "/healthz", signal, timeoutMillis: 5_000 })).resume();
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (toFailure(error).code !== "KUBELET_UNREACHABLE") throw error;
    }
    await sleep(100, undefined, { signal });
  }
}

/** A TCP connection made from inside the node (to a Pod's or Service's address): CONNECT through its kubelet. */
export function kubeletConnect(target: KubeletTarget, authority: string): Promise<{ socket: Duplex; head: Buffer }> {
  return new Promise((resolve, reject) => {
    const outgoing = open(target, "CONNECT", authority, undefined, undefined);
    outgoing.setTimeout(15_000, () => outgoing.destroy(new Error("no answer within 15 s")));
    outgoing.once("connect", (response, socket, head: Buffer) => {
      outgoing.setTimeout(0);
      socket.setTimeout(0);
      if (response.statusCode === 200) {
        resolve({ socket, head });
        return;
      }
      socket.destroy();
      reject(fail("KUBELET_UNREACHABLE", `${target.node} cannot reach ${authority}: ${response.statusCode}`));
    });
    outgoing.once("response", (response) => {
      response.resume();
      reject(fail("KUBELET_UNREACHABLE", `${target.node} refused to connect to ${authority}: ${response.statusCode}`));
    });
    outgoing.once("error", (error) => reject(unreachable(target, error)));
    outgoing.end();
  });
}

export async function text(response: IncomingMessage): Promise<string> {
  response.setEncoding("utf8");
  let content = "";
  for await (const chunk of response) content += String(chunk);
  return content;
}

function open(
  target: KubeletTarget,
  method: string,
  path: string,
  headers: Record<string, string> | undefined,
  signal: AbortSignal | undefined,
): ClientRequest {
  return httpsRequest({
    host: "127.0.0.1",
    port: target.hostPort,
    method,
    path,
    headers: { host: `${target.address}:10250`, ...headers },
    // One connection per request: streams live long, and a resumed node has forgotten idle ones.
    agent: new Agent({ keepAlive: false }),
    ...kubeletTLS(target),
    ...(signal ? { signal } : {}),
  });
}

function unreachable(target: KubeletTarget, error: Error): Error {
  return fail("KUBELET_UNREACHABLE", `the agent of ${target.node} does not answer: ${error.message}`, { cause: error });
}
