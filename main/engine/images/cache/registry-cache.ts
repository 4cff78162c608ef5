/**
 * Answers a node's requests to a registry (https://distribution.github.io/distribution/spec/api/): blobs and manifests by
 * digest from the cache, names always asked for anew and taken from the cache only when the registry is out of reach.
 * Everything else goes through as it is.
 */
import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { HOP_BY_HOP } from "../../../../common/hop-by-hop.ts";
import { BlobStore } from "./blob-store.ts";
import type { Download } from "./blob-store.ts";
import { MANIFEST_BYTES, Manifests, sendManifest } from "./manifests.ts";
import { THIS_COMPUTER, endpointsFor } from "./registries.ts";
import type { Registries } from "./registries.ts";
import { Upstream, readAll } from "./upstream.ts";
import type { Answer, Ask } from "./upstream.ts";

const DEFAULT_GIB = 20;

export interface CacheUsage {
  bytes: number;
  blobs: number;
  limitBytes: number;
  /** Blobs answered from the cache and brought from a registry since the engine started. */
  hits: number;
  misses: number;
}

export class RegistryCache {
  private readonly registries: Registries;
  private readonly log: (line: string) => void;
  private readonly blobs: BlobStore;
  private readonly manifests: Manifests;
  private readonly upstream = new Upstream();
  /** The registry's own address as it was reached last: with or without TLS. */
  private readonly spoken = new Map<string, string>();
  /** Blobs whose registry has been asked and has not answered yet. */
  private readonly asking = new Map<string, Promise<void>>();
  private hits = 0;
  private misses = 0;

  constructor(folder: string, registries: Registries, log: (line: string) => void) {
    this.registries = registries;
    this.log = log;
    this.blobs = new BlobStore(path.join(folder, "blobs"), log);
    this.manifests = new Manifests(path.join(folder, "names"), this.blobs, log);
  }

  async prepare(): Promise<void> {
    await this.blobs.prepare();
    await this.collect();
  }

  async usage(): Promise<CacheUsage> {
    const limitBytes = await this.limit();
    return { ...(await this.blobs.usage()), limitBytes, hits: this.hits, misses: this.misses };
  }

  /** Answers with the bytes that were freed. */
  async clear(): Promise<number> {
    await this.manifests.clear();
    return this.blobs.collect(0);
  }

  async close(): Promise<void> {
    await this.blobs.close();
    await this.upstream.close();
  }

