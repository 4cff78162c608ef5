/**
 * The Docker of a node from the host (https://docs.docker.com/reference/api/engine/), through the node's kubelet, which
 * connects whoever is the cluster's administrator to its socket.
 */
import { request as httpRequest } from "node:http";
import type { IncomingMessage } from "node:http";
import type { Duplex, Readable } from "node:stream";
import { DOCKER_AUTHORITY } from "../../common/node/identity.ts";
import { onLines } from "../host/lines.ts";
import { fail } from "./failure.ts";
import { kubeletConnect, text } from "./kubelet-api.ts";
import type { KubeletTarget } from "./kubelet-api.ts";

export interface DockerRequest {
  method: "GET" | "POST" | "DELETE";
  path: string;
  headers?: Record<string, string>;
  body?: Readable;
  signal?: AbortSignal | undefined;
  /** Of silence. */
  timeoutMillis?: number;
}

/** A line of what Docker tells while it pulls, builds or loads. */
export interface DockerProgress {
  stream?: string;
  status?: string;
  id?: string;
  progressDetail?: { current?: number; total?: number };
  error?: string;
}

const SILENCE_MILLIS = 30_000;

/** A connection of its own to the node's Docker. */
export async function connectDocker(target: KubeletTarget): Promise<Duplex> {
  const { socket, head } = await kubeletConnect(target, DOCKER_AUTHORITY);
  if (head.length > 0) socket.unshift(head);
  return socket;
}

/** Answers with the open response; throws DOCKER_REFUSED for a status of 300 and more. */
export async function dockerRequest(target: KubeletTarget, request: DockerRequest): Promise<IncomingMessage> {
  const { method, path, headers = {}, body, signal, timeoutMillis = SILENCE_MILLIS } = request;
  const socket = await connectDocker(target);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = httpRequest({
      method,
      path,
      headers: { host: "docker", connection: "close", ...headers },
      createConnection: () => socket,
      ...(signal ? { signal } : {}),
    });
    outgoing.setTimeout(timeoutMillis, () =>
      outgoing.destroy(new Error(`nothing heard for ${timeoutMillis / 1000} s`)),
    );
    outgoing.once("response", resolve);
    outgoing.once("error", (error) => {
      socket.destroy();
      reject(
        signal?.aborted ? (signal.reason as Error) : refused(target, `${method} ${path}: ${error.message}`, error),
      );
    });
    if (body) body.once("error", (error) => outgoing.destroy(error)).pipe(outgoing);
    else outgoing.end();
  });
  if ((response.statusCode ?? 500) < 300) return response;
  const answer = await text(response);
  throw refused(target, messageOf(answer) ?? `${method} ${path}: ${response.statusCode} ${answer.slice(0, 300)}`);
}

export async function dockerJSON<T>(target: KubeletTarget, request: DockerRequest): Promise<T> {
  return JSON.parse(await text(await dockerRequest(target, request))) as T;
}

/** Reads what Docker tells to its end. Throws DOCKER_REFUSED with the error that it tells. */
export async function followDocker(
  target: KubeletTarget,
  request: DockerRequest,
  heard: (progress: DockerProgress) => void,
): Promise<void> {
  const response = await dockerRequest(target, request);
  let failed: string | undefined;
  await new Promise<void>((resolve, reject) => {
    onLines(response, (line) => {
      if (line.trim() === "") return;
      let progress: DockerProgress;
      try {
        progress = JSON.parse(line) as DockerProgress;
      } catch {
        return;
      }
      failed = progress.error ?? failed;
      heard(progress);
    });
    response.once("end", resolve);
    response.once("error", (error) => reject(request.signal?.aborted ? (request.signal.reason as Error) : error));
    response.once("close", () => reject(new Error("the connection was closed")));
  });
  if (failed !== undefined) throw refused(target, failed);
}

function refused(target: KubeletTarget, why: string, cause?: unknown): Error {
  return fail("DOCKER_REFUSED", `Docker of ${target.node}: ${why}`, { cause });
}

function messageOf(answer: string): string | undefined {
  try {
    return (JSON.parse(answer) as { message?: string }).message;
  } catch {
    return undefined;
  }
}
