/**
 * The API server's way to a node's kubelet: HTTPS with the apiserver-kubelet-client certificate, dialled
 * directly or through an egress proxy (HTTP CONNECT on a Unix socket). Logs come as an answer to pipe;
 * exec, attach and the like are upgrades, passed on byte for byte.
 */
import { request as httpRequest } from "node:http";
import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { connect as connectDirectly } from "node:net";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { checkServerIdentity, connect as tlsConnect } from "node:tls";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { StatusError } from "../../../../common/kube/status.ts";
import type { StatusReason } from "../../../../common/kube/status.ts";
import { WebSocket } from "ws";
import { departure, onDeparture } from "./departure.ts";
import { join } from "../../../../common/join.ts";

export interface KubeletProxyOptions {
  /** Path of the egress proxy's Unix socket; without it nodes are dialled directly. */
  egress?: string | undefined;
  /** PEM: the cluster's CA, and our client certificate. */
  ca: string | Buffer;
  certificate: string | Buffer;
  key: string | Buffer;
  timeoutMillis?: number;
}

export interface KubeletAddress {
  /** The Node's InternalIP: what its serving certificate must name. */
  address: string;
  port: number;
}

/** An emulated node that many ask at once takes tens of seconds to begin a command; one that is gone is refused at once. */
const TIMEOUT_MILLIS = 60_000;
/** Of so many kubelets the last TLS session is kept. */
const SESSIONS = 10_000;
/** Of one hop; not for the next. What identifies the client is not the kubelet's to see. */
const KEPT_HEADERS = [
  "upgrade",
  "connection",
  "sec-websocket-key",
  "sec-websocket-version",
  "sec-websocket-protocol",
  "sec-websocket-extensions",
  "x-stream-protocol-version",
];

export class KubeletProxy {
  private readonly options: KubeletProxyOptions;
  /**
   * The last TLS session with each kubelet, to be resumed (RFC 8446, 2.2): neither side then signs or checks certificates, which
   * is most of what a stream costs an emulated node. A kubelet that was started anew does not know it and shakes hands in full.
   */
  private readonly sessions = new Map<string, Buffer>();

  constructor(options: KubeletProxyOptions) {
    this.options = options;
  }

  /** The kubelet's answer, whatever its status; throws ServiceUnavailable when there is none. The body is the caller's to read or destroy. */
  async get(target: KubeletAddress, pathAndQuery: string, signal?: AbortSignal): Promise<IncomingMessage> {
    const socket = await this.dial(target, signal);
    return new Promise((resolve, reject) => {
      const outgoing = this.request(target, socket, pathAndQuery, {}, signal);
      // Of the answer's head alone: a log that is followed may be silent for as long as it likes.
      const clear = this.deadline(outgoing);
      outgoing.once("response", (response) => {
        clear();
        response.once("close", () => socket.destroy());
        resolve(response);
      });
      outgoing.once("error", (error) => {
        clear();
        reject(unreachable(target, error));
      });
      outgoing.end();
    });
  }

  /**
   * Passes an upgrade on and joins the two connections. Throws a StatusError before anything was written to
   * the client when the kubelet cannot be reached or refuses; afterwards either side's end ends the other.
   */
  async upgrade(
    target: KubeletAddress,
    pathAndQuery: string,
    request: IncomingMessage,
    client: Duplex,
    head: Buffer,
  ): Promise<void> {
    // Who leaves before the kubelet has answered takes the way to it along.
    const left = departure(client);
    const socket = await this.dial(target, left);
    const { answer, upgraded, rest } = await new Promise<{ answer: IncomingMessage; upgraded: Socket; rest: Buffer }>(
      (resolve, reject) => {
        const outgoing = this.request(target, socket, pathAndQuery, upgradeHeaders(request), left);
        // Nobody reads the client yet, so that its leaving may go unnoticed.
        const clear = this.deadline(outgoing);
        outgoing.once("close", clear);
        outgoing.once("upgrade", (answer, upgraded, rest) => resolve({ answer, upgraded: upgraded as Socket, rest }));
        outgoing.once("response", (response) => {
          refused(response, socket).then(reject, (error: unknown) => reject(unreachable(target, error)));
        });
        outgoing.once("error", (error) => reject(unreachable(target, error)));
        outgoing.end();
      },
    );
    if (client.destroyed) {
      upgraded.destroy();
      return;
    }
    client.write(headOf(answer));
    if (rest.length > 0) client.write(rest);
    if (head.length > 0) upgraded.write(head);
    join(client, upgraded);
  }

