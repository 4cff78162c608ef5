/** Requests as text: queries, headers, and paths that mean something, nearly something, or nothing. */
import type { Dice } from "./dice.ts";
import { oddString } from "./values.ts";

export interface Ask {
  method: string;
  /** Escaped, with the query. */
  target: string;
  headers: [string, string][];
  body?: Buffer;
}

/** A served resource as discovery tells it. */
export interface Kind {
  group: string;
  version: string;
  resource: string;
  kind: string;
  namespaced: boolean;
  verbs: string[];
  subresources: { name: string; verbs: string[]; group: string; kind: string }[];
}

export const apiVersion = ({ group, version }: { group: string; version: string }): string =>
  group === "" ? version : `${group}/${version}`;

export function collectionPath(kind: Kind, namespace: string | undefined): string {
  const root = kind.group === "" ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  return `${root}${kind.namespaced && namespace !== undefined ? `/namespaces/${namespace}` : ""}/${kind.resource}`;
}

/** Query names that may stand more than once are simply given more than once. */
export function withQuery(path: string, query: readonly (readonly [string, string])[]): string {
  if (query.length === 0) return path;
  const text = query.map(([name, value]) => `${encodeURIComponent(name)}=${escape(value)}`);
  return `${path}${path.includes("?") ? "&" : "?"}${text.join("&")}`;
}

