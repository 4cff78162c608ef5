/** log, exec, attach and portforward: the Pod's node is found, then its kubelet answers through us. */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { StatusError } from "../../../../common/kube/status.ts";
import type { Node, Pod } from "../../../../common/kube/types.ts";
import type { ApiEnvironment } from "../environment.ts";
import { viewOf } from "../registry/context.ts";
import type { Target } from "../registry/context.ts";
import { getObject } from "../registry/read.ts";
import type { Exchange } from "../http/exchange.ts";
import type { RequestInfo } from "../http/request-info.ts";
import { execPath, logPath, portForwardPath } from "./kubelet-path.ts";
import type { KubeletAddress } from "./kubelet-proxy.ts";

const STREAMING = new Set(["log", "exec", "attach", "portforward", "proxy"]);
const UPGRADED: ReadonlySet<string> = new Set(["exec", "attach", "portforward"]);
const KUBELET_PORT = 10250;

/** True for subresources that may last, and that others than the registry answer. */
export function isStreaming({ resource }: RequestInfo): boolean {
  return resource?.subresource !== undefined && STREAMING.has(resource.subresource);
}

/** Throws StatusError before anything was answered. */
export async function handleStreaming(environment: ApiEnvironment, exchange: Exchange, target: Target): Promise<void> {
  const { definition, subresource } = target;
  if (definition.resource !== "pods" || subresource?.name !== "log") {
    const name = subresource?.name ?? "";
    throw name === "proxy"
      ? new StatusError("MethodNotAllowed", "the server does not allow this method on the requested resource")
      : new StatusError("BadRequest", "Upgrade request required");
  }
  const { query } = exchange.info;
  checkLogOptions(query);
  const { pod, container } = await podOf(environment, target, query.get("container") ?? "");
  const address = await kubeletOf(environment, pod);
  const left = new AbortController();
  const { response } = exchange;
  response.once("close", () => left.abort());
  const path = logPath({ namespace: pod.metadata.namespace ?? "", pod: pod.metadata.name ?? "", container }, query);
  const answer = await environment.kubelets.get(address, path, left.signal);
  if (answer.statusCode !== 200) throw await refusal(answer, pod, container);
  response.writeHead(200, { "content-type": "text/plain", "cache-control": "no-cache, private" });
  response.flushHeaders();
  try {
    await pipeline(answer, response);
  } catch (error) {
    // The head is out: the client sees the stream's early end, which is all that can be said.
    environment.log.debug({ error: String(error) }, "log stream ended early");
  }
}

function checkLogOptions(query: URLSearchParams): void {
  for (const name of ["tailLines", "sinceSeconds", "limitBytes"]) {
    const value = query.get(name);
    if (value !== null && !/^\d+$/.test(value)) {
      throw new StatusError(
        "Invalid",
        `PodLogOptions "" is invalid: ${name}: Invalid value: ${value}: must be greater than or equal to 0`,
      );
    }
  }
}

async function refusal(answer: IncomingMessage, pod: Pod, container: string): Promise<StatusError> {
  answer.setEncoding("utf8");
  let text = "";
  try {
    for await (const chunk of answer) text += String(chunk);
  } catch {
    // Cut off in the middle: what came of it is said.
  }
  const message = text.trim();
  const where = `container ${JSON.stringify(container)} in pod ${JSON.stringify(pod.metadata.name)}`;
  if (answer.statusCode === 404) return new StatusError("NotFound", message || `${where} was not found on its node`);
  return new StatusError("BadRequest", message || `${where}: the kubelet answered ${answer.statusCode}`);
}

/** Throws StatusError before anything was answered. */
export async function upgradeStreaming(
  environment: ApiEnvironment,
  info: RequestInfo,
  target: Target,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const kind = target.subresource?.name as "exec" | "attach" | "portforward" | undefined;
  if (target.definition.resource !== "pods" || kind === undefined || !UPGRADED.has(kind)) {
    throw new StatusError("BadRequest", "this resource cannot be upgraded to another protocol");
  }
  const { query } = info;
  const { pod, container } = await podOf(environment, target, query.get("container") ?? "", kind === "portforward");
  const place = { namespace: pod.metadata.namespace ?? "", pod: pod.metadata.name ?? "", container };
  if (kind === "exec" && query.getAll("command").length === 0) {
    throw new StatusError("BadRequest", "you must specify at least one command for the container");
  }
  const path = kind === "portforward" ? portForwardPath(place, query) : execPath(kind, place, query);
  await environment.kubelets.upgrade(await kubeletOf(environment, pod), path, request, socket, head);
}

/** The Pod, and the container that was named or is its only one. */
async function podOf(
  { registry }: ApiEnvironment,
  target: Target,
  named: string,
  anyContainer = false,
): Promise<{ pod: Pod; container: string }> {
  const item = await getObject(registry, target);
  const pod = viewOf(target.definition, item) as Pod;
  const { containers = [], initContainers = [], ephemeralContainers = [] } = pod.spec ?? {};
  const names = [...containers, ...initContainers, ...ephemeralContainers].map(({ name }) => name);
  const podName = pod.metadata.name ?? "";
  if (named === "" && containers.length > 1 && !anyContainer) {
    const choose = containers.map(({ name }) => name).join(" ");
    throw new StatusError(
      "BadRequest",
      `a container name must be specified for pod ${podName}, choose one of: [${choose}]`,
    );
  }
  const container = named === "" ? (containers[0]?.name ?? "") : named;
  if (!names.includes(container)) {
    throw new StatusError("BadRequest", `container ${container} is not valid for pod ${podName}`);
  }
  return { pod, container };
}

async function kubeletOf({ reader }: ApiEnvironment, pod: Pod): Promise<KubeletAddress> {
  const nodeName = pod.spec?.nodeName;
  if (!nodeName) throw new StatusError("BadRequest", `pod ${pod.metadata.name} does not have a host assigned`);
  const node = (await reader.live("nodes", undefined, nodeName)) as Node | undefined;
  const address = node?.status?.addresses?.find(({ type }) => type === "InternalIP")?.address;
  if (!address) throw new StatusError("ServiceUnavailable", `no address is known of node ${nodeName}`);
  return { address, port: node?.status?.daemonEndpoints?.kubeletEndpoint?.Port ?? KUBELET_PORT };
}