  /**
   * A WebSocket of our own to the kubelet, ended when `signal` is aborted. Throws a StatusError when the kubelet cannot
   * be reached or refuses.
   */
  async webSocket(
    target: KubeletAddress,
    pathAndQuery: string,
    protocol: string,
    signal: AbortSignal,
  ): Promise<WebSocket> {
    const socket = await this.dial(target, signal);
    return new Promise((resolve, reject) => {
      const webSocket = new WebSocket(`ws://${hostOf(target)}${pathAndQuery}`, protocol, {
        createConnection: () => socket,
        perMessageDeflate: false,
      });
      // The library's own limit works only on connections that it has made itself.
      const { timeoutMillis = TIMEOUT_MILLIS } = this.options;
      const late = new Error(`no answer within ${timeoutMillis / 1000} s`);
      const timer = setTimeout(() => socket.destroy(late), timeoutMillis);
      socket.once("close", () => clearTimeout(timer));
      onDeparture(signal, () => webSocket.terminate());
      webSocket.once("unexpected-response", (_request, response) => {
        refused(response, socket).then(reject, (error: unknown) => reject(unreachable(target, error)));
      });
      webSocket.once("error", (error) => {
        socket.destroy();
        reject(unreachable(target, error));
      });
      webSocket.once("open", () => {
        clearTimeout(timer);
        resolve(webSocket);
      });
    });
  }

  /**
   * A connection to a port of a Pod, made by the kubelet in whose network it is. Throws ServiceUnavailable with the
   * kubelet's words when nothing listens there.
   */
  connectPod(
    target: KubeletAddress,
    pod: { namespace: string; name: string },
    port: number,
    signal: AbortSignal,
  ): Promise<Duplex> {
    return this.connectThrough(target, `${pod.name}.${pod.namespace}.pod:${port}`, signal);
  }

  /**
   * A connection that the kubelet makes for us: `host:port` as seen from its node. Given up when `signal` is aborted
   * before it stands. Throws ServiceUnavailable.
   */
  async connectThrough(target: KubeletAddress, authority: string, signal: AbortSignal): Promise<Duplex> {
    const socket = await this.dial(target, signal);
    return new Promise((resolve, reject) => {
      const outgoing = httpRequest({
        method: "CONNECT",
        path: authority,
        headers: { host: hostOf(target) },
        createConnection: () => socket,
        signal,
      });
      outgoing.once("close", this.deadline(outgoing));
      outgoing.once("connect", (response, connection, head) => {
        if (response.statusCode === 200) {
          if (head.length > 0) connection.unshift(head);
          resolve(connection);
          return;
        }
        void text(connection, head).then((words) => reject(new StatusError("ServiceUnavailable", words)), reject);
      });
      outgoing.once("error", (error) => reject(unreachable(target, error)));
      outgoing.end();
    });
  }

  /** The kubelet itself, over TLS and with our certificate. Throws ServiceUnavailable. */
  secure(target: KubeletAddress, signal: AbortSignal): Promise<Duplex> {
    return this.dial(target, signal);
  }

  /** A plain connection to an address of the nodes' network, by the same way. Throws ServiceUnavailable. */
  async connect(target: KubeletAddress, signal: AbortSignal): Promise<Socket> {
    const { egress, timeoutMillis = TIMEOUT_MILLIS } = this.options;
    if (egress !== undefined) return viaEgress(egress, target, timeoutMillis, signal);
    return new Promise((resolve, reject) => {
      const socket = connectDirectly({ host: target.address, port: target.port, signal });
      socket.once("error", reject);
      socket.once("connect", () => resolve(socket));
    });
  }

  private request(
    target: KubeletAddress,
    socket: TLSSocket,
    path: string,
    headers: OutgoingHttpHeaders,
    signal: AbortSignal | undefined,
  ): ClientRequest {
    // Plain HTTP on a TLS connection of ours; without an agent, so that it is never reused: streams hold it to the end.
    return httpRequest({
      method: "GET",
      path,
      headers: { host: hostOf(target), ...headers },
      createConnection: () => socket,
      ...(signal ? { signal } : {}),
    });
  }

  /** Ends a request that has no answer in time; the returned function takes that back. */
  private deadline(outgoing: ClientRequest): () => void {
    const { timeoutMillis = TIMEOUT_MILLIS } = this.options;
    const late = new Error(`no answer within ${timeoutMillis / 1000} s`);
    const timer = setTimeout(() => outgoing.destroy(late), timeoutMillis);
    return () => clearTimeout(timer);
  }