  /** `authority`: the registry's "host:port" as the node asked for it. Never throws. */
  async serve(authority: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.route(authority, request, response);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.log(`${request.method} ${authority}${request.url}: ${why}`);
      if (response.headersSent) return void response.destroy();
      const body = JSON.stringify({
        errors: [{ code: "UNAVAILABLE", message: `${authority} cannot be asked: ${why}` }],
      });
      // A gateway's 502 would be more honest, but of those Docker shows nobody the reason.
      response.writeHead(400, { "content-type": "application/json" }).end(body);
    }
  }

  private route(authority: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "GET", url = "/" } = request;
    const match = /^\/v2\/(.+)\/(blobs|manifests)\/([^/?]+)(?:\?|$)/.exec(url);
    const reads = method === "GET" || method === "HEAD";
    if (!match || !reads) return this.pass(authority, request, response);
    const [, name = "", kind, reference = ""] = match;
    const digest = BlobStore.isDigest(reference);
    if (kind === "manifests") return this.manifest(authority, `${name}@${reference}`, reference, request, response);
    // This computer's own registries are as near as the cache.
    if (!digest || THIS_COMPUTER.has(authority.replace(/:\d+$/, "")))
      return this.pass(authority, request, response, true);
    return this.blob(authority, reference, request, response);
  }

  private async blob(
    authority: string,
    digest: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const range = rangeOf(request.headers.range);
    const stored = await this.blobs.find(digest);
    if (stored) {
      this.hits += 1;
      const { from, to } = { from: range?.from ?? 0, to: Math.min(range?.to ?? Infinity, stored.size - 1) };
      response.writeHead(range ? 206 : 200, {
        ...blobHeaders(digest),
        "content-length": Math.max(0, to - from + 1),
        ...(range ? { "content-range": `bytes ${from}-${to}/${stored.size}` } : {}),
      });
      if (request.method === "HEAD" || stored.size === 0) return void response.end();
      return pipeline(stored.open(from, to), response);
    }
    if (request.method === "HEAD") return this.pass(authority, request, response, true);
    const download = this.blobs.underWay(digest);
    if (download) {
      this.hits += 1;
      return sendGrowing(download, digest, range, response);
    }
    const asking = this.asking.get(digest);
    if (asking) {
      await asking;
      // By now it is there, on its way, or refused: then this request hears the reason itself.
      return this.blob(authority, digest, request, response);
    }
    const answered = Promise.withResolvers<void>();
    this.asking.set(digest, answered.promise);
    let begun: Download;
    try {
      const { range: _, ...headers } = headersOf(request);
      const answer = await this.ask(authority, { ...this.asked(request), headers, followRedirects: true });
      if (answer.status !== 200) return await forward(answer, response);
      this.misses += 1;
      const length = Number(answer.headers["content-length"]);
      begun = await this.blobs.take(digest, answer.body, Number.isInteger(length) ? length : undefined);
    } finally {
      this.asking.delete(digest);
      answered.resolve();
    }
    begun.finished.then(
      () => this.collect(),
      () => undefined,
    );
    return sendGrowing(begun, digest, range, response);
  }

  private async manifest(
    authority: string,
    name: string,
    reference: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    // What a digest names never changes: registries that count what is asked of them are not asked again.
    const known = BlobStore.isDigest(reference) ? await this.manifests.find(authority, name) : undefined;
    if (known) return sendManifest(known, request, response);
    let answer: Answer | undefined;
    let why: unknown;
    try {
      answer = await this.ask(authority, this.asked(request));
    } catch (error) {
      why = error;
    }
    const silent = !answer || answer.status >= 500 || answer.status === 429;
    if (silent) {
      const kept = await this.manifests.find(authority, name);
      if (kept) {
        this.log(`${authority} cannot answer for ${name} (${answer?.status ?? String(why)}): taken from the cache`);
        answer?.body.resume();
        return sendManifest(kept, request, response);
      }
    }
    if (!answer) throw why;
    if (answer.status === 200 && request.method === "HEAD") await this.manifests.note(authority, name, answer.headers);
    if (answer.status !== 200 || request.method === "HEAD") return forward(answer, response);
    const body = await readAll(answer.body, MANIFEST_BYTES);
    const digest = `sha256:${createHash("sha256").update(body).digest("hex")}`;
    if (BlobStore.isDigest(reference) && digest !== reference)
      throw new Error(`the registry sent ${digest} in place of ${reference}`);
    const contentType = String(answer.headers["content-type"] ?? "");
    await this.manifests.keep(authority, name, { digest, contentType }, body);
    const headers = { ...without(answer.headers), "content-length": String(body.length) };
    response.writeHead(200, headers).end(body);
  }

  private async pass(
    authority: string,
    request: IncomingMessage,
    response: ServerResponse,
    followRedirects = false,
  ): Promise<void> {
    const hasBody = !["GET", "HEAD"].includes(request.method ?? "GET");
    try {
      const ask = { ...this.asked(request), ...(hasBody ? { body: request as Readable } : {}), followRedirects };
      return await forward(await this.ask(authority, ask), response);
    } catch (error) {
      // Whether it speaks the protocol is asked before anything else: what the cache has can be had without it.
      if (!/^\/v2\/?$/.test(request.url ?? "") || response.headersSent) throw error;
      response.writeHead(200, { "docker-distribution-api-version": "registry/2.0", "content-length": 2 }).end("{}");
    }
  }

  /** The first endpoint that can be reached and does not say "I do not have it", or the last one's answer. */
  private async ask(authority: string, ask: Ask): Promise<Answer> {
    const endpoints = endpointsFor(authority, await this.registries.read());
    // A body can be sent once only: to the one that has answered before (a client asks for /v2/ first).
    const spoken = this.spoken.get(authority);
    if (ask.body) endpoints.sort((a, b) => Number(b.base === spoken) - Number(a.base === spoken));
    let refusal: Answer | undefined;
    let problem: unknown;
    for (const endpoint of endpoints) {
      try {
        const answer = relocated(await this.upstream.ask(endpoint, ask), endpoint.base, authority);
        refusal?.body.resume();
        if (endpoint.own) this.spoken.set(authority, endpoint.base);
        if (answer.status < 400 || endpoint.own) return answer;
        refusal = answer;
      } catch (error) {
        problem = error;
      }
      if (ask.body) break;
    }
    // A mirror that does not have it says more than a registry that is out of reach.
    if (refusal) return refusal;
    throw problem ?? new Error(`${authority} has no endpoint`);
  }

  private asked(request: IncomingMessage): Ask {
    return { method: request.method ?? "GET", path: request.url ?? "/", headers: headersOf(request) };
  }

  private async collect(): Promise<void> {
    const freed = await this.blobs.collect(await this.limit());
    if (freed > 0) this.log(`removed ${Math.round(freed / 1024 / 1024)} MiB of the least used blobs`);
  }

  private async limit(): Promise<number> {
    const file = await this.registries.read().catch(() => ({ cache: undefined }));
    return (file.cache?.maxGiB ?? DEFAULT_GIB) * 1024 ** 3;
  }
}

