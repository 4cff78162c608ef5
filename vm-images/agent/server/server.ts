/** The kubelet's API on port 10250: TLS, and only for the API server and the cluster's administrators. */
import { createServer } from "node:https";
import { uptime } from "node:os";
import type { Server } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";
import type { Pod } from "../../../common/kube/types.ts";
import { DOCKER_AUTHORITY } from "../../../common/node/identity.ts";
import type { KeyPair } from "../join/join.ts";
import { isHostNetwork, podUid, viewOf } from "../kubelet/pod.ts";
import { describeError } from "../log.ts";
import type { Log } from "../log.ts";
import { DOCKER_SOCKET } from "../runtime/docker.ts";
import type { RuntimeCache } from "../runtime/runtime-cache.ts";
import type { ExecStreams, Runtime, RuntimeContainer } from "../runtime/runtime.ts";
import type { Collector } from "../stats/collect.ts";
import { cadvisorMetrics, resourceMetrics, summary } from "../stats/summary.ts";
import { PROTOCOLS } from "./channels.ts";
import { join } from "../../../common/join.ts";
import { dial, dialPod } from "./connect.ts";
import { HttpError, parseLogQuery, serveLogs } from "./logs.ts";
import { openNodeShell, runOnNode } from "./node-shell.ts";
import { servePortForward } from "./port-forward.ts";
import { serveProcess } from "./streams.ts";

export interface KubeletServerOptions {
  port: number;
  /** The address to listen on; without it all of the node's. */
  host?: string;
  ca: string;
  certificate: KeyPair;
  runtime: Runtime;
  cache: RuntimeCache;
  log: Log;
  nodeAddress: string;
  pods(): Pod[];
  find(namespace: string, name: string): Pod | undefined;
  podIP(sandboxId: string): string | undefined;
  nodeName: string;
  stats: Collector;
  /** After images were loaded, pulled, built or removed. */
  imagesChanged(): void;
  /** Before that image is pulled: its registry may run on the developer's computer. */
  reachRegistry(image: string): Promise<void>;
}

/** Who may use the API: members of system:masters, and the API server's own kubelet client. */
export function isAuthorized(subject: { O?: string | string[]; CN?: string } | undefined): boolean {
  const organizations = [subject?.O ?? []].flat();
  return organizations.includes("system:masters") || subject?.CN === "kube-apiserver-kubelet-client";
}

