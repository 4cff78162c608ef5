/** Passes a request on to the server behind an APIService, and its answer back, as they are. */
import { request as httpRequest } from "node:http";
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { HOP_BY_HOP } from "../../../common/hop-by-hop.ts";
import { words } from "../outbound/webhook-client.ts";
import type { User } from "../resources/definition.ts";
import { identity } from "./remote.ts";
import type { Remote } from "./remote.ts";

/** What the client told us of itself is ours alone: the other server is told by us who asks. */
const isPrivate = (name: string): boolean =>
  name === "authorization" || name === "host" || name.startsWith("x-remote-") || name.startsWith("impersonate-");

const CONNECT_MILLIS = 30_000;

function passedOn(headers: IncomingMessage["headers"], user: User, upgrade = false): OutgoingHttpHeaders {
  const kept = Object.entries(headers).filter(
    ([name]) =>
      !isPrivate(name) && (!HOP_BY_HOP.has(name) || (upgrade && (name === "connection" || name === "upgrade"))),
  );
  return { ...Object.fromEntries(kept), ...identity(user) };
}

function unavailable(response: ServerResponse, text: string): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  response.writeHead(503, { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" });
  response.end(`${text}\n`);
}

/** Answers 503 where the other server cannot be asked. Throws nothing. */
export async function forward(
  remote: Remote,
  request: IncomingMessage,
  response: ServerResponse,
  user: User,
): Promise<void> {
  if (!remote.available) return unavailable(response, "service unavailable");
  const left = new AbortController();
  response.once("close", () => left.abort());
  const hasBody = request.headers["content-length"] !== undefined || request.headers["transfer-encoding"] !== undefined;
  try {
    const call = {
      method: request.method ?? "GET",
      path: request.url ?? "/",
      headers: passedOn(request.headers, user),
      signal: left.signal,
    };
    const answer = await remote.send(call, hasBody ? request : undefined);
    if (response.headersSent || response.destroyed) {
      answer.destroy();
      return;
    }
    const headers = Object.entries(answer.headers).filter(([name]) => !HOP_BY_HOP.has(name));
    response.writeHead(answer.statusCode ?? 502, Object.fromEntries(headers) as OutgoingHttpHeaders);
    response.flushHeaders();
    await pipeline(answer, response);
  } catch (error) {
    if (left.signal.aborted) return;
    unavailable(response, `error trying to reach service: ${words(error)}`);
  }
}

/** An upgrade (WebSocket, SPDY): asked for on the other side, then joined. Throws Error before anything was written. */
export async function forwardUpgrade(
  remote: Remote,
  request: IncomingMessage,
  client: Duplex,
  head: Buffer,
  user: User,
): Promise<void> {
  if (!remote.available) throw new Error("service unavailable");
  const socket = await remote.connect(AbortSignal.timeout(CONNECT_MILLIS));
  await new Promise<void>((resolve, reject) => {
    const outgoing = httpRequest({
      method: request.method ?? "GET",
      path: request.url ?? "/",
      headers: { ...passedOn(request.headers, user, true), host: new URL(remote.url).hostname },
      createConnection: () => socket,
    });
    const join = (answer: IncomingMessage, other: Duplex, rest: Buffer): void => {
      const lines = [`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}`];
      for (let at = 0; at < answer.rawHeaders.length; at += 2)
        lines.push(`${answer.rawHeaders[at]}: ${answer.rawHeaders[at + 1]}`);
      client.write(`${lines.join("\r\n")}\r\n\r\n`);
      if (rest.length > 0) client.write(rest);
      if (head.length > 0) other.write(head);
      const end = (): void => {
        client.destroy();
        other.destroy();
      };
      for (const side of [client, other]) side.on("error", end).once("close", end);
      client.pipe(other).pipe(client);
      resolve();
    };
    outgoing.once("upgrade", join);
    outgoing.once("response", (answer) => {
      answer.resume();
      reject(new Error(`the server answered ${answer.statusCode} instead of switching protocols`));
      socket.destroy();
    });
    outgoing.once("error", reject);
    outgoing.end();
  });
}
