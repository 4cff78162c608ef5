/**
 * `Client` over HTTP, for whoever is not in the API server's process. How bytes travel is the
 * transport's business (Node's https, the engine's contract, a test's double), so this runs anywhere.
 */
import type { Client, DeleteOptions, ListOptions, ObjectRef, PatchType, WatchOptions, WriteOptions } from "./client.ts";
import type { GroupVersionResource, KubeList, KubeObject, WatchEvent } from "./object.ts";
import { apiVersionOf } from "./object.ts";
import { collectionPath, listQuery, objectPath } from "./paths.ts";
import { StatusError } from "./status.ts";
import type { Status, StatusReason } from "./status.ts";

export interface TransportRequest {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** "/api/v1/pods", without a query. */
  path: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: string | Uint8Array;
  /** Ends the request and its answer. */
  signal?: AbortSignal;
}

export interface TransportResponse {
  status: number;
  /** Names in lower case. */
  headers: Record<string, string>;
  /** Must be read to its end, or the request aborted. */
  body: AsyncIterable<Uint8Array>;
}

/** Rejects when the server cannot be reached or the signal aborts; HTTP errors are answers. */
export type Transport = (request: TransportRequest) => Promise<TransportResponse>;

const JSON_TYPE = "application/json";

const REASONS: Record<number, StatusReason> = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  405: "MethodNotAllowed",
  406: "NotAcceptable",
  409: "Conflict",
  410: "Gone",
  413: "RequestEntityTooLarge",
  415: "UnsupportedMediaType",
  422: "Invalid",
  429: "TooManyRequests",
  503: "ServiceUnavailable",
  504: "Timeout",
};

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of body) text += decoder.decode(chunk, { stream: true });
  return text + decoder.decode();
}

/** The Status in an error's body, or one made of whatever is there. */
function errorFrom(status: number, text: string): StatusError {
  try {
    const value = JSON.parse(text) as Status;
    if (value.kind === "Status") return StatusError.from(value);
  } catch {
    // Not JSON: a proxy's words, perhaps. They go into the message below.
  }
  const error = new StatusError(REASONS[status] ?? "InternalError", text.trim() || `the server answered ${status}`);
  error.status.code = status;
  return error;
}

/** The lines of a byte stream, whole ones as they come; a last one without its end is cut short and dropped. */
async function* linesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line !== "") yield line;
  }
}

function writeQuery(options: WriteOptions): Record<string, string> {
  return {
    ...(options.fieldManager ? { fieldManager: options.fieldManager } : {}),
    ...(options.dryRun ? { dryRun: "All" } : {}),
    ...(options.force ? { force: "true" } : {}),
  };
}

const signalOf = ({ signal }: { signal?: AbortSignal }): { signal?: AbortSignal } => (signal ? { signal } : {});

export class HttpClient implements Client {
  readonly #transport: Transport;
  readonly #headers: Record<string, string>;

  /** `headers` go with each request, e.g. { authorization: "Bearer …" }. */
  constructor(transport: Transport, options: { headers?: Record<string, string> } = {}) {
    this.#transport = transport;
    this.#headers = options.headers ?? {};
  }

  get<T extends KubeObject = KubeObject>(ref: ObjectRef, options: { signal?: AbortSignal } = {}): Promise<T> {
    return this.#json<T>({ method: "GET", path: objectPath(ref), ...signalOf(options) });
  }

  async list<T extends KubeObject = KubeObject>(
    gvr: GroupVersionResource,
    options: ListOptions = {},
  ): Promise<KubeList<T>> {
    const path = collectionPath(gvr, options.namespace);
    const list = await this.#json<KubeList<T>>({
      method: "GET",
      path,
      query: listQuery(options),
      ...signalOf(options),
    });
    list.items ??= [];
    // Servers leave these out of a list's items; whoever gets an object wants to know what it is.
    const apiVersion = apiVersionOf(gvr);
    const kind = list.kind.endsWith("List") ? list.kind.slice(0, -4) : list.kind;
    for (const item of list.items) {
      item.apiVersion ??= apiVersion;
      item.kind ??= kind;
    }
    return list;
  }

  async *watch<T extends KubeObject = KubeObject>(
    gvr: GroupVersionResource,
    options: WatchOptions = {},
  ): AsyncGenerator<WatchEvent<T>> {
    // Leaving the loop must end the request too, whether or not the caller's signal ever fires.
    const ended = new AbortController();
    const abort = (): void => ended.abort();
    options.signal?.addEventListener("abort", abort, { once: true });
    if (options.signal?.aborted) ended.abort();
    try {
      const response = await this.#send({
        method: "GET",
        path: collectionPath(gvr, options.namespace),
        query: { ...listQuery(options), watch: "true" },
        signal: ended.signal,
      });
      for await (const line of linesOf(response.body)) {
        const event = JSON.parse(line) as WatchEvent<T>;
        if (event.type === "ERROR") throw StatusError.from(event.object as unknown as Status);
        yield event;
      }
    } catch (error) {
      if (!options.signal?.aborted) throw error;
    } finally {
      options.signal?.removeEventListener("abort", abort);
      ended.abort();
    }
  }

  create<T extends KubeObject = KubeObject>(
    ref: ObjectRef,
    object: KubeObject,
    options: WriteOptions = {},
  ): Promise<T> {
    const path = ref.subresource ? objectPath(ref) : collectionPath(ref, ref.namespace);
    return this.#write<T>("POST", path, JSON_TYPE, object, options);
  }

  update<T extends KubeObject = KubeObject>(
    ref: ObjectRef,
    object: KubeObject,
    options: WriteOptions = {},
  ): Promise<T> {
    return this.#write<T>("PUT", objectPath(ref), JSON_TYPE, object, options);
  }

  patch<T extends KubeObject = KubeObject>(
    ref: ObjectRef,
    type: PatchType,
    patch: unknown,
    options: WriteOptions = {},
  ): Promise<T> {
    return this.#write<T>("PATCH", objectPath(ref), type, patch, options);
  }

  async delete(ref: ObjectRef, options: DeleteOptions = {}): Promise<KubeObject | undefined> {
    const { gracePeriodSeconds, propagationPolicy, preconditions, dryRun } = options;
    const body = {
      apiVersion: "v1",
      kind: "DeleteOptions",
      ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
      ...(propagationPolicy ? { propagationPolicy } : {}),
      ...(preconditions ? { preconditions } : {}),
      ...(dryRun ? { dryRun: ["All"] } : {}),
    };
    const answer = await this.#write<KubeObject>("DELETE", objectPath(ref), JSON_TYPE, body, options);
    return answer.kind === "Status" && answer.apiVersion === "v1" ? undefined : answer;
  }

  #write<T>(
    method: "POST" | "PUT" | "PATCH" | "DELETE",
    path: string,
    type: string,
    body: unknown,
    options: WriteOptions,
  ): Promise<T> {
    return this.#json<T>({
      method,
      path,
      query: method === "DELETE" ? {} : writeQuery(options),
      headers: { "content-type": type },
      body: JSON.stringify(body),
      ...signalOf(options),
    });
  }

  async #json<T>(request: TransportRequest): Promise<T> {
    const response = await this.#send(request);
    return JSON.parse(await textOf(response.body)) as T;
  }

  async #send(request: TransportRequest): Promise<TransportResponse> {
    const headers = { accept: JSON_TYPE, ...this.#headers, ...request.headers };
    const response = await this.#transport({ ...request, headers });
    if (response.status >= 200 && response.status < 300) return response;
    throw errorFrom(response.status, await textOf(response.body));
  }
}
