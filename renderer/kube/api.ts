/** One cluster's API server, reached through the contract: requests, JSON, and endless answers line by line. */
import { StatusError, type Status } from "../../common/kube/status.ts";
import type { GroupVersionResource, KubeObject } from "../../common/kube/object.ts";
import type { EngineClient } from "../engine/transport.ts";

export interface KubeResponse {
  status: number;
  headers: Record<string, string>;
  body: string;
}

export interface KubeRequest {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  headers?: Record<string, string>;
  /** Sent as it is when a string, else as JSON. */
  body?: unknown;
  signal?: AbortSignal;
}

export interface KubeApi {
  readonly cluster: string;
  /** The whole answer; failure statuses are thrown as StatusError. */
  request(path: string, request?: KubeRequest): Promise<KubeResponse>;
  json<T>(path: string, request?: KubeRequest): Promise<T>;
  /** Pieces of text as they come. A failure status is thrown as StatusError before the first piece. */
  stream(path: string, options?: { headers?: Record<string, string>; signal?: AbortSignal }): AsyncGenerator<string>;
}

/** `client` waits for the engine, so a call made while it is away is sent when it is back or given up by its signal. */
export function createKubeApi(cluster: string, client: (signal?: AbortSignal) => Promise<EngineClient>): KubeApi {
  async function request(path: string, options: KubeRequest = {}): Promise<KubeResponse> {
    const { method = "GET", headers = {}, body, signal } = options;
    const engine = await client(signal);
    const sent = body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
    const response = await engine.kube.request(
      {
        cluster,
        method,
        path,
        headers: {
          accept: "application/json",
          ...(sent !== undefined && { "content-type": "application/json" }),
          ...headers,
        },
        ...(sent !== undefined && { body: sent }),
      },
      { signal },
    );
    if (response.status >= 400) throw statusErrorOf(response.status, response.body);
    return response;
  }

  return {
    cluster,
    request,
    json: async <T>(path: string, options?: KubeRequest) => JSON.parse((await request(path, options)).body) as T,
    async *stream(path, { headers = {}, signal } = {}) {
      const engine = await client(signal);
      const pieces = await engine.kube.stream({ cluster, path, headers }, { signal });
      let failed: { status: number; body: string } | undefined;
      for await (const piece of pieces) {
        if ("status" in piece) {
          if (piece.status >= 400) failed = { status: piece.status, body: "" };
        } else if (failed) failed.body += piece.chunk;
        else yield piece.chunk;
      }
      if (failed) throw statusErrorOf(failed.status, failed.body);
    },
  };
}

/** The server's Status, or one made of the bare answer when it sent none. */
export function statusErrorOf(code: number, body: string): StatusError {
  try {
    const parsed = JSON.parse(body) as Partial<Status>;
    if (parsed.kind === "Status") return StatusError.from(parsed as Status);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  const reason =
    code === 404 ? "NotFound" : code === 403 ? "Forbidden" : code === 503 ? "ServiceUnavailable" : "InternalError";
  const error = new StatusError(reason, body.trim().slice(0, 500) || `The API server answered ${code}.`);
  error.status.code = code;
  return error;
}

/** Joins pieces of text into whole lines (without their newline); a last line without newline counts. */
export async function* lines(pieces: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = "";
  for await (const piece of pieces) {
    const parts = (rest + piece).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
  if (rest !== "") yield rest;
}

export interface PathOptions {
  namespace?: string | undefined;
  name?: string | undefined;
  subresource?: string | undefined;
  query?: Record<string, string | number | boolean | undefined>;
}

/** The URL path of a collection or an object, with its query. */
export function kubePath(gvr: GroupVersionResource, options: PathOptions = {}): string {
  const parts = [gvr.group === "" ? `/api/${gvr.version}` : `/apis/${gvr.group}/${gvr.version}`];
  if (options.namespace) parts.push("namespaces", encodeURIComponent(options.namespace));
  parts.push(gvr.resource);
  if (options.name) parts.push(encodeURIComponent(options.name));
  if (options.subresource) parts.push(options.subresource);
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(options.query ?? {})) {
    if (value !== undefined && value !== "") query.set(key, String(value));
  }
  const text = query.toString();
  return parts.join("/") + (text ? `?${text}` : "");
}

export const PODS: GroupVersionResource = { group: "", version: "v1", resource: "pods" };
export const NODES: GroupVersionResource = { group: "", version: "v1", resource: "nodes" };
export const EVENTS: GroupVersionResource = { group: "", version: "v1", resource: "events" };
export const SERVICES: GroupVersionResource = { group: "", version: "v1", resource: "services" };
export const NAMESPACES: GroupVersionResource = { group: "", version: "v1", resource: "namespaces" };
export const DEPLOYMENTS: GroupVersionResource = { group: "apps", version: "v1", resource: "deployments" };
export const REPLICASETS: GroupVersionResource = { group: "apps", version: "v1", resource: "replicasets" };

/** uid where there is one, so that a deleted and re-created object is another one. */
export function identityOf(object: Pick<KubeObject, "metadata">): string {
  const { uid, namespace = "", name = "" } = object.metadata;
  return uid ?? `${namespace}/${name}`;
}
