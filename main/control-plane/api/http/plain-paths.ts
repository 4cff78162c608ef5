/** Requests that are not about a resource: discovery, version, health, metrics, OpenAPI. */
import { createHash } from "node:crypto";
import { StatusError } from "../../../../common/kube/status.ts";
import { forward } from "../../aggregation/proxy.ts";
import { aggregated, plainGroup, plainGroups, plainResources, plainVersions } from "../discovery/documents.ts";
import type { ApiEnvironment } from "../environment.ts";
import { openapiV2, openapiV3, openapiV3Hash, openapiV3Index } from "../openapi/documents.ts";
import { stepwise } from "../slices.ts";
import { serverVersion } from "../version.ts";
import type { Exchange } from "./exchange.ts";
import { CONTENT_TYPES, chooseType, negotiate } from "./negotiate.ts";

/** Throws StatusError NotFound for paths that mean nothing. */
export async function handlePlain(environment: ApiEnvironment, exchange: Exchange): Promise<void> {
  const path = exchange.info.path.length > 1 ? exchange.info.path.replace(/\/$/, "") : exchange.info.path;
  if (!["GET", "HEAD"].includes(exchange.info.method)) {
    throw new StatusError("MethodNotAllowed", "the server does not allow this method on the requested resource");
  }
  const [, root = "", ...rest] = path.split("/");
  switch (root) {
    case "":
      return exchange.sendObject({ paths: rootPaths(environment) }, { media: "json" });
    case "api":
    case "apis":
      return discovery(environment, exchange, root, rest.map(decodeURIComponent));
    case "version":
      return exchange.sendObject(serverVersion, { media: "json" });
    case "healthz":
    case "livez":
    case "readyz":
      return health(environment, exchange, root, rest.length === 0 ? undefined : rest.join("/"));
    case "metrics":
      return exchange.send(
        Buffer.from(await environment.metrics.registry.text(stepwise)),
        "text/plain; version=0.0.4; charset=utf-8",
      );
    case "openapi":
      return openapi(environment, exchange, rest);
    case ".well-known":
      if (rest.join("/") === "openid-configuration") return openid(environment, exchange);
      throw unknown();
    case "openid":
      if (rest.join("/") !== "v1/jwks") throw unknown();
      return exchange.send(Buffer.from(JSON.stringify(await environment.tokens.jwks())), "application/jwk-set+json");
    default:
      throw unknown();
  }
}

function unknown(): StatusError {
  return new StatusError("NotFound", "the server could not find the requested resource");
}

/** How others may check our service-account tokens (OpenID Connect Discovery 1.0). */
function openid({ tokens }: ApiEnvironment, exchange: Exchange): Promise<void> {
  const document = {
    issuer: tokens.issuer,
    jwks_uri: `${tokens.issuer}/openid/v1/jwks`,
    response_types_supported: ["id_token"],
    subject_types_supported: ["public"],
    // What ServiceAccountTokens signs with.
    id_token_signing_alg_values_supported: ["ES256"],
  };
  return exchange.send(Buffer.from(JSON.stringify(document)), CONTENT_TYPES.json);
}

function rootPaths({ catalog, aggregator }: ApiEnvironment): string[] {
  const all = [...catalog.all(), ...(aggregator?.remotes() ?? [])];
  const served = all.map(({ group, version }) => (group === "" ? `/api/${version}` : `/apis/${group}/${version}`));
  const groups = all.flatMap(({ group }) => (group === "" ? [] : [`/apis/${group}`]));
  const others = [
    "/api",
    "/apis",
    "/healthz",
    "/livez",
    "/metrics",
    "/openapi/v2",
    "/openapi/v3",
    "/readyz",
    "/version",
  ];
  return [...new Set([...served, ...groups, ...others])].toSorted();
}

async function discovery(
  environment: ApiEnvironment,
  exchange: Exchange,
  root: "api" | "apis",
  rest: string[],
): Promise<void> {
  const definitions = environment.catalog.all();
  const served = { definitions, remotes: environment.aggregator?.remotes() ?? [] };
  if (rest.length === 0) {
    const format = negotiate(exchange.request.headers.accept, ["APIGroupDiscoveryList"]);
    if (format.as) {
      const version = format.version ?? "v2";
      const bytes = Buffer.from(JSON.stringify(aggregated(served, root, version)));
      return tagged(exchange, bytes, `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`);
    }
    const { localAddress = "", localPort = 0 } = exchange.request.socket;
    return exchange.sendObject(
      root === "api" ? plainVersions(`${localAddress}:${localPort}`) : plainGroups(served),
      format,
    );
  }
  const format = negotiate(exchange.request.headers.accept);
  const [group, version] = root === "api" ? ["", rest[0]] : rest;
  const document =
    version === undefined ? plainGroup(served, group ?? "") : plainResources(definitions, group ?? "", version);
  if (!document) throw unknown();
  return exchange.sendObject(document, { media: format.media });
}