export class KubeletServer {
  readonly #options: KubeletServerOptions;
  readonly #server: Server;
  readonly #webSockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    handleProtocols: (offered) => PROTOCOLS.find((protocol) => offered.has(protocol)) ?? false,
  });

  constructor(options: KubeletServerOptions) {
    this.#options = options;
    const { certificate, ca } = options;
    const halves: { allowHalfOpen: boolean } = { allowHalfOpen: true };
    this.#server = createServer({
      // Connections that are carried on end each side for itself.
      ...halves,
      cert: certificate.certificate,
      key: certificate.key,
      ca,
      requestCert: true,
      rejectUnauthorized: true,
      // Who has said all (an input that ends) still hears the answer, through CONNECT.
      allowHalfOpen: true,
    });
    this.#server.on("request", (request, response) => void this.#request(request, response));
    this.#server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
    this.#server.on(
      "connect",
      (request, socket, head) => void this.#connect(request, socket as unknown as Duplex, head),
    );
    this.#server.on("tlsClientError", (error) => options.log.error("server", "TLS", error));
    this.#server.requestTimeout = 0;
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      const { port, host } = this.#options;
      this.#server.listen({ port, ...(host === undefined ? {} : { host }) }, resolve);
    });
  }

  /** Where it listens: what was asked for, or what the system gave for port 0. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address ? address.port : this.#options.port;
  }

  /** The serving certificate was renewed. */
  renew(certificate: KeyPair): void {
    this.#server.setSecureContext({ cert: certificate.certificate, key: certificate.key, ca: this.#options.ca });
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #refused(request: IncomingMessage): boolean {
    const peer = (request.socket as TLSSocket).getPeerCertificate();
    return !isAuthorized(peer?.subject as { O?: string | string[]; CN?: string } | undefined);
  }

  async #request(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      if (this.#refused(request)) throw new HttpError(403, "Forbidden");
      await this.#route(request, response);
    } catch (error) {
      const code = error instanceof HttpError ? error.code : 500;
      if (code === 500) this.#options.log.error("server", `${request.method} ${request.url}`, error);
      if (response.headersSent) return void response.destroy();
      response.writeHead(code, { "Content-Type": "text/plain; charset=utf-8" }).end(describeError(error));
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { runtime, cache, log } = this.#options;
    const url = new URL(request.url ?? "/", "https://node");
    const parts = url.pathname.split("/").filter(Boolean).map(decodeURIComponent);
    const json = (value: unknown): void =>
      void response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(value));
    const route = `${request.method} /${parts[0] === "drydock" ? parts.join("/") : parts[0]}`;
    switch (route) {
      case "GET /healthz":
        return void response.writeHead(200, { "Content-Type": "text/plain" }).end("ok");
      case "GET /pods":
        return json({ apiVersion: "v1", kind: "PodList", metadata: {}, items: this.#options.pods() });
      case "GET /containerLogs": {
        const pod = this.#pod(parts[1], parts[2]);
        return serveLogs(pod, parts[3] ?? "", parseLogQuery(url.searchParams, Date.now()), runtime, cache, response);
      }
      case "GET /stats":
        if (parts[1] !== "summary") break;
        return json(summary(await this.#options.stats.collect(), this.#options.nodeName, Date.now() - uptime() * 1000));
      case "GET /metrics": {
        const write = { resource: resourceMetrics, cadvisor: cadvisorMetrics }[parts[1] ?? ""];
        if (!write) break;
        const text = write(await this.#options.stats.collect());
        return void response.writeHead(200, { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" }).end(text);
      }
      case "GET /drydock/images":
        return json(await runtime.images());
      case "POST /drydock/images/load": {
        const loaded = await runtime.load(request);
        this.#options.imagesChanged();
        return json({ loaded });
      }
      case "POST /drydock/images/changed":
        this.#options.imagesChanged();
        return json({});
      case "POST /drydock/images/reach":
        await this.#options.reachRegistry(url.searchParams.get("image") ?? "");
        return json({});
      case "GET /drydock/logs": {
        const lines = Number(url.searchParams.get("tailLines") ?? 200);
        response.writeHead(200, { "Content-Type": "text/plain; charset=utf-8" });
        for (const line of log.last(lines)) response.write(`${line}\n`);
        if (url.searchParams.get("follow") !== "true") return void response.end();
        const stop = log.follow((line) => response.write(`${line}\n`));
        response.once("close", stop);
        return;
      }
    }
    throw new HttpError(404, `404 page not found: ${request.method} ${url.pathname}`);
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const url = new URL(request.url ?? "/", "https://node");
    const parts = url.pathname.split("/").filter(Boolean).map(decodeURIComponent);
    let serve: (webSocket: WebSocket) => void;
    try {
      if (this.#refused(request)) throw new HttpError(403, "Forbidden");
      serve = this.#stream(parts, url.searchParams);
    } catch (error) {
      const code = error instanceof HttpError ? error.code : 500;
      const body = describeError(error);
      socket.end(
        `HTTP/1.1 ${code} ${code === 404 ? "Not Found" : "Error"}\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
      );
      return;
    }
    this.#webSockets.handleUpgrade(request, socket, head, serve);
  }

  #stream(parts: string[], query: URLSearchParams): (webSocket: WebSocket) => void {
    const { runtime, log } = this.#options;
    const flag = (...names: string[]): boolean => names.some((name) => ["1", "true"].includes(query.get(name) ?? ""));
    const options = {
      stdin: flag("input", "stdin"),
      stdout: flag("output", "stdout"),
      stderr: flag("error", "stderr"),
      tty: flag("tty"),
    };
    const [kind, namespace, name, containerName] = parts;
    switch (kind) {
      case "exec": {
        const { id } = this.#running(namespace, name, containerName);
        const command = query.getAll("command");
        if (command.length === 0) throw new HttpError(400, "you must specify at least 1 command for the container");
        return (socket) =>
          void serveProcess(
            socket,
            options,
            () =>
              runtime.exec(id, {
                command,
                tty: options.tty,
                stdin: options.stdin,
                ...(options.tty ? { env: ["TERM=xterm"] } : {}),
              }),
            log,
          );
      }
      case "attach": {
        const container = this.#running(namespace, name, containerName);
        return (socket) =>
          void serveProcess(
            socket,
            { ...options, tty: container.tty },
            () => runtime.attach(container.id, { stdin: options.stdin, tty: container.tty }),
            log,
          );
      }
      case "portForward": {
        const pod = this.#pod(namespace, name);
        const ports = [...query.getAll("port"), ...query.getAll("ports")]
          .flatMap((text) => text.split(","))
          .map(Number);
        return (socket) => servePortForward(socket, ports, (port) => this.#dialPod(pod, port));
      }
      case "drydock": {
        if (namespace !== "shell") break;
        const size = {
          columns: sizeOf(query.get("cols"), 80),
          rows: sizeOf(query.get("rows"), 24),
        };
        const command = query.getAll("command");
        const tty = query.get("tty") !== "false";
        if (!tty && command.length === 0) throw new HttpError(400, "without a terminal there must be a command");
        const streams = { stdin: true, stdout: true, stderr: !tty, tty };
        const begin = async (): Promise<ExecStreams> => (tty ? openNodeShell(size, command) : runOnNode(command));
        return (socket) => void serveProcess(socket, streams, begin, log);
      }
    }
    throw new HttpError(404, "404 page not found");
  }

  async #connect(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on("error", () => socket.destroy());
    try {
      if (this.#refused(request)) throw new HttpError(403, "Forbidden");
      if (request.url === DOCKER_AUTHORITY) {
        const docker = await dial({ path: DOCKER_SOCKET });
        socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
        if (head.length > 0) docker.write(head);
        return join(socket, docker);
      }
      const { host, port } = parseTarget(request.url ?? "");
      const inPod = /^([^.]+(?:\.[^.]+)*)\.([^.]+)\.pod$/.exec(host);
      const target = inPod ? await this.#dialPod(this.#pod(inPod[2], inPod[1]), port) : await dial({ host, port });
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      if (head.length > 0) target.write(head);
      join(socket, target);
    } catch (error) {
      const code = error instanceof HttpError ? error.code : 502;
      socket.end(
        `HTTP/1.1 ${code} Error\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n${describeError(error)}`,
      );
    }
  }

  #dialPod(pod: Pod, port: number): Promise<Duplex> {
    const sandbox = viewOf(this.#options.cache.ofPod(podUid(pod))).sandboxes[0];
    const address = isHostNetwork(pod) ? "127.0.0.1" : sandbox && this.#options.podIP(sandbox.id);
    if (!sandbox || sandbox.state !== "running" || !address)
      throw new HttpError(404, `pod ${pod.metadata.name} has no network: it is not running`);
    return dialPod(address, isHostNetwork(pod) ? 0 : sandbox.pid, port);
  }

  #pod(namespace = "", name = ""): Pod {
    const pod = this.#options.find(namespace, name);
    if (!pod) throw new HttpError(404, `pod ${JSON.stringify(`${name}_${namespace}`)} does not exist on this node`);
    return pod;
  }

  #running(namespace = "", name = "", containerName = ""): RuntimeContainer {
    const pod = this.#pod(namespace, name);
    const container = this.#options.cache
      .ofPod(podUid(pod))
      .find((candidate) => candidate.name?.container === containerName && candidate.state === "running");
    if (!container) throw new HttpError(404, `container not found ("${containerName}")`);
    return container;
  }
}

function parseTarget(text: string): { host: string; port: number } {
  const colon = text.lastIndexOf(":");
  const port = Number(text.slice(colon + 1));
  if (colon <= 0 || !Number.isInteger(port) || port < 1 || port > 65535)
    throw new HttpError(400, `CONNECT wants host:port, not ${JSON.stringify(text)}`);
  return { host: text.slice(0, colon), port };
}

/** Columns or rows of a terminal as the client says, or what is usual. */
function sizeOf(text: string | null, usual: number): number {
  const value = Number(text ?? usual);
  return Number.isInteger(value) && value >= 1 && value <= 1000 ? value : usual;
}
