/** One request and its answer: the body read within its limit, and answers in the form the client asked for. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { parseExact } from "../../../../common/kube/codec/exact-integers.ts";
import { encodeProtobuf } from "../../../../common/kube/codec/protobuf.ts";
import { toYaml } from "../../../../common/kube/codec/json.ts";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { StatusError } from "../../../../common/kube/status.ts";
import type { User } from "../../resources/definition.ts";
import type { AuditRecord } from "../../audit/index.ts";
import { messageOf } from "../table.ts";
import { CONTENT_TYPES } from "./negotiate.ts";
import type { Format } from "./negotiate.ts";
import type { RequestInfo } from "./request-info.ts";

const BODY_LIMIT = 3 * 1024 * 1024;
/** Smaller answers are not worth the time. */
const GZIP_BYTES = 128 * 1024;
const gzipped = promisify(gzip);

export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly info: RequestInfo;
  readonly user: User;
  /** What is noted of it for the audit log; absent where nothing is. */
  readonly audit: AuditRecord | undefined;
  /** How long an answer may be kept. Default: not at all. */
  cacheControl = "no-cache, private";
  readonly #warnings = new Set<string>();

  constructor(request: IncomingMessage, response: ServerResponse, info: RequestInfo, user: User, audit?: AuditRecord) {
    this.request = request;
    this.response = response;
    this.info = info;
    this.user = user;
    this.audit = audit;
  }

  warn(message: string): void {
    this.#warnings.add(message);
  }

  /** The whole body. Throws RequestEntityTooLarge. */
  async body(): Promise<Buffer> {
    const tooLarge = (): StatusError =>
      new StatusError("RequestEntityTooLarge", `Request entity too large: limit is ${BODY_LIMIT}`);
    if (Number(this.request.headers["content-length"] ?? 0) > BODY_LIMIT) throw tooLarge();
    const { request } = this;
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let size = 0;
      request.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > BODY_LIMIT) {
          request.removeAllListeners("data").removeAllListeners("end").resume();
          reject(tooLarge());
        } else chunks.push(chunk);
      });
      request.once("end", () => {
        const bytes = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
        this.audit?.requestBody(bytes, this.contentType());
        resolve(bytes);
      });
      request.once("error", reject);
    });
  }

  /** The media type of the body, without parameters. */
  contentType(): string {
    return (this.request.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
  }

  /** JSON bytes that are ready, in the form wanted. */
  async sendJson(bytes: Buffer, format: Format, status = 200): Promise<void> {
    if (format.media === "json") return this.send(bytes, CONTENT_TYPES.json, status);
    return this.sendObject(parseExact(bytes.toString()) as KubeObject, format, status);
  }

  async sendObject(object: object, format: Format, status = 200): Promise<void> {
    switch (format.media) {
      case "yaml":
        return this.send(Buffer.from(toYaml(object)), CONTENT_TYPES.yaml, status);
      case "protobuf": {
        // Not everything has a message of its own (Status, discovery): that goes as JSON, and says so.
        const message = messageOf(object);
        if (!message) break;
        return this.send(Buffer.from(encodeProtobuf(object as KubeObject, message)), CONTENT_TYPES.protobuf, status);
      }
      default:
        break;
    }
    return this.send(Buffer.from(JSON.stringify(object)), CONTENT_TYPES.json, status);
  }

  async send(bytes: Buffer, contentType: string, status = 200): Promise<void> {
    const { response } = this;
    if (response.headersSent || response.destroyed) return;
    this.audit?.responseBody(bytes, contentType);
    let body = bytes;
    const headers: Record<string, string | string[] | number> = {
      "cache-control": this.cacheControl,
      "content-type": contentType,
      ...this.warningHeader(),
    };
    if (bytes.length >= GZIP_BYTES && /\bgzip\b/.test(String(this.request.headers["accept-encoding"] ?? ""))) {
      body = await gzipped(bytes, { level: 1 });
      headers["content-encoding"] = "gzip";
      headers["vary"] = "Accept-Encoding";
    }
    headers["content-length"] = body.length;
    response.writeHead(status, headers).end(body);
  }

  /** For answers that write their own head. */
  warningHeader(): Record<string, string[]> {
    if (this.#warnings.size === 0) return {};
    return { warning: [...this.#warnings].map((text) => `299 - "${headerText(text)}"`) };
  }
}

/** As it may stand between quotes in a header: no control characters, UTF-8 as its bytes. */
function headerText(text: string): string {
  const plain = text.replaceAll(/\p{Cc}+/gu, " ").replaceAll(/["\\]/g, "\\$&");
  return Buffer.from(plain, "utf8").toString("latin1");
}

/** How long a body that was refused is still read, in milliseconds. */
const LINGER_MILLIS = 1_000;

/**
 * Writes a Status where there is no exchange yet, or none any more.
 * The connection of a body that is too large ends, but only when the client has ended it or a moment has passed: whoever
 * still sends when the socket is closed gets a reset, which can take the answer that came before with it (RFC 9112, 9.6).
 */
export function sendStatus(response: ServerResponse, error: StatusError): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const ends = error.code === 413;
  const { retryAfterSeconds } = error.status.details ?? {};
  const body = Buffer.from(JSON.stringify(error.status));
  response
    .writeHead(error.code, {
      "cache-control": "no-cache, private",
      "content-type": CONTENT_TYPES.json,
      ...(retryAfterSeconds === undefined ? {} : { "retry-after": String(retryAfterSeconds) }),
      ...(ends ? { connection: "close" } : {}),
      "content-length": body.length,
    })
    .write(body);
  if (ends) endAfterBody(response);
  else response.end();
}

/** Passes over what is left of the request's body before it ends the answer, and with it the connection. */
function endAfterBody(response: ServerResponse): void {
  const { req: request } = response;
  if (request.readableEnded || request.destroyed) {
    response.end();
    return;
  }
  const timer = setTimeout(() => response.end(), LINGER_MILLIS);
  const end = (): void => {
    clearTimeout(timer);
    response.end();
  };
  request.once("end", end).once("close", end).resume();
}
