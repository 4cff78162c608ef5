/** log, exec, attach and portforward: the Pod's node is found, then its kubelet answers through us. */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { StatusError } from "../../../../common/kube/status.ts";
import type { Pod } from "../../../../common/kube/types.ts";
import type { ApiEnvironment } from "../environment.ts";
import { viewOf } from "../registry/context.ts";
import type { Target } from "../registry/context.ts";
import { getObject } from "../registry/read.ts";
import type { Exchange } from "../http/exchange.ts";
import type { RequestInfo } from "../http/request-info.ts";
import { departure } from "./departure.ts";
import { execPath, logPath } from "./kubelet-path.ts";
import { KubeletProcess } from "./kubelet-process.ts";
import { checkLogOptions } from "./log-options.ts";
import { podKubelet } from "./places.ts";
import { readPort, servePortForwardChannels, servePortForwardSpdy, servePortForwardTunnel } from "./port-forward.ts";
import type { DialPort } from "./port-forward.ts";
import {
  PORT_FORWARD,
  REMOTE_COMMAND,
  TUNNEL,
  chooseChannel,
  chooseSpdy,
  offeredWebSocket,
  upgradeOf,
} from "./protocols.ts";
import { isWanted, serveChannels, serveSpdyCommand } from "./remote-command.ts";
import { handleProxied, upgradeProxied } from "./proxy.ts";
import { acceptWebSocket } from "./web-socket.ts";

const STREAMING = new Set(["log", "exec", "attach", "portforward", "proxy"]);
const UPGRADED: ReadonlySet<string> = new Set(["exec", "attach", "portforward"]);

/** True for subresources that may last, and that others than the registry answer. */
export function isStreaming({ resource }: RequestInfo): boolean {
  return resource?.subresource !== undefined && STREAMING.has(resource.subresource);
}

/** True for what runs in a Pod, or reaches into it. */
export function isCommand(subresource: string | undefined): boolean {
  return subresource !== undefined && UPGRADED.has(subresource);
}

/** Throws StatusError before anything was answered. */
export async function handleStreaming(environment: ApiEnvironment, exchange: Exchange, target: Target): Promise<void> {
  const { definition, subresource } = target;
  if (subresource?.name === "proxy") return handleProxied(environment, exchange, target);
  if (definition.resource !== "pods" || subresource?.name !== "log") {
    throw new StatusError("BadRequest", "Upgrade request required");
  }
  const { query } = exchange.info;
  const { response } = exchange;
  checkLogOptions(target.name ?? "", query);
  const { pod, container } = await podOf(environment, target, query.get("container") ?? "");
  // Without a node there is nothing that could have been said.
  if (!pod.spec?.nodeName) {
    response.writeHead(204).end();
    return;
  }
  const address = await podKubelet(environment.reader, pod);
  const path = logPath({ namespace: pod.metadata.namespace ?? "", pod: pod.metadata.name ?? "", container }, query);
  const answer = await environment.kubelets.get(address, path, departure(response));
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
  const kind = target.subresource?.name as "exec" | "attach" | "portforward" | "proxy" | undefined;
  if (kind === "proxy") return upgradeProxied(environment, target, request, socket, head);
  if (target.definition.resource !== "pods" || kind === undefined || !UPGRADED.has(kind)) {
    throw new StatusError("BadRequest", "this resource cannot be upgraded to another protocol");
  }
  const upgrade = upgradeOf(request.headers);
  if (upgrade !== "websocket" && upgrade !== "spdy/3.1") {
    throw new StatusError("BadRequest", `unable to upgrade: ${JSON.stringify(upgrade)} is not spoken here`);
  }
  const { query } = info;
  const left = departure(socket);
  const { pod, container } = await podOf(environment, target, query.get("container") ?? "", kind === "portforward");
  const place = { namespace: pod.metadata.namespace ?? "", pod: pod.metadata.name ?? "", container };
  const kubelet = await podKubelet(environment.reader, pod);
  if (kind === "portforward") {
    const dial: DialPort = (port) =>
      environment.kubelets.connectPod(kubelet, { namespace: place.namespace, name: place.pod }, port, left);
    return upgradePortForward(query, request, socket, head, dial);
  }
  if (kind === "exec" && query.getAll("command").length === 0) {
    throw new StatusError("BadRequest", "you must specify at least one command for the container");
  }
  const path = execPath(kind, place, query);
  const wanted = {
    stdin: isWanted(query, "stdin"),
    stdout: isWanted(query, "stdout"),
    stderr: isWanted(query, "stderr"),
    tty: isWanted(query, "tty"),
  };
  if (!wanted.stdin && !wanted.stdout && !wanted.stderr) {
    throw new StatusError("BadRequest", "you must specify at least 1 of stdin, stdout, stderr");
  }
  if (upgrade === "websocket") {
    const protocol = chooseChannel(request.headers);
    if (protocol === undefined) throw unsupportedProtocol(request);
    // The kubelet speaks these two itself: passed on byte for byte.
    if (protocol === "v5.channel.k8s.io" || protocol === "v4.channel.k8s.io") {
      request.headers["sec-websocket-protocol"] = protocol;
      return environment.kubelets.upgrade(kubelet, path, request, socket, head);
    }
    const process = new KubeletProcess(await environment.kubelets.webSocket(kubelet, path, "v5.channel.k8s.io", left));
    return serveChannels(request, socket, head, protocol, wanted, process);
  }
  const protocol = agree(request, REMOTE_COMMAND);
  const process = new KubeletProcess(await environment.kubelets.webSocket(kubelet, path, "v5.channel.k8s.io", left));
  switchToSpdy(socket, head, protocol);
  return serveSpdyCommand(socket, protocol, wanted, process);
}

