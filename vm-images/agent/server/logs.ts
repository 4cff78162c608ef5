/** A container's log as `kubectl logs` asks for it. */
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { Pod } from "../../../common/kube/types.ts";
import { allContainers, isExited, podUid, viewOf } from "../kubelet/pod.ts";
import type { RuntimeCache } from "../runtime/runtime-cache.ts";
import type { LogOptions, Runtime, RuntimeContainer } from "../runtime/runtime.ts";

/** An error whose text is the answer's body. */
export class HttpError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export interface LogQuery extends LogOptions {
  previous: boolean;
  limitBytes: number | undefined;
}

/** Throws HttpError(400) for values that are not what they should be. */
export function parseLogQuery(query: URLSearchParams, now: number): LogQuery {
  const number = (name: string): number | undefined => {
    const text = query.get(name);
    if (text === null || text === "") return undefined;
    if (!/^\d+$/.test(text)) throw new HttpError(400, `invalid value for ${name}: ${JSON.stringify(text)}`);
    return Number(text);
  };
  const flag = (name: string): boolean => ["true", "1", ""].includes(query.get(name) ?? "false");
  const sinceSeconds = number("sinceSeconds");
  const sinceTime = query.get("sinceTime");
  const since = sinceTime
    ? Date.parse(sinceTime) / 1000
    : sinceSeconds === undefined
      ? undefined
      : now / 1000 - sinceSeconds;
  if (since !== undefined && Number.isNaN(since))
    throw new HttpError(400, `invalid value for sinceTime: ${JSON.stringify(sinceTime)}`);
  const tail = number("tailLines");
  const stream = query.get("stream") ?? "All";
  return {
    follow: flag("follow"),
    timestamps: flag("timestamps"),
    previous: flag("previous"),
    limitBytes: number("limitBytes"),
    stdout: stream !== "Stderr",
    stderr: stream !== "Stdout",
    ...(tail === undefined ? {} : { tail }),
    ...(since === undefined ? {} : { since: Math.max(0, since) }),
  };
}

/** The container whose log is meant, or the reason why there is none. */
export function chooseContainer(
  pod: Pod,
  name: string,
  containers: RuntimeContainer[],
  previous: boolean,
): RuntimeContainer {
  if (!allContainers(pod).some(({ spec }) => spec.name === name))
    throw new HttpError(404, `container ${name} is not valid for pod ${pod.metadata.name}`);
  const own = viewOf(containers).containers.filter(
    (container) => container.name?.container === name && (container.state === "running" || isExited(container)),
  );
  const [newest, before] = own;
  if (previous) {
    // In back-off the newest attempt has ended, and is the "last state" that previous means.
    const waiting = newest && isExited(newest) && statusOf(pod, name)?.state?.waiting !== undefined;
    const chosen = waiting ? newest : before;
    if (!chosen)
      throw new HttpError(400, `previous terminated container "${name}" in pod "${pod.metadata.name}" not found`);
    return chosen;
  }
  if (!newest) {
    const reason = statusOf(pod, name)?.state?.waiting?.reason ?? "ContainerCreating";
    const message =
      reason === "ErrImagePull" || reason === "ImagePullBackOff" ? "trying and failing to pull image" : reason;
    throw new HttpError(400, `container "${name}" in pod "${pod.metadata.name}" is waiting to start: ${message}`);
  }
  return newest;
}

function statusOf(
  pod: Pod,
  name: string,
): NonNullable<NonNullable<Pod["status"]>["containerStatuses"]>[number] | undefined {
  const { containerStatuses = [], initContainerStatuses = [], ephemeralContainerStatuses = [] } = pod.status ?? {};
  return [...containerStatuses, ...initContainerStatuses, ...ephemeralContainerStatuses].find(
    (status) => status.name === name,
  );
}

export async function serveLogs(
  pod: Pod,
  name: string,
  query: LogQuery,
  runtime: Runtime,
  cache: RuntimeCache,
  response: ServerResponse,
): Promise<void> {
  const container = chooseContainer(pod, name, cache.ofPod(podUid(pod)), query.previous);
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const pieces = await runtime.logs(
    container.id,
    container.tty,
    { ...query, follow: query.follow && container.state === "running" },
    gone.signal,
  );
  response.writeHead(200, { "Content-Type": "text/plain", "Transfer-Encoding": "chunked" });
  response.flushHeaders();
  let left = query.limitBytes ?? Infinity;
  for await (const { data } of pieces) {
    if (gone.signal.aborted) return;
    const part = data.length > left ? data.subarray(0, left) : data;
    left -= part.length;
    if (part.length > 0 && !response.write(part))
      await once(response, "drain", { signal: gone.signal }).catch(() => undefined);
    if (left <= 0) break;
  }
  response.end();
}
