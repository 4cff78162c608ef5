/** The HTTPS server: who asks, whether they may, and who answers; limits on time, size and number. */
import { createServer } from "node:https";
import type { Server } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { Series } from "../../../../common/kube/metrics.ts";
import { StatusError } from "../../../../common/kube/status.ts";
import { forward, forwardUpgrade } from "../../aggregation/proxy.ts";
import type { AuditRecord } from "../../audit/index.ts";
import { forbiddenError } from "../../auth/forbidden.ts";
import type { Attributes, AuthenticationInput } from "../../auth/types.ts";
import { listWidth } from "../../fairness/index.ts";
import type { Ticket } from "../../fairness/index.ts";
import type { Seat } from "../../fairness/level.ts";
import { groupResource } from "../../resources/reader.ts";
import type { KeyAndCertificate } from "../../pki/index.ts";
import type { User } from "../../resources/definition.ts";
import type { ApiEnvironment } from "../environment.ts";
import type { Target } from "../registry/context.ts";
import { handleStreaming, isCommand, isStreaming, upgradeStreaming } from "../streaming/routes.ts";
import { upgradeOf } from "../streaming/protocols.ts";
import { connectRequest } from "./connect.ts";
import { Exchange, sendStatus } from "./exchange.ts";
import { handlePlain } from "./plain-paths.ts";
import { readRequest } from "./request-info.ts";
import type { RequestInfo, ResourcePath } from "./request-info.ts";
import { handleResource } from "./resource-handler.ts";
import { takeSocketToken } from "./socket-token.ts";
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
  readonly #server: Server;
  readonly #pending = new Map<ServerResponse, number>();
  readonly #sweep: NodeJS.Timeout;

  constructor({ environment, certificate, clientAuthority }: ApiServerOptions) {
    this.#environment = environment;
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
      },
      (request, response) => void this.#serve(request, response),
    );
    this.#server.on("upgrade", (request, socket, head) => void this.#upgrade(request, socket, head));
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
      sendStatus(
        response,
        new StatusError(
          "Timeout",
          "the server was unable to return a response in the time allotted, but may still be processing the request",
        ),
      );
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { metrics, log } = this.#environment;
    const began = performance.now();
    let info: RequestInfo | undefined;
    let seat: Seat | undefined;
    let counted: Series | undefined;
    let record: AuditRecord | undefined;
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
      }
      const user = await this.#authenticate(request, info);
      record = this.#environment.audit && (await this.#record(request, info, user));
      if (record) followResponse(record, response, info.verb === "watch" || isStreaming(info));
      if (!user) throw new StatusError("Unauthorized", "Unauthorized");
      await this.#authorize(user, info, record);
      const exchange = new Exchange(request, response, info, user, record);
      const asked = this.#environment.fairness && !isStreaming(info) ? this.#seat(user, info, response) : undefined;
      seat = asked instanceof Promise ? await asked : asked;
      if (seat && info.verb === "watch") setImmediate(() => seat?.release());
      const remote = this.#environment.aggregator?.ofPath(info.path);
      if (remote) await forward(remote, request, response, user);
      else if (!info.resource) await handlePlain(this.#environment, exchange);
      else await this.#resource(exchange, info);
    } catch (error) {
      const failure = this.#answerError(request, response, error);
      record?.end(failure.code, failure.status);
    } finally {
      record?.end(response.statusCode);
      seat?.release();
      this.#pending.delete(response);
      counted?.add(-1);
      const seconds = (performance.now() - began) / 1000;
      const place = info?.resource;
      // Of names that mean nothing no figures are kept: anybody can make up as many as they like.
      if (info && place && this.#isServed(place)) {
        const dryRun = info.query.has("dryRun");
        metrics.observe({ ...place, verb: shownVerb(info, request), dryRun, code: response.statusCode }, seconds);
      }
      if (log.isLevelEnabled("debug")) {
        log.debug(
          { verb: info?.verb, path: request.url, code: response.statusCode, millis: Math.round(seconds * 1000) },
          "request",
        );
      }
    }
  }

  #isServed({ group, version, resource, subresource }: ResourcePath): boolean {
    const definition = this.#environment.catalog.find(group, version, resource);
    if (!definition) return false;
    return subresource === undefined || definition.subresources?.some(({ name }) => name === subresource) === true;
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
    // What is left of a body that was refused is not waited for.
    const headers: Record<string, string> = status.code === 413 ? { connection: "close" } : {};
    sendStatus(response, status, headers);
    return status;
  }

  async #resource(exchange: Exchange, info: RequestInfo): Promise<void> {
    const target = this.#target(info);
    if (isStreaming(info)) {
      const { user, audit } = exchange;
      await this.#admitConnect(info, target, user, (message) => exchange.warn(message), audit);
      return handleStreaming(this.#environment, exchange, target);
    }
    return handleResource(this.#environment, exchange, target);
  }

  /** What the path means. Throws NotFound. */
  #target(info: RequestInfo): Target {
    const place = info.resource;
    const definition = place && this.#environment.catalog.find(place.group, place.version, place.resource);
    if (!place || !definition) throw unknownPath();
    const subresource =
      place.subresource === undefined
        ? undefined
        : definition.subresources?.find(({ name }) => name === place.subresource);
    if (place.subresource !== undefined && !subresource) throw unknownPath();
    if (place.namespace !== undefined && !definition.namespaced) throw unknownPath();
    return {
      definition,
      ...(place.namespace === undefined ? {} : { namespace: place.namespace }),
      ...(place.name === undefined ? {} : { name: place.name }),
      ...(subresource ? { subresource } : {}),
    };
  }

  /** undefined where the credentials are no good. Throws Forbidden to who may not act as another. */
  #authenticate(request: IncomingMessage, info: RequestInfo): Promise<User | undefined> {
    return this.#environment.authenticator.authenticate(credentialsOf(request, info.path));
  }

  /** Throws Forbidden. */
  async #authorize(user: User, info: RequestInfo, record?: AuditRecord): Promise<void> {
    const attributes = attributesOf(info);
    const { allowed, reason } = await this.#environment.authorizer.authorize(user, attributes);
    record?.annotate("authorization.k8s.io/decision", allowed ? "allow" : "forbid");
    record?.annotate("authorization.k8s.io/reason", reason);
    if (!allowed) throw forbiddenError(user, attributes, reason);
  }

  /** Whoever runs something in a Pod creates it, also by WebSocket, which can only ask with GET. Throws Forbidden. */
  async #authorizeStream(user: User, info: RequestInfo, record?: AuditRecord): Promise<void> {
    const { resource: place, method } = info;
    if (method !== "GET" || place?.resource !== "pods" || !isCommand(place.subresource)) return;
    await this.#authorize(user, { ...info, verb: "create" }, record);
  }

  /** Webhooks and policies about CONNECT. Throws StatusError. */
  async #admitConnect(
    info: RequestInfo,
    target: Target,
    user: User,
    warn: (message: string) => void,
    record: AuditRecord | undefined,
  ): Promise<void> {
    const annotate = record && ((key: string, value: string): void => record.annotate(key, value));
    const request = connectRequest(info, target, { user, warn, ...(annotate ? { annotate } : {}) });
    if (request) await this.#environment.registry.admission.intercept?.(request);
  }

  /** What the audit log is to know of a request: who it came from, and as whom. */
  async #record(request: IncomingMessage, info: RequestInfo, user: User | undefined): Promise<AuditRecord | undefined> {
    const { impersonation, ...own } = credentialsOf(request, info.path);
    const auditId = request.headers["audit-id"];
    const original = impersonation && user ? await this.#environment.authenticator.authenticate(own) : user;
    return this.#environment.audit?.begin({
      auditId: typeof auditId === "string" ? auditId : undefined,
      requestURI: request.url ?? "/",
      user: original,
      impersonated: impersonation && user,
      sourceIPs: [request.socket.remoteAddress ?? ""],
      userAgent: request.headers["user-agent"],
      attributes: attributesOf(info),
    });
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on("error", (error: Error) =>
      this.#environment.log.debug({ error: error.message }, "upgraded connection failed"),
    );
    let record: AuditRecord | undefined;
    try {
      const info = readUrl(request);
      takeSocketToken(request.headers);
      const user = await this.#authenticate(request, info);
      record = this.#environment.audit && (await this.#record(request, info, user));
      if (!user) throw new StatusError("Unauthorized", "Unauthorized");
      await this.#authorize(user, info, record);
      await this.#authorizeStream(user, info, record);
      socket.once("close", () => record?.end(SWITCHED));
      record?.stage("ResponseStarted", SWITCHED);
      const remote = this.#environment.aggregator?.ofPath(info.path);
      if (remote) {
        await forwardUpgrade(remote, request, socket, head, user).catch((error: Error) => {
          throw new StatusError("ServiceUnavailable", `error trying to reach service: ${error.message}`);
        });
        return;
      }
      const target = this.#target(info);
      if (isWatched(info, target) && upgradeOf(request.headers) === "websocket") {
        await watchInto(this.#environment, info, target, request.headers.accept, socketOutput(request, socket, head));
        return;
      }
      // The head of an upgrade has no room for warnings.
      await this.#admitConnect(info, target, user, () => undefined, record);
      await upgradeStreaming(this.#environment, info, target, request, socket, head);
    } catch (error) {
      const { status, code } = asStatus(error);
      record?.end(code, status);
      const body = JSON.stringify(status);
      // Nobody reads it, so that its other end would go unnoticed.
      socket.once("finish", () => socket.destroy());
      socket.end(
        `HTTP/1.1 ${status.code} ${status.reason}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
      );
    }
  }
}

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

function unknownPath(): StatusError {
  return new StatusError("NotFound", "the server could not find the requested resource");
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

const certificates = new WeakMap<object, AuthenticationInput["clientCertificate"]>();

/** The subject of the verified client certificate; read once a connection. */
function certificateOf(socket: TLSSocket): AuthenticationInput["clientCertificate"] {
  if (certificates.has(socket)) return certificates.get(socket);
  let found: AuthenticationInput["clientCertificate"];
  if (socket.authorized) {
    const { subject } = socket.getPeerCertificate();
    const organizations: string | string[] | undefined = subject?.O;
    if (subject?.CN) {
      found = {
        commonName: Array.isArray(subject.CN) ? (subject.CN[0] as string) : subject.CN,
        organizations:
          organizations === undefined ? [] : Array.isArray(organizations) ? organizations : [organizations],
      };
    }
  }
  certificates.set(socket, found);
  return found;
}

function credentialsOf(request: IncomingMessage, path: string): AuthenticationInput {
  const { headers } = request;
  const clientCertificate = certificateOf(request.socket as TLSSocket);
  const impersonated = headers["impersonate-user"];
  const list = (value: string | string[] | undefined): string[] =>
    value === undefined ? [] : Array.isArray(value) ? value : value.split(",").map((part) => part.trim());
  // Who asks to be in a group and forgets as whom must not be taken for himself.
  if (impersonated === undefined) {
    const part = Object.keys(headers).find((name) => name.startsWith("impersonate-"));
    if (part) throw new StatusError("BadRequest", `requested ${part} without impersonating a user`);
  }
  return {
    path,
    ...(clientCertificate ? { clientCertificate } : {}),
    ...(headers.authorization ? { authorization: headers.authorization } : {}),
    ...(typeof impersonated === "string"
      ? {
          impersonation: {
            user: impersonated,
            groups: list(headers["impersonate-group"]),
            ...(typeof headers["impersonate-uid"] === "string" ? { uid: headers["impersonate-uid"] } : {}),
            extra: Object.fromEntries(
              Object.entries(headers)
                .filter(([name]) => name.startsWith("impersonate-extra-"))
                .map(([name, value]) => [unescaped(name.slice("impersonate-extra-".length)), list(value)]),
            ),
          },
        }
      : {}),
  };
}

/** A key that is no good as an escape stands for itself. */
function unescaped(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}

function attributesOf(info: RequestInfo): Attributes {
  const { resource: place, query } = info;
  if (!place) return { verb: info.method.toLowerCase(), nonResourcePath: info.path };
  const { group, version, resource, subresource } = place;
  // A namespace is a member of itself: whoever administers it may read it.
  const namespace = place.namespace ?? (group === "" && resource === "namespaces" ? place.name : undefined);
  const selected = /^metadata\.name=([^,!=]+)$/.exec(query.get("fieldSelector") ?? "")?.[1];
  const name = place.name ?? (["list", "watch", "deletecollection"].includes(info.verb) ? selected : undefined);
  return {
    verb: info.verb,
    group,
    version,
    resource,
    ...(subresource ? { subresource } : {}),
    ...(namespace ? { namespace } : {}),
    ...(name ? { name } : {}),
  };
}
