/**
 * Follows one kind of object of a cluster: list, then watch from there, again whenever that ends. Small
 * on purpose: the engine only wants to know what is there now, not each event.
 */
import { StatusError } from "../../common/kube/status.ts";
import type { Status } from "../../common/kube/status.ts";
import { objectKey } from "../../common/kube/object.ts";
import type { KubeList, KubeObject, WatchEvent } from "../../common/kube/object.ts";
import type { KubeApi } from "./kube-api.ts";
import { pause } from "./topic.ts";

const PAUSES = [200, 500, 1000, 2000, 5000];

/**
 * Calls `onChange` with all objects by key after each change, until the signal aborts. Problems (the API
 * server away) are told to `onProblem` and waited out.
 */
export async function follow<T extends KubeObject>(
  api: KubeApi,
  path: string,
  onChange: (objects: ReadonlyMap<string, T>) => void,
  options: { signal: AbortSignal; onProblem?: (error: unknown) => void },
): Promise<void> {
  const { signal, onProblem } = options;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const list = await getJSON<KubeList<T>>(api, path, signal);
      const objects = new Map(list.items.map((item) => [objectKey(item), item]));
      onChange(objects);
      failures = 0;
      await watchFrom(api, path, list.metadata.resourceVersion ?? "0", objects, onChange, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof StatusError && error.reason === "Expired")) {
        failures++;
        onProblem?.(error);
      }
    }
    await pause(PAUSES[Math.min(failures, PAUSES.length - 1)] as number, signal);
  }
}

async function watchFrom<T extends KubeObject>(
  api: KubeApi,
  path: string,
  resourceVersion: string,
  objects: Map<string, T>,
  onChange: (objects: ReadonlyMap<string, T>) => void,
  signal: AbortSignal,
): Promise<void> {
  const separator = path.includes("?") ? "&" : "?";
  const stream = await api.stream({
    method: "GET",
    path: `${path}${separator}watch=true&allowWatchBookmarks=true&resourceVersion=${resourceVersion}`,
    signal,
  });
  let rest = "";
  for await (const chunk of stream.body) {
    rest += chunk;
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (stream.status !== 200) throw StatusError.from(JSON.parse(line) as Status);
      if (line !== "") apply(JSON.parse(line) as WatchEvent<T>, objects);
    }
    onChange(objects);
  }
  if (stream.status !== 200) throw new StatusError("InternalError", `watch ${path}: ${stream.status} ${rest}`);
}

function apply<T extends KubeObject>(event: WatchEvent<T>, objects: Map<string, T>): void {
  if (event.type === "ERROR") throw StatusError.from(event.object as unknown as Status);
  if (event.type === "BOOKMARK") return;
  if (event.type === "DELETED") objects.delete(objectKey(event.object));
  else objects.set(objectKey(event.object), event.object);
}

/** One request; throws the server's StatusError. */
export async function requestJSON<T>(
  api: KubeApi,
  method: string,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<T> {
  const response = await api.request({
    method,
    path,
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    signal,
  });
  if (response.status >= 300) throw statusOf(response.status, response.body, `${method} ${path}`);
  return JSON.parse(response.body) as T;
}

export function getJSON<T>(api: KubeApi, path: string, signal?: AbortSignal): Promise<T> {
  return requestJSON<T>(api, "GET", path, undefined, signal);
}

function statusOf(code: number, body: string, what: string): StatusError {
  try {
    const status = JSON.parse(body) as Status;
    if (status.kind === "Status") return StatusError.from(status);
  } catch {
    // Not JSON: told below, as it is.
  }
  const error = new StatusError("InternalError", `${what}: ${code} ${body.slice(0, 200)}`);
  error.status.code = code;
  return error;
}
