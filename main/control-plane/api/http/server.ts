/** The HTTPS server: who asks, whether they may, and who answers; limits on time, size and number. */
import { createServer } from "node:https";
import type { Server } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Series } from "../../../../common/kube/metrics.ts";
import { StatusError } from "../../../../common/kube/status.ts";
import type { Status } from "../../../../common/kube/status.ts";
import { forward, forwardUpgrade } from "../../aggregation/proxy.ts";
import type { AuditRecord } from "../../audit/index.ts";
import { listWidth } from "../../fairness/index.ts";
import type { Ticket } from "../../fairness/index.ts";
import type { Seat } from "../../fairness/level.ts";
import { groupResource } from "../../resources/reader.ts";
import type { KeyAndCertificate } from "../../pki/index.ts";
import type { User } from "../../resources/definition.ts";
import type { ApiEnvironment } from "../environment.ts";
import type { Target } from "../registry/context.ts";
import { handleStreaming, isStreaming, upgradeStreaming } from "../streaming/routes.ts";
import { upgradeOf } from "../streaming/protocols.ts";
import { Exchange, sendStatus } from "./exchange.ts";
import { Gate, attributesOf } from "./gate.ts";
import { handlePlain } from "./plain-paths.ts";
import { readRequest } from "./request-info.ts";
import type { RequestInfo } from "./request-info.ts";
import { timedOut, timeoutOf } from "./request-timeout.ts";
import { handleResource } from "./resource-handler.ts";
import { takeSocketToken } from "./socket-token.ts";
import { isServed, targetOf } from "./target.ts";
import { socketOutput } from "./watch-output.ts";
import { watchInto } from "./watch-stream.ts";

const REQUEST_MILLIS = 60_000;
/** Those that wait for a seat included: what is beyond is not even looked at. */
const MOST_IN_FLIGHT = 2_000;
const SWEEP_MILLIS = 5_000;
const READ_ONLY: ReadonlySet<string> = new Set(["GET", "HEAD"]);
const SWITCHED = 101;
const CLOSE_MILLIS = 2_000;

export interface ApiServerOptions {
  environment: ApiEnvironment;
  certificate: KeyAndCertificate;
  /** PEM of the authority whose client certificates are believed. */
  clientAuthority: string;
}

export class ApiServer {
  readonly #environment: ApiEnvironment;
  readonly #gate: Gate;
  readonly #server: Server;
  readonly #pending = new Map<ServerResponse, number>();
  readonly #sweep: NodeJS.Timeout;