function blobHeaders(digest: string): Record<string, string> {
  return {
    "content-type": "application/octet-stream",
    "docker-content-digest": digest,
    "accept-ranges": "bytes",
    etag: `"${digest}"`,
  };
}

/** "bytes=10-" or "bytes=10-19"; undefined for anything else, which is then answered whole. Pure. */
export function rangeOf(header: string | undefined): { from: number; to?: number } | undefined {
  const match = /^bytes=(\d+)-(\d*)$/.exec(header ?? "");
  if (!match) return undefined;
  return { from: Number(match[1]), ...(match[2] ? { to: Number(match[2]) } : {}) };
}

/** What has come so far and what is to come. Of the ranges only "from there on" is kept to: nobody asks for others. */
function sendGrowing(
  download: Download,
  digest: string,
  range: ReturnType<typeof rangeOf>,
  response: ServerResponse,
): Promise<void> {
  const { size } = download;
  const from = range?.from ?? 0;
  const partial = range !== undefined && size !== undefined && range.to === undefined;
  response.writeHead(partial ? 206 : 200, {
    ...blobHeaders(digest),
    ...(size === undefined ? {} : { "content-length": partial ? size - from : size }),
    ...(partial ? { "content-range": `bytes ${from}-${size - 1}/${size}` } : {}),
  });
  return pipeline(Readable.from(download.read(partial ? from : 0)), response);
}

/** An upload goes on at a place in the registry, by the name under which the node knows it. */
function relocated(answer: Answer, base: string, authority: string): Answer {
  const { location } = answer.headers;
  const { origin } = new URL(base);
  if (typeof location !== "string" || !location.startsWith(`${origin}/`)) return answer;
  return {
    ...answer,
    headers: { ...answer.headers, location: `https://${authority}${location.slice(origin.length)}` },
  };
}

function headersOf(request: IncomingMessage): Record<string, string | string[]> {
  const { host: _, ...headers } = request.headers;
  return without(headers as Record<string, string | string[]>);
}

function without(headers: Record<string, string | string[]>): Record<string, string | string[]> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name)));
}

async function forward(answer: Answer, response: ServerResponse): Promise<void> {
  response.writeHead(answer.status, without(answer.headers));
  await pipeline(answer.body, response);
}
