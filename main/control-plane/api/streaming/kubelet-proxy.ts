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
import type { TLSSocket } from "node:tls";
import { StatusError } from "../../../../common/kube/status.ts";
import type { StatusReason } from "../../../../common/kube/status.ts";

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

const TIMEOUT_MILLIS = 30_000;
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

  constructor(options: KubeletProxyOptions) {
    this.options = options;
  }

  /** The kubelet's answer, whatever its status; throws ServiceUnavailable when there is none. The body is the caller's to read or destroy. */
  async get(target: KubeletAddress, pathAndQuery: string, signal?: AbortSignal): Promise<IncomingMessage> {
    const socket = await this.dial(target, signal);
    return new Promise((resolve, reject) => {
      const outgoing = this.request(target, socket, pathAndQuery, {}, signal);
      outgoing.once("response", (response) => {
        response.once("close", () => socket.destroy());
        resolve(response);
      });
      outgoing.once("error", (error) => reject(unreachable(target, error)));
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
    const left = new AbortController();
    client.once("close", () => left.abort());
    const socket = await this.dial(target, left.signal);
    const { answer, upgraded, rest } = await new Promise<{ answer: IncomingMessage; upgraded: Socket; rest: Buffer }>(
      (resolve, reject) => {
        const outgoing = this.request(target, socket, pathAndQuery, upgradeHeaders(request), left.signal);
        outgoing.once("upgrade", (answer, upgraded, rest) => resolve({ answer, upgraded: upgraded as Socket, rest }));
        outgoing.once("response", (response) => {
          refused(response).then(reject, (error: unknown) => reject(unreachable(target, error)));
        });
        outgoing.once("error", (error) => reject(unreachable(target, error)));
        // Nobody reads the client yet, so that its leaving may go unnoticed.
        const { timeoutMillis = TIMEOUT_MILLIS } = this.options;
        outgoing.setTimeout(timeoutMillis, () =>
          outgoing.destroy(new Error(`no answer within ${timeoutMillis / 1000} s`)),
        );
        outgoing.end();
      },
    );
    upgraded.setTimeout(0);
    if (client.destroyed) {
      upgraded.destroy();
      return;
    }
    client.write(headOf(answer));
    if (rest.length > 0) client.write(rest);
    if (head.length > 0) upgraded.write(head);
    join(client, upgraded);
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
      headers: { host: `${target.address}:${target.port}`, ...headers },
      createConnection: () => socket,
      ...(signal ? { signal } : {}),
    });
  }

  private async dial(target: KubeletAddress, signal?: AbortSignal): Promise<TLSSocket> {
    const { ca, certificate, key, egress, timeoutMillis = TIMEOUT_MILLIS } = this.options;
    const through = egress === undefined ? undefined : await viaEgress(egress, target, timeoutMillis, signal);
    return new Promise((resolve, reject) => {
      const socket = tlsConnect({
        ...(through ? { socket: through } : { host: target.address, port: target.port }),
        ca,
        cert: certificate,
        key,
        ALPNProtocols: ["http/1.1"],
        checkServerIdentity: (_name, peer) => checkServerIdentity(target.address, peer),
      });
      const fail = (error: Error): void => {
        socket.destroy();
        reject(unreachable(target, error));
      };
      const timer = setTimeout(() => fail(new Error(`no connection within ${timeoutMillis / 1000} s`)), timeoutMillis);
      socket.once("error", fail);
      socket.once("secureConnect", () => {
        clearTimeout(timer);
        socket.off("error", fail);
        resolve(socket);
      });
      socket.once("close", () => clearTimeout(timer));
    });
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
      socketPath: egress,
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

function join(client: Duplex, kubelet: Duplex): void {
  const end = (): void => {
    client.destroy();
    kubelet.destroy();
  };
  for (const side of [client, kubelet]) {
    side.on("error", end);
    side.once("close", end);
  }
  client.pipe(kubelet).pipe(client);
}

const REASONS: Record<number, StatusReason> = {
  400: "BadRequest",
  403: "Forbidden",
  404: "NotFound",
  405: "MethodNotAllowed",
  429: "TooManyRequests",
};

/** What the kubelet says when it will not: its text as the message. */
async function refused(response: IncomingMessage): Promise<StatusError> {
  response.setEncoding("utf8");
  let text = "";
  for await (const chunk of response) text += String(chunk);
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
