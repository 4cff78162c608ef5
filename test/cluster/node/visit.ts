/** A page of a cluster as this computer's browser would ask for it. */
import type { IncomingMessage } from "node:http";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { text as readText } from "node:stream/consumers";

export interface Page {
  status: number;
  text: string;
}

export interface VisitOptions {
  /** TLS, with a certificate that this authority (PEM) vouches for. */
  authority?: string;
  path?: string;
  /** Posted. */
  body?: string;
}

/** By its host's name, which need not be known to this computer's resolver. */
export function visit(host: string, port: number, { authority, path = "/", body }: VisitOptions = {}): Promise<Page> {
  const method = body === undefined ? "GET" : "POST";
  const length = body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
  const headers = { host, ...length };
  const options = { host: "127.0.0.1", port, path, method, headers, timeout: 20_000, agent: false as const };
  return new Promise((resolve, reject) => {
    const answer = (response: IncomingMessage): void => {
      response.once("error", reject);
      readText(response).then((text) => resolve({ status: response.statusCode ?? 0, text }), reject);
    };
    const request = authority
      ? httpsRequest({ ...options, ca: authority, servername: host }, answer)
      : httpRequest(options, answer);
    request.once("timeout", () => request.destroy(new Error("no answer")));
    request.once("error", reject);
    request.end(body);
  });
}