  constructor({ environment, certificate, clientAuthority }: ApiServerOptions) {
    this.#environment = environment;
    this.#gate = new Gate(environment);
    this.#server = createServer(
      {
        key: certificate.key,
        cert: certificate.certificate,
        ca: clientAuthority,
        requestCert: true,
        rejectUnauthorized: false,
        ALPNProtocols: ["http/1.1"],
        keepAliveTimeout: 90_000,
        requestTimeout: REQUEST_MILLIS,
        noDelay: true,
        shouldUpgradeCallback: (request) => this.#upgrades(request),
      },
      (request, response) => void this.#serve(request, response),
    );
    this.#server.on("upgrade", (request, socket, head) => void this.#upgrade(request, socket, head));
    this.#server.on("connect", (_request, socket) => endWith(socket, notAllowed()));
    this.#server.on("tlsClientError", (error) =>
      environment.log.debug({ error: error.message }, "TLS handshake failed"),
    );
    this.#sweep = setInterval(() => this.#endOverdue(), SWEEP_MILLIS);
    this.#sweep.unref();
  }

  /** Resolves with the port. Rejects when it is taken. */
  listen(port: number, host: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, host, 4096, () => {
        this.#server.off("error", reject);
        const address = this.#server.address();
        resolve(typeof address === "object" && address ? address.port : port);
      });
    });
  }

  /** Takes no more, lets what is under way end for a moment, then cuts it off. */
  async close(): Promise<void> {
    clearInterval(this.#sweep);
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const timer = setTimeout(() => this.#server.closeAllConnections(), this.#pending.size === 0 ? 0 : CLOSE_MILLIS);
    await closed;
    clearTimeout(timer);
  }

  #endOverdue(): void {
    const before = performance.now() - REQUEST_MILLIS;
    for (const [response, began] of this.#pending) {
      if (began > before || response.headersSent) continue;
      sendStatus(response, timedOut());
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { metrics, log } = this.#environment;
    const began = performance.now();
    let info: RequestInfo | undefined;
    let seat: Seat | undefined;
    let counted: Series | undefined;
    let record: AuditRecord | undefined;
    let deadline: NodeJS.Timeout | undefined;
    let waited = 0;
    try {
      info = readUrl(request);
      const long = info.verb === "watch" || isStreaming(info);
      if (!long) {
        if (this.#pending.size >= MOST_IN_FLIGHT) {
          throw new StatusError("TooManyRequests", "too many requests, please try again later.", {
            retryAfterSeconds: 1,
          });
        }
        this.#pending.set(response, began);
        counted = metrics.inFlight[READ_ONLY.has(request.method ?? "") ? "readOnly" : "mutating"];
        counted.add(1);
        const millis = timeoutOf(info.query);
        if (millis !== undefined && millis < REQUEST_MILLIS) {
          deadline = setTimeout(() => {
            if (!response.headersSent) sendStatus(response, timedOut());
          }, millis);
        }
      }
      const user = await this.#gate.authenticate(request);
      record = this.#environment.audit && (await this.#gate.record(request, info, user));
      if (record) followResponse(record, response, info.verb === "watch" || isStreaming(info));
      if (!user) throw new StatusError("Unauthorized", "Unauthorized");
      await this.#gate.authorize(user, info, record);
      const exchange = new Exchange(request, response, info, user, record);
      const asked = this.#environment.fairness && !isStreaming(info) ? this.#seat(user, info, response) : undefined;
      if (asked instanceof Promise) {
        const since = performance.now();
        seat = await asked;
        waited = (performance.now() - since) / 1000;
      } else seat = asked;
      if (seat && info.verb === "watch") setImmediate(() => seat?.release());
      const remote = this.#environment.aggregator?.ofPath(info.path);
      if (remote) await forward(remote, request, response, user);
      else if (!info.resource) await handlePlain(this.#environment, exchange);
      else await this.#resource(exchange, info);
    } catch (error) {
      const failure = this.#answerError(request, response, error);
      record?.end(failure.code, failure.status);
    } finally {
      clearTimeout(deadline);
      record?.end(response.statusCode);
      seat?.release();
      this.#pending.delete(response);
      counted?.add(-1);
      const seconds = (performance.now() - began) / 1000;
      const place = info?.resource;
      // Of names that mean nothing no figures are kept: anybody can make up as many as they like.
      if (info && place && isServed(this.#environment.catalog, place)) {
        const dryRun = info.query.has("dryRun");
        metrics.observe(
          { ...place, verb: shownVerb(info, request), dryRun, code: response.statusCode },
          seconds,
          waited,
        );
      }
      if (log.isLevelEnabled("debug")) {
        log.debug(
          { verb: info?.verb, path: request.url, code: response.statusCode, millis: Math.round(seconds * 1000) },
          "request",
        );
      }
    }
  }

  /** Priority and fairness: at once while there are seats. Throws TooManyRequests. */
  #seat(user: User, info: RequestInfo, response: ServerResponse): Seat | undefined | Promise<Seat | undefined> {
    const { fairness, sizes } = this.#environment;
    const place = info.resource;
    const width = place && info.verb === "list" && sizes ? listWidth(sizes.of(groupResource(place))) : 1;
    const taken = fairness?.take(user, attributesOf(info), width, (left) => {
      response.once("close", left);
      return () => response.off("close", left);
    });
    return taken instanceof Promise
      ? taken.then((ticket) => seatOf(ticket, response))
      : taken && seatOf(taken, response);
  }

  #answerError(request: IncomingMessage, response: ServerResponse, error: unknown): StatusError {
    if (request.destroyed && !request.complete) {
      response.destroy();
      return asStatus(error);
    }
    if (!(error instanceof StatusError)) {
      this.#environment.log.error(
        { error: error instanceof Error ? error.stack : String(error), path: request.url },
        "request failed",
      );
    }
    const status = asStatus(error);
    sendStatus(response, status);
    return status;
  }

  async #resource(exchange: Exchange, info: RequestInfo): Promise<void> {
    const target = targetOf(this.#environment.catalog, info);
    if (isStreaming(info)) {
      const { user, audit } = exchange;
      await this.#gate.admitConnect(info, target, user, (message) => exchange.warn(message), audit);
      return handleStreaming(this.#environment, exchange, target);
    }
    return handleResource(this.#environment, exchange, target);
  }

  /** Whoever would rather speak another protocol is answered in this one where there is nothing to upgrade. */
  #upgrades(request: IncomingMessage): boolean {
    try {
      const info = readUrl(request);
      if (isStreaming(info) || this.#environment.aggregator?.ofPath(info.path)) return true;
      return info.verb === "watch" && upgradeOf(request.headers) === "websocket";
    } catch {
      // It is no URL, which is said in the answer.
      return false;
    }
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on("error", (error: Error) =>
      this.#environment.log.debug({ error: error.message }, "upgraded connection failed"),
    );
    let record: AuditRecord | undefined;
    try {
      const info = readUrl(request);
      takeSocketToken(request.headers);
      const user = await this.#gate.authenticate(request);
      record = this.#environment.audit && (await this.#gate.record(request, info, user));
      if (!user) throw new StatusError("Unauthorized", "Unauthorized");
      await this.#gate.authorize(user, info, record);
      await this.#gate.authorizeStream(user, info, record);
      socket.once("close", () => record?.end(SWITCHED));
      record?.stage("ResponseStarted", SWITCHED);
      const remote = this.#environment.aggregator?.ofPath(info.path);
      if (remote) {
        await forwardUpgrade(remote, request, socket, head, user).catch((error: Error) => {
          throw new StatusError("ServiceUnavailable", `error trying to reach service: ${error.message}`);
        });
        return;
      }
      const target = targetOf(this.#environment.catalog, info);
      if (isWatched(info, target) && upgradeOf(request.headers) === "websocket") {
        await watchInto(this.#environment, info, target, request.headers.accept, socketOutput(request, socket, head));
        return;
      }
      // The head of an upgrade has no room for warnings.
      await this.#gate.admitConnect(info, target, user, () => undefined, record);
      await upgradeStreaming(this.#environment, info, target, request, socket, head);
    } catch (error) {
      const { status, code } = asStatus(error);
      record?.end(code, status);
      endWith(socket, status);
    }
  }
}

/** Says it on a connection that no longer speaks HTTP, and ends that. */
function endWith(socket: Duplex, status: Status): void {
  const body = JSON.stringify(status);
  // Nobody reads it, so that its other end would go unnoticed.
  socket.once("finish", () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${status.code} ${status.reason}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

const notAllowed = (): Status =>
  new StatusError("MethodNotAllowed", "the server does not allow this method on the requested resource").status;

const isWatched = ({ verb }: RequestInfo, { definition, subresource }: Target): boolean =>
  verb === "watch" && !subresource && definition.verbs.includes("watch");

/** The answer carries the record's name; of one that may last the log tells when it began, too. */
function followResponse(record: AuditRecord, response: ServerResponse, long: boolean): void {
  response.setHeader("Audit-Id", record.id);
  if (!long) return;
  const writeHead = response.writeHead.bind(response) as (...given: unknown[]) => ServerResponse;
  response.writeHead = ((...given: unknown[]) => {
    record.stage("ResponseStarted", Number(given[0]));
    return writeHead(...given);
  }) as ServerResponse["writeHead"];
}

/** Says in the answer which flow it was of. Throws TooManyRequests. */
function seatOf(ticket: Ticket, response: ServerResponse): Seat | undefined {
  if (!response.headersSent) {
    response.setHeader("X-Kubernetes-PF-FlowSchema-UID", ticket.schema);
    response.setHeader("X-Kubernetes-PF-PriorityLevel-UID", ticket.level);
  }
  if (ticket.refused) {
    throw new StatusError("TooManyRequests", "too many requests, please try again later.", { retryAfterSeconds: 1 });
  }
  return ticket.seat;
}

const SHOWN: Partial<Record<RequestInfo["verb"], string>> = { create: "POST", update: "PUT" };

/** The verb as Kubernetes' figures name it. */
function shownVerb(info: RequestInfo, { headers }: IncomingMessage): string {
  if (isStreaming(info) && info.resource?.subresource !== "log") return "CONNECT";
  if (info.verb === "patch" && headers["content-type"]?.startsWith("application/apply-patch")) return "APPLY";
  return SHOWN[info.verb] ?? info.verb.toUpperCase();
}

function readUrl(request: IncomingMessage): RequestInfo {
  try {
    return readRequest(request.method ?? "GET", request.url ?? "/");
  } catch (error) {
    if (error instanceof URIError) throw new StatusError("BadRequest", `malformed URL: ${request.url}`);
    throw error;
  }
}

function asStatus(error: unknown): StatusError {
  if (error instanceof StatusError) return error;
  return new StatusError(
    "InternalError",
    `Internal error occurred: ${error instanceof Error ? error.message : String(error)}`,
  );
}