/** Lone surrogates cannot be escaped. */
function escape(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

export const accepts = [
  "application/json",
  "application/json",
  "application/yaml",
  "application/vnd.kubernetes.protobuf",
  "application/vnd.kubernetes.protobuf,application/json",
  "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
  "application/json;as=Table;v=v1beta1;g=meta.k8s.io",
  "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
  "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
  "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
  "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io",
  "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
  "application/json;as=APIGroupDiscoveryList;v=v2beta1;g=apidiscovery.k8s.io,application/json",
  "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
  "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
  "application/cbor",
  "application/json;stream=watch",
  "application/yaml;as=Table;v=v1;g=meta.k8s.io",
  "text/html",
  "*/*",
  "application/*;q=0",
  "application/json;q=abc",
  "application/json;as=Nothing;v=v1;g=meta.k8s.io",
  "application/json;as=toString;v=constructor;g=__proto__",
  ",,,;;;===",
  "",
];

export function readHeaders(dice: Dice): [string, string][] {
  const headers: [string, string][] = [];
  if (dice.chance(0.6)) headers.push(["accept", dice.pick(accepts)]);
  if (dice.chance(0.05)) headers.push(["accept-encoding", dice.pick(["gzip", "br", "identity;q=0", "*", "gzip;q=0"])]);
  if (dice.chance(0.02)) headers.push(["if-none-match", dice.pick(["*", '"x"', "x"])]);
  if (dice.chance(0.02))
    headers.push(["user-agent", dice.pick(["kubectl/v1.36.0 (linux/amd64)", "", "/", "x".repeat(3000)])]);
  if (dice.chance(0.01)) headers.push(["range", "bytes=0-5"]);
  if (dice.chance(0.01)) headers.push(["audit-id", dice.pick(["a", "x".repeat(500), "a b"])]);
  return headers;
}

/** For writes mostly what lets them get further. */
export function writeHeaders(dice: Dice): [string, string][] {
  if (dice.chance(0.1)) return readHeaders(dice);
  return dice.chance(0.3) ? [["accept", dice.pick(accepts.slice(0, 8))]] : [];
}

/** Acting as another: users of all sorts, and headers that contradict each other. */
export function impersonation(dice: Dice): [string, string][] {
  const users = [
    "ann",
    "system:serviceaccount:default:default",
    "system:node:n",
    "system:anonymous",
    "system:admin",
    "",
    "a\tb",
    "x".repeat(2000),
  ];
  const headers: [string, string][] = dice.chance(0.85) ? [["impersonate-user", dice.pick(users)]] : [];
  if (dice.chance(0.5))
    headers.push(["impersonate-group", dice.pick(["system:masters", "system:authenticated", "g", ""])]);
  if (dice.chance(0.2)) headers.push(["impersonate-group", "second"]);
  if (dice.chance(0.2)) headers.push(["impersonate-uid", dice.pick(["u", ""])]);
  if (dice.chance(0.3))
    headers.push([
      dice.pick([
        "impersonate-extra-scopes",
        "impersonate-extra-a%2fb",
        "impersonate-extra-%",
        "impersonate-extra-%zz",
        "impersonate-extra-__proto__",
        "impersonate-extra-",
        "impersonate-nothing",
      ]),
      dice.pick(["v", ""]),
    ]);
  return headers;
}

export function credentials(dice: Dice): [string, string][] {
  const jwt = (header: object, claims: object): string =>
    `${Buffer.from(JSON.stringify(header)).toString("base64url")}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.${dice.pick(["", "AAAA", "!"])}`;
  const tokens = [
    "Bearer abcdef.0123456789abcdef",
    "Bearer ",
    "Bearer",
    "Basic YTpi",
    `Bearer ${jwt({ alg: "none" }, { sub: "system:admin", iss: "https://kubernetes.default.svc.cluster.local" })}`,
    `Bearer ${jwt({ alg: "ES256", kid: "__proto__" }, { sub: "system:serviceaccount:default:default", exp: 1e99 })}`,
    `Bearer ${jwt({ alg: "HS256" }, {})}`,
    "Bearer a.b.c",
    `Bearer ${"x".repeat(6000)}`,
    "bearer \u00ff",
  ];
  return dice.chance(0.7) ? [["authorization", dice.pick(tokens)]] : [];
}

const labelSelectors = [
  "app=web",
  "app",
  "!app",
  "app in (a,b)",
  "app notin ()",
  "app=,b!=c",
  "a/b=c",
  "=",
  "app in (",
  "a=b,a=c",
  "app==web",
  "x".repeat(500),
  "app>1",
  ",",
  "__proto__=x",
  "app=\u0000",
];
const fieldSelectors = [
  "metadata.name=a",
  "metadata.name!=a",
  "metadata.namespace=default",
  "spec.nodeName=",
  "status.phase=Running",
  "status.phase!=Running,spec.nodeName=n",
  "involvedObject.name=web",
  "type=Normal",
  "spec.unknown=1",
  "metadata.name",
  "metadata.name==a,metadata.name=b",
  "=",
  "a=b\\,c",
  "a\\",
  "spec.name=abc",
  "constructor=x",
  "metadata.labels.a=b",
];

export function listQuery(dice: Dice, tokens: readonly string[]): [string, string][] {
  const query: [string, string][] = [];
  const maybe = (likelihood: number, name: string, value: () => string): void => {
    if (dice.chance(likelihood)) query.push([name, dice.chance(0.05) ? oddString(dice) : value()]);
  };
  maybe(0.4, "limit", () => dice.pick(["1", "2", "500", "0", "-1", "1.5", "abc", "99999999999999999999"]));
  maybe(0.2, "continue", () => token(dice, tokens));
  maybe(0.3, "labelSelector", () => dice.pick(labelSelectors));
  maybe(0.3, "fieldSelector", () => dice.pick(fieldSelectors));
  maybe(0.3, "resourceVersion", () => dice.pick(["0", "1", "", "5", "-1", "abc", "99999999999999999", "1e3", "0x10"]));
  maybe(0.2, "resourceVersionMatch", () => dice.pick(["Exact", "NotOlderThan", "Nothing", ""]));
  maybe(0.05, "sendInitialEvents", () => dice.pick(["true", "false", "x"]));
  maybe(0.1, "allowWatchBookmarks", () => dice.pick(["true", "false"]));
  maybe(0.1, "includeObject", () => dice.pick(["None", "Metadata", "Object", "Nothing"]));
  maybe(0.05, "pretty", () => "true");
  maybe(0.03, "limit", () => "3");
  return query;
}

/** Continue tokens that were handed out, whole and damaged, and forgeries. */
function token(dice: Dice, tokens: readonly string[]): string {
  const forged = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const forgeries = [
    forged({ v: "meta.k8s.io/v1", rv: -1, start: "../../secrets/\u0000" }),
    forged({ v: "meta.k8s.io/v1", rv: 1e300, start: "a" }),
    forged({ v: "meta.k8s.io/v1", rv: "x", start: {} }),
    forged({}),
    forged(null),
    "not base64 at all !",
    "",
  ];
  if (tokens.length === 0 || dice.chance(0.3)) return dice.pick(forgeries);
  const real = dice.pick(tokens);
  if (dice.chance(0.6)) return real;
  const at = dice.below(real.length);
  return real.slice(0, at) + dice.pick(["A", "", "_", "="]) + real.slice(at + 1);
}

export function writeQuery(dice: Dice, patchType?: string): [string, string][] {
  const query: [string, string][] = [];
  if (dice.chance(0.15)) query.push(["dryRun", dice.chance(0.9) ? "All" : dice.pick(["", "None", "all"])]);
  if (dice.chance(0.25)) query.push(["fieldValidation", dice.pick(["Strict", "Warn", "Ignore", "Ignore", "x"])]);
  if (patchType === "application/apply-patch+yaml" ? dice.chance(0.97) : dice.chance(0.2))
    query.push(["fieldManager", dice.chance(0.9) ? dice.pick(["one", "two", "kubectl"]) : oddString(dice)]);
  if (patchType === "application/apply-patch+yaml" ? dice.chance(0.5) : dice.chance(0.01))
    query.push(["force", dice.pick(["true", "true", "false", "x"])]);
  if (dice.chance(0.02)) query.push(["pretty", oddString(dice)]);
  return query;
}

export const isDryRun = (query: readonly (readonly [string, string])[]): boolean =>
  query.some(([name, value]) => name === "dryRun" && value === "All");

const plain = [
  "/",
  "/api",
  "/apis",
  "/api/v1",
  "/apis/apps",
  "/apis/apps/v1",
  "/apis/batch/v1",
  "/apis/nothing.example.com",
  "/api/v9",
  "/apis/apps/v9",
  "/version",
  "/version/",
  "/healthz",
  "/livez",
  "/livez/ping",
  "/livez/nothing",
  "/readyz",
  "/readyz?verbose",
  "/readyz?exclude=store",
  "/metrics",
  "/openapi/v2",
  "/openapi/v3",
  "/openapi/v3/api/v1",
  "/openapi/v3/apis/apps/v1",
  "/openapi/v3/apis/apps/v1?hash=x",
  "/openapi/v3/apis/none/v1",
  "/openapi/v3/../v2",
  "/openapi",
  "/.well-known/openid-configuration",
  "/openid/v1/jwks",
  "/logs",
  "/swagger.json",
  "/apis/metrics.k8s.io/v1beta1/nodes",
  "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods",
];

export function plainAsk(dice: Dice): Ask {
  const target = dice.pick(plain);
  return {
    method: dice.weighted([
      [20, "GET"],
      [1, "HEAD"],
      [1, "POST"],
      [1, "OPTIONS"],
      [1, "DELETE"],
      [1, "TRACE"],
    ] as const),
    target,
    headers: readHeaders(dice),
  };
}

const segments = [
  "api",
  "apis",
  "v1",
  "apps",
  "namespaces",
  "default",
  "pods",
  "configmaps",
  "web",
  "status",
  "log",
  "watch",
  "proxy",
  "..",
  ".",
  "",
  "%2e%2e",
  "%2F",
  "%",
  "%zz",
  "%ff",
  "%00",
  "__proto__",
  "constructor",
  "a%20b",
  "x".repeat(300),
  "nodes",
  "deployments",
  "scale",
  "http:web:80",
  "customresourcedefinitions",
];
const methods = ["GET", "GET", "GET", "HEAD", "POST", "PUT", "PATCH", "OPTIONS", "PROPFIND", "TRACE"];

/** Paths put together from parts. Never a DELETE: that could meet what others need. */
export function oddAsk(dice: Dice): Ask {
  const path = Array.from({ length: dice.below(9) }, () => dice.pick(segments)).join("/");
  const query: [string, string][] = Array.from({ length: dice.below(3) }, () => [
    dice.pick(["pretty", "limit", "x", ""]),
    oddString(dice),
  ]);
  return {
    method: dice.pick(methods),
    target: withQuery(`/${dice.chance(0.5) ? "api/v1/" : ""}${path}`, query),
    headers: readHeaders(dice),
    ...(dice.chance(0.3) ? { body: Buffer.from("{}") } : {}),
  };
}

/** As it goes over the wire; whole or in chunks. */
export function bytesOf({ method, target, headers, body }: Ask, chunked = false): Buffer {
  const lines = [
    `${method} ${target} HTTP/1.1`,
    "host: kubernetes",
    ...headers.map(([name, value]) => `${name}: ${value}`),
  ];
  if (!body) return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
  if (!chunked)
    return Buffer.concat([
      Buffer.from(`${lines.join("\r\n")}\r\ncontent-length: ${body.length}\r\n\r\n`, "latin1"),
      body,
    ]);
  const middle = body.length >> 1;
  const pieces = [body.subarray(0, middle), body.subarray(middle)].filter((piece) => piece.length > 0);
  return Buffer.concat([
    Buffer.from(`${lines.join("\r\n")}\r\ntransfer-encoding: chunked\r\n\r\n`, "latin1"),
    ...pieces.flatMap((piece) => [Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n")]),
    Buffer.from("0\r\n\r\n"),
  ]);
}