  private async dial(target: KubeletAddress, signal?: AbortSignal): Promise<TLSSocket> {
    const { ca, certificate, key, egress, timeoutMillis = TIMEOUT_MILLIS } = this.options;
    const through = egress === undefined ? undefined : await viaEgress(egress, target, timeoutMillis, signal);
    const session = this.sessions.get(hostOf(target));
    return new Promise((resolve, reject) => {
      const options: ConnectionOptions & { allowHalfOpen: boolean } = {
        ...(through ? { socket: through } : { host: target.address, port: target.port }),
        ca,
        cert: certificate,
        key,
        ALPNProtocols: ["http/1.1"],
        // Each side of a stream ends for itself.
        allowHalfOpen: true,
        checkServerIdentity: (_name, peer) => checkServerIdentity(target.address, peer),
        ...(session ? { session } : {}),
      };
      const socket = tlsConnect(options);
      socket.on("session", (latest: Buffer) => this.remember(target, latest));
      const fail = (error: Error): void => {
        socket.destroy();
        reject(unreachable(target, error));
      };
      const leave = (): void => fail(new Error("the client is gone"));
      if (signal) onDeparture(signal, leave);
      const timer = setTimeout(() => fail(new Error(`no connection within ${timeoutMillis / 1000} s`)), timeoutMillis);
      socket.once("error", fail);
      socket.once("secureConnect", () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", leave);
        socket.off("error", fail);
        resolve(socket);
      });
      socket.once("close", () => clearTimeout(timer));
    });
  }

  private remember(target: KubeletAddress, session: Buffer): void {
    this.sessions.set(hostOf(target), session);
    const [first] = this.sessions.keys();
    if (this.sessions.size > SESSIONS && first !== undefined) this.sessions.delete(first);
  }
}

function viaEgress(
  egress: string,
  target: KubeletAddress,
  timeoutMillis: number,
  signal: AbortSignal | undefined,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest({
      createConnection: () => connectDirectly({ path: egress, allowHalfOpen: true }),
      method: "CONNECT",
      path: `${target.address}:${target.port}`,
      ...(signal ? { signal } : {}),
    });
    outgoing.setTimeout(timeoutMillis, () => outgoing.destroy(new Error(`no answer within ${timeoutMillis / 1000} s`)));
    outgoing.once("connect", (response, socket) => {
      socket.setTimeout(0);
      if (response.statusCode === 200) {
        resolve(socket as Socket);
        return;
      }
      socket.destroy();
      reject(unreachable(target, new Error(`the egress proxy answered ${response.statusCode}`)));
    });
    outgoing.once("error", (error) => reject(unreachable(target, error)));
    outgoing.end();
  });
}

function upgradeHeaders(request: IncomingMessage): OutgoingHttpHeaders {
  return Object.fromEntries(
    KEPT_HEADERS.flatMap((name) => (request.headers[name] === undefined ? [] : [[name, request.headers[name]]])),
  );
}

/** The answer's head as it came. */
function headOf(answer: IncomingMessage): string {
  const lines = [`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}`];
  for (let index = 0; index < answer.rawHeaders.length; index += 2)
    lines.push(`${answer.rawHeaders[index]}: ${answer.rawHeaders[index + 1]}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}

function hostOf({ address, port }: KubeletAddress): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** What is left on a connection that is about to end. */
async function text(connection: Duplex, head: Buffer): Promise<string> {
  const chunks = [head];
  for await (const chunk of connection as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString().trim();
}

const REASONS: Record<number, StatusReason> = {
  400: "BadRequest",
  403: "Forbidden",
  404: "NotFound",
  405: "MethodNotAllowed",
  429: "TooManyRequests",
};

/** What the kubelet says when it will not: its text as the message. The connection is of no more use. */
async function refused(response: IncomingMessage, connection: Socket): Promise<StatusError> {
  response.setEncoding("utf8");
  let text = "";
  try {
    for await (const chunk of response) text += String(chunk);
  } finally {
    // A request for an upgrade counts as one that keeps its connection.
    connection.destroy();
  }
  return new StatusError(
    REASONS[response.statusCode ?? 500] ?? "InternalError",
    text.trim() || `the kubelet answered ${response.statusCode}`,
  );
}

function unreachable(target: KubeletAddress, error: unknown): StatusError {
  if (error instanceof StatusError) return error;
  return new StatusError(
    "ServiceUnavailable",
    `dialling the kubelet of ${target.address}:${target.port}: ${error instanceof Error ? error.message : String(error)}`,
  );
}
