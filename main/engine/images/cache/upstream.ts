/**
 * Requests to registries from this computer: with its own certificates and proxies, credentials where registries.yaml has
 * some, redirects followed without them. What is answered is streamed, never held.
 */
import { readFile } from "node:fs/promises";
import { getCACertificates } from "node:tls";
import type { Readable } from "node:stream";
import { EnvHttpProxyAgent, request } from "undici";
import type { Dispatcher } from "undici";
import type { Endpoint } from "./registries.ts";

const CONNECT_MILLIS = 10_000;
/** Nothing at all for so long: the connection is dead. */
const SILENCE_MILLIS = 60_000;
const REDIRECTS = 5;
const TOKEN_BYTES = 64 * 1024;

export interface Answer {
  status: number;
  headers: Record<string, string | string[]>;
  body: Readable;
}

export interface Ask {
  method: string;
  /** With query. */
  path: string;
  headers: Record<string, string | string[]>;
  body?: Readable;
  /** For blobs, which registries keep elsewhere. */
  followRedirects?: boolean;
}

export class Upstream {
  private readonly agents = new Map<string, Promise<EnvHttpProxyAgent>>();
  /** "realm service scope" → a token that was given for it. */
  private readonly tokens = new Map<string, { token: string; until: number }>();

  /** Throws when it cannot be reached; any status is an answer. */
  async ask(endpoint: Endpoint, ask: Ask): Promise<Answer> {
    const headers = { ...ask.headers };
    // Credentials are for whom they were meant: a mirror gets its own, or none.
    if (!endpoint.own || endpoint.credentials) delete headers["authorization"];
    const first = await this.send(endpoint, ask, headers);
    if (first.status !== 401 || (endpoint.own && !endpoint.credentials)) return first;
    const authorization = await this.authorize(endpoint, String(first.headers["www-authenticate"] ?? ""));
    if (!authorization || ask.body) return first;
    first.body.resume();
    return this.send(endpoint, ask, { ...headers, authorization });
  }

  async close(): Promise<void> {
    const agents = await Promise.allSettled(this.agents.values());
    this.agents.clear();
    await Promise.all(agents.map((agent) => (agent.status === "fulfilled" ? agent.value.destroy() : undefined)));
  }

  private async send(endpoint: Endpoint, ask: Ask, headers: Ask["headers"]): Promise<Answer> {
    let url = `${endpoint.base}${ask.path}`;
    let sent = headers;
    for (let hop = 0; ; hop++) {
      const answer = await this.once(endpoint, url, ask, sent);
      const location = answer.headers["location"];
      const moved = [301, 302, 303, 307, 308].includes(answer.status) && typeof location === "string";
      if (!moved || !ask.followRedirects || hop >= REDIRECTS) return answer;
      answer.body.resume();
      const next = new URL(location, url);
      if (next.origin !== new URL(url).origin) {
        const { authorization: _, ...rest } = sent;
        sent = rest;
      }
      url = next.href;
    }
  }

  private async once(endpoint: Endpoint, url: string, ask: Ask, headers: Ask["headers"]): Promise<Answer> {
    const answer = await request(url, {
      method: ask.method as Dispatcher.HttpMethod,
      headers,
      body: ask.body ?? null,
      dispatcher: await this.agent(endpoint),
      headersTimeout: SILENCE_MILLIS,
      bodyTimeout: SILENCE_MILLIS,
    });
    const clean = Object.fromEntries(
      Object.entries(answer.headers).filter((entry): entry is [string, string | string[]] => entry[1] !== undefined),
    );
    return { status: answer.statusCode, headers: clean, body: answer.body };
  }

  /** What answers a registry's challenge: https://distribution.github.io/distribution/spec/auth/token/ */
  private async authorize(endpoint: Endpoint, challenge: string): Promise<string | undefined> {
    const basic = endpoint.credentials ? `Basic ${Buffer.from(endpoint.credentials).toString("base64")}` : undefined;
    const { scheme, fields } = readChallenge(challenge);
    if (scheme === "basic") return basic;
    const { realm, service, scope } = fields;
    if (scheme !== "bearer" || !realm) return undefined;
    const key = [realm, service, scope, endpoint.credentials].join(" ");
    const known = this.tokens.get(key);
    if (known && known.until > Date.now()) return `Bearer ${known.token}`;
    const url = new URL(realm);
    if (service) url.searchParams.set("service", service);
    if (scope) url.searchParams.set("scope", scope);
    const answer = await this.once(
      endpoint,
      url.href,
      { method: "GET", path: "", headers: {} },
      basic ? { authorization: basic } : {},
    );
    const text = await readAll(answer.body, TOKEN_BYTES);
    if (answer.status !== 200) return undefined;
    const given = JSON.parse(text.toString("utf8")) as { token?: string; access_token?: string; expires_in?: number };
    const token = given.token ?? given.access_token;
    if (!token) return undefined;
    this.tokens.set(key, { token, until: Date.now() + ((given.expires_in ?? 60) - 10) * 1000 });
    return `Bearer ${token}`;
  }

  private agent(endpoint: Endpoint): Promise<EnvHttpProxyAgent> {
    const key = `${endpoint.caFile ?? ""} ${endpoint.insecure}`;
    let agent = this.agents.get(key);
    if (!agent) {
      agent = makeAgent(endpoint);
      // A file that could not be read may be there the next time.
      agent.catch(() => this.agents.delete(key));
      this.agents.set(key, agent);
    }
    return agent;
  }
}

/** What this computer trusts, a company's own authority included. */
async function makeAgent({ caFile, insecure }: Endpoint): Promise<EnvHttpProxyAgent> {
  const own = caFile ? [await readFile(caFile, "utf8")] : [];
  const ca = [...getCACertificates("default"), ...getCACertificates("system"), ...own];
  return new EnvHttpProxyAgent({ connect: { ca, rejectUnauthorized: !insecure, timeout: CONNECT_MILLIS } });
}

/** A WWW-Authenticate header's scheme and parameters (RFC 9110, section 11). Pure. */
export function readChallenge(header: string): { scheme: string; fields: Record<string, string> } {
  const [scheme = "", rest = ""] = header.split(/ (.*)/s);
  const fields = Object.fromEntries(
    [...rest.matchAll(/(\w+)=(?:"([^"]*)"|([^\s,]*))/g)].map((match) => [match[1] ?? "", match[2] ?? match[3] ?? ""]),
  );
  return { scheme: scheme.toLowerCase(), fields };
}

/** Throws when there is more than that. */
export async function readAll(body: Readable, most: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > most) throw new Error(`an answer of more than ${most} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
