/**
 * The Kubernetes API over HTTPS with a client certificate (or a bootstrap token): the `Client` of the agent.
 * Connections are kept open; each watch has its own.
 */
import { Agent, request as httpsRequest } from "node:https";
import type { RequestOptions } from "node:https";
import type { IncomingMessage } from "node:http";
import type {
  Client,
  DeleteOptions,
  ListOptions,
  ObjectRef,
  PatchType,
  WatchOptions,
  WriteOptions,
} from "../../../common/kube/client.ts";
import type { GroupVersionResource, KubeList, KubeObject, WatchEvent } from "../../../common/kube/object.ts";
import { StatusError } from "../../../common/kube/status.ts";
import type { Status } from "../../../common/kube/status.ts";

export interface Credentials {
  /** e.g. "https://10.0.2.2:40123" */
  server: string;
  /** PEM. */
  ca: string;
  certificate?: string;
  key?: string;
  token?: string;
}

/** A server that says nothing for this long on an open watch is not there: bookmarks come every minute. */
const WATCH_SILENCE = 150_000;

export class KubeClient implements Client {
  readonly #credentials: Credentials;
  readonly #url: URL;
  readonly #agent: Agent;

  constructor(credentials: Credentials) {
    this.#credentials = credentials;
    this.#url = new URL(credentials.server);
    this.#agent = new Agent({ keepAlive: true, keepAliveMsecs: 15_000, maxFreeSockets: 4, scheduling: "lifo" });
  }

  close(): void {
    this.#agent.destroy();
  }

  get<T extends KubeObject>(ref: ObjectRef, options: { signal?: AbortSignal } = {}): Promise<T> {
    return this.#json<T>("GET", pathOf(ref, ref), undefined, undefined, options.signal);
  }

  list<T extends KubeObject>(
    gvr: GroupVersionResource,
    { signal, namespace, ...query }: ListOptions = {},
  ): Promise<KubeList<T>> {
    return this.#json<KubeList<T>>("GET", pathOf(gvr, { namespace }, query), undefined, undefined, signal);
  }

  create<T extends KubeObject>(ref: ObjectRef, object: KubeObject, options: WriteOptions = {}): Promise<T> {
    // A subresource is POSTed to the object; anything else to its collection.
    const path = pathOf(ref, ref.subresource ? ref : { namespace: ref.namespace }, writeQuery(options));
    return this.#json<T>("POST", path, object, "application/json", options.signal);
  }

  update<T extends KubeObject>(ref: ObjectRef, object: KubeObject, options: WriteOptions = {}): Promise<T> {
    return this.#json<T>("PUT", pathOf(ref, ref, writeQuery(options)), object, "application/json", options.signal);
  }

  patch<T extends KubeObject>(ref: ObjectRef, type: PatchType, patch: unknown, options: WriteOptions = {}): Promise<T> {
    return this.#json<T>("PATCH", pathOf(ref, ref, writeQuery(options)), patch, type, options.signal);
  }

  async delete(ref: ObjectRef, { signal, ...options }: DeleteOptions = {}): Promise<KubeObject | undefined> {
    const body = { apiVersion: "v1", kind: "DeleteOptions", ...options };
    const answer = await this.#json<KubeObject>("DELETE", pathOf(ref, ref), body, "application/json", signal);
    return answer.kind === "Status" ? undefined : answer;
  }

  async *watch<T extends KubeObject>(
    gvr: GroupVersionResource,
    { signal, namespace, ...query }: WatchOptions = {},
  ): AsyncGenerator<WatchEvent<T>> {
    const response = await this.#send(
      "GET",
      pathOf(gvr, { namespace }, { ...query, watch: true }),
      undefined,
      undefined,
      signal,
    );
    try {
      if (response.statusCode !== 200) throw await statusOf(response);
      response.socket.setTimeout(WATCH_SILENCE, () => response.destroy(new Error("the watch fell silent")));
      let rest = "";
      response.setEncoding("utf8");
      for await (const text of response as AsyncIterable<string>) {
        const lines = (rest + text).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
          if (line === "") continue;
          const event = JSON.parse(line) as WatchEvent<T>;
          if (event.type === "ERROR") throw StatusError.from(event.object as unknown as Status);
          yield event;
        }
      }
    } catch (error) {
      if (!signal?.aborted) throw error;
    } finally {
      response.destroy();
    }
  }

  async #json<T>(
    method: string,
    path: string,
    body: unknown,
    contentType: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const response = await this.#send(method, path, body, contentType, signal);
    if ((response.statusCode ?? 0) >= 400) throw await statusOf(response);
    return JSON.parse(await textOf(response)) as T;
  }

  #send(
    method: string,
    path: string,
    body: unknown,
    contentType: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<IncomingMessage> {
    const { ca, certificate, key, token } = this.#credentials;
    const data = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const options: RequestOptions = {
      method,
      path,
      host: this.#url.hostname,
      port: this.#url.port || 443,
      agent: this.#agent,
      ca,
      headers: {
        Accept: "application/json",
        "User-Agent": "drydock-kubelet/1.36",
        ...(token ? { Authorization: `Bearer ${token}` } : {}),
        ...(data ? { "Content-Type": contentType, "Content-Length": data.length } : {}),
      },
      ...(certificate ? { cert: certificate } : {}),
      ...(key ? { key } : {}),
      ...(signal ? { signal } : {}),
    };
    return new Promise((resolve, reject) => {
      const request = httpsRequest(options, resolve);
      request.once("error", reject);
      request.end(data);
    });
  }
}

function pathOf(
  gvr: GroupVersionResource,
  target: { namespace?: string | undefined; name?: string; subresource?: string },
  query: object = {},
): string {
  const root = gvr.group === "" ? `/api/${gvr.version}` : `/apis/${gvr.group}/${gvr.version}`;
  const parts = [
    root,
    ...(target.namespace ? ["namespaces", target.namespace] : []),
    gvr.resource,
    ...(target.name ? [target.name] : []),
    ...(target.subresource ? [target.subresource] : []),
  ];
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query) as [string, unknown][])
    if (value !== undefined) search.set(key, String(value));
  return parts.join("/") + (search.size > 0 ? `?${search}` : "");
}

function writeQuery({ fieldManager, dryRun, force }: WriteOptions): object {
  return { fieldManager, force, dryRun: dryRun ? "All" : undefined };
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = "";
  response.setEncoding("utf8");
  for await (const chunk of response as AsyncIterable<string>) text += chunk;
  return text;
}

async function statusOf(response: IncomingMessage): Promise<Error> {
  const text = await textOf(response);
  try {
    const status = JSON.parse(text) as Status;
    if (status.kind === "Status") return StatusError.from(status);
  } catch {
    // Not a Kubernetes answer; told below as it is.
  }
  return new Error(`HTTP ${response.statusCode}: ${text.slice(0, 200)}`);
}