function upgradePortForward(
  query: URLSearchParams,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  dial: DialPort,
): void {
  if (upgradeOf(request.headers) !== "websocket") {
    switchToSpdy(socket, head, agree(request, PORT_FORWARD));
    return servePortForwardSpdy(socket, dial);
  }
  if (offeredWebSocket(request.headers).includes(TUNNEL)) {
    return acceptWebSocket(request, socket, head, TUNNEL, (webSocket) => servePortForwardTunnel(webSocket, dial));
  }
  const given = request.headers["sec-websocket-protocol"] !== undefined;
  const protocol = chooseChannel(request.headers);
  if (protocol === undefined) throw unsupportedProtocol(request);
  const ports = query.getAll("ports").flatMap((text) => text.split(","));
  const numbers = ports.flatMap((text) => readPort(text) ?? []);
  if (numbers.length === 0 || numbers.length < ports.length) {
    throw new StatusError("BadRequest", `query parameter "ports" names no ports: ${JSON.stringify(ports.join(","))}`);
  }
  acceptWebSocket(request, socket, head, given ? protocol : "", (webSocket) =>
    servePortForwardChannels(webSocket, protocol, numbers, dial),
  );
}

function unsupportedProtocol(request: IncomingMessage): StatusError {
  const offered = offeredWebSocket(request.headers).join(", ");
  return new StatusError("BadRequest", `unable to upgrade: none of the protocols [${offered}] is spoken here`);
}

/** Throws Forbidden, as Kubernetes answers it. */
function agree(request: IncomingMessage, ours: readonly string[]): string {
  try {
    return chooseSpdy(request.headers, ours);
  } catch (error) {
    throw new StatusError("Forbidden", (error as Error).message);
  }
}

function switchToSpdy(socket: Duplex, head: Buffer, protocol: string): void {
  const version = protocol === "" ? "" : `X-Stream-Protocol-Version: ${protocol}\r\n`;
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n${version}\r\n`);
  if (head.length > 0) socket.unshift(head);
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
    const choose = (list: readonly { name: string }[]): string => `[${list.map(({ name }) => name).join(" ")}]`;
    const others = initContainers.length > 0 ? ` or one of the init containers: ${choose(initContainers)}` : "";
    throw new StatusError(
      "BadRequest",
      `a container name must be specified for pod ${podName}, choose one of: ${choose(containers)}${others}`,
    );
  }
  const container = named === "" ? (containers[0]?.name ?? "") : named;
  if (!names.includes(container)) {
    throw new StatusError("BadRequest", `container ${container} is not valid for pod ${podName}`);
  }
  return { pod, container };
}