const OPENAPI_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/** client-go asks by the older name. */
const OPENAPI_V2_TYPES = [
  CONTENT_TYPES.json,
  "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
  OPENAPI_PROTOBUF,
] as const;
/** Documents that are kept have their tag worked out once. */
const tags = new WeakMap<Buffer, string>();

function tagOf(bytes: Buffer): string {
  let tag = tags.get(bytes);
  if (tag === undefined) {
    tag = `"${createHash("sha256").update(bytes).digest("hex").slice(0, 64).toUpperCase()}"`;
    tags.set(bytes, tag);
  }
  return tag;
}

/** With an ETag, and nothing where the client has it already. */
async function tagged(exchange: Exchange, bytes: Buffer, contentType: string, etag = tagOf(bytes)): Promise<void> {
  exchange.response.setHeader("etag", etag);
  exchange.response.setHeader("vary", "Accept");
  if (exchange.request.headers["if-none-match"] === etag) {
    exchange.response.writeHead(304, { "cache-control": "public" }).end();
    return;
  }
  return exchange.send(bytes, contentType);
}

async function health(
  environment: ApiEnvironment,
  exchange: Exchange,
  root: "healthz" | "livez" | "readyz",
  one: string | undefined,
): Promise<void> {
  const { query } = exchange.info;
  const excluded = new Set(query.getAll("exclude"));
  const checks = new Map<string, () => string | undefined>([
    ["ping", () => undefined],
    ["log", () => undefined],
  ]);
  for (const [name, { of, check }] of environment.checks) if (of.includes(root)) checks.set(name, check);
  const asked = [...checks].filter(([name]) => one === undefined || one === name);
  if (asked.length === 0) throw unknown();
  const { lines, failed } = judge(asked, excluded);
  const strange = [...excluded].filter((name) => !checks.has(name)).map((name) => JSON.stringify(name));
  if (one === undefined && strange.length > 0)
    lines.push(`warn: some health checks cannot be excluded: no matches for ${strange.join(",")}`);
  const whole = `${lines.join("\n")}\n`;
  const text = failed
    ? `${whole}${root} check failed\n`
    : one === undefined && query.has("verbose")
      ? `${whole}${root} check passed\n`
      : "ok";
  exchange.response.setHeader("x-content-type-options", "nosniff");
  return exchange.send(Buffer.from(text), "text/plain; charset=utf-8", failed ? 500 : 200);
}

/** What goes wrong inside is for the log: whoever asks here may be anybody. */
function judge(
  checks: readonly [name: string, check: () => string | undefined][],
  excluded: ReadonlySet<string>,
): { lines: string[]; failed: boolean } {
  let failed = false;
  const lines = checks.map(([name, check]) => {
    if (excluded.has(name)) return `[+]${name} excluded: ok`;
    if (check() === undefined) return `[+]${name} ok`;
    failed = true;
    return `[-]${name} failed: reason withheld`;
  });
  return { lines, failed };
}

async function openapi(environment: ApiEnvironment, exchange: Exchange, rest: string[]): Promise<void> {
  const [version, ...place] = rest;
  if (version === "v2" && place.length === 0) {
    const type = chooseType(exchange.request.headers.accept, OPENAPI_V2_TYPES);
    const binary = type !== CONTENT_TYPES.json;
    const document = await openapiV2(environment.catalog, binary ? "protobuf" : "json");
    return tagged(exchange, document, binary ? OPENAPI_PROTOBUF : type);
  }
  if (version === "v3") {
    const remotes = environment.aggregator?.remotes() ?? [];
    if (place.length === 0) {
      const others = remotes.filter(({ available }) => available).map((remote) => remote.place);
      return tagged(exchange, openapiV3Index(environment.catalog, others), CONTENT_TYPES.json);
    }
    const remote = remotes.find((one) => one.place === place.join("/"));
    if (remote) return forward(remote, exchange.request, exchange.response, exchange.user);
    chooseType(exchange.request.headers.accept, [CONTENT_TYPES.json]);
    const document = openapiV3(environment.catalog, place.join("/"));
    if (document) return hashed(environment, exchange, place.join("/"), document);
  }
  throw unknown();
}

const YEAR_SECONDS = 365 * 24 * 3600;

/**
 * A document whose URL in the index has its hash: at that URL it never changes and may be kept; an older one leads to
 * the present (OpenAPI v3 of Kubernetes, KEP-2896).
 */
function hashed(
  environment: ApiEnvironment,
  exchange: Exchange,
  place: string,
  document: Buffer,
): Promise<void> | void {
  const hash = openapiV3Hash(environment.catalog, place) ?? "";
  const asked = exchange.info.query.get("hash") ?? "";
  const { response } = exchange;
  if (asked !== "" && asked !== hash) {
    response.writeHead(301, { location: `/openapi/v3/${place}?hash=${hash}`, "content-length": 0 }).end();
    return;
  }
  if (asked !== "") {
    exchange.cacheControl = "public, immutable";
    response.setHeader("expires", new Date(Date.now() + YEAR_SECONDS * 1000).toUTCString());
  }
  return tagged(exchange, document, CONTENT_TYPES.json, `"${hash}"`);
}
