/** The proxy's configuration as nginx reads it. What comes from users' objects is checked or quoted. Pure. */
import { ANNOTATION } from "./model.ts";
import type { Location, ProxyModel, Server, Upstream } from "./model.ts";

export const HEALTH_PORT = 10254;
const FOLDER = "/etc/ingress";

/** A value inside double quotes: nginx would expand $, and read a backslash and ". Control characters are left out. */
export function quoted(text: string): string {
  const printable = [...text].filter((character) => character >= " ").join("");
  return `"${printable.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("$", "${dollar}")}"`;
}

export function nginxConfig(model: ProxyModel): string {
  const canaries = model.servers.flatMap(({ locations }) => locations.filter(({ canary }) => canary));
  return `worker_processes 2;
daemon off;
pid /tmp/nginx.pid;
error_log /dev/stderr warn;
worker_rlimit_nofile 4096;
events { worker_connections 2048; }
http {
  include /etc/nginx/mime.types;
  access_log /dev/stdout;
  server_tokens off;
  server_names_hash_bucket_size 128;
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  resolver 10.96.0.10 valid=5s;
  # Only so can a dollar stand in a quoted value.
  geo $dollar { default "$"; }
  map $http_upgrade $connection_upgrade { default upgrade; "" ""; }
  proxy_http_version 1.1;
  proxy_set_header Host $http_host;
  proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Connection $connection_upgrade;
  proxy_set_header X-Request-ID $request_id;
  proxy_set_header X-Real-IP $remote_addr;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Forwarded-Host $http_host;
  proxy_buffering off;
  proxy_next_upstream error timeout;
  ssl_protocols TLSv1.2 TLSv1.3;
${model.upstreams.map(upstream).join("")}${canaries.map(split).join("")}  server {
    listen ${HEALTH_PORT};
    access_log off;
    location = /healthz { return 200 "ok\\n"; }
  }
${model.servers.map(server).join("")}}
`;
}

function upstream({ name, servers, cookie }: Upstream): string {
  const sticky = cookie
    ? `  map $cookie_${cookie} $route_${variable(name)} { "" $request_id; default $cookie_${cookie}; }\n`
    : "";
  return `${sticky}  upstream ${name} {
${cookie ? `    hash $route_${variable(name)} consistent;\n` : ""}${servers.map((address) => `    server ${address};\n`).join("")}    keepalive 32;
  }
`;
}

const variable = (name: string): string => name.replaceAll(/\W/g, "_");

/** One name for each location with a canary. */
function splitName(location: Location): string {
  return `split_${variable(`${location.owner}_${Buffer.from(location.path).toString("hex")}`)}`;
}

function split(location: Location): string {
  const { canary, upstream: main = "" } = location;
  if (!canary) return "";
  const rest = canary.weight < 100 ? ` * ${main};` : "";
  return `  split_clients $request_id $${splitName(location)} { ${canary.weight}% ${canary.upstream};${rest} }\n`;
}

function server(one: Server): string {
  const name = one.host === "" ? "_" : serverName(one.host);
  const standard = one.host === "" ? " default_server" : "";
  const certificate = one.secret ? one.secret.replace("/", "_") : "default";
  const rest = one.locations.some(({ path, kind }) => path === "/" && kind !== "exact")
    ? ""
    : "    location / { return 404; }\n";
  return `  server {
    listen 80${standard};
    listen 443 ssl${standard};
    server_name ${name};
    ssl_certificate ${FOLDER}/${certificate}.crt;
    ssl_certificate_key ${FOLDER}/${certificate}.key;
${one.locations.map((each) => location(each, one)).join("")}${rest}  }
`;
}

/** A wildcard of Kubernetes stands for one label, one of nginx for any number. */
function serverName(host: string): string {
  return host.startsWith("*.") ? `"~^[^.]+${host.slice(1).replaceAll(".", "\\\\.")}$"` : host;
}

function location(one: Location, { tls }: Server): string {
  const body = locationBody(one, tls);
  if (one.kind === "exact") return `    location = ${quoted(one.path)} {\n${body}    }\n`;
  if (one.kind === "regex") return `    location ~* "^${one.path.replaceAll(/["\s;{}]/g, "")}" {\n${body}    }\n`;
  // A prefix goes by whole elements: /foo is not the beginning of /foobar.
  const path = one.path.replace(/\/+$/, "");
  if (path === "") return `    location / {\n${body}    }\n`;
  return `    location = ${quoted(path)} {\n${body}    }\n    location ${quoted(`${path}/`)} {\n${body}    }\n`;
}

const SECONDS = /^\d+$/;
const SIZE = /^\d+[kKmMgG]?$/;

function locationBody(one: Location, tls: boolean): string {
  const of = (name: string): string | undefined => one.annotations[`${ANNOTATION}${name}`];
  const lines: string[] = [];
  const redirect = of("force-ssl-redirect") === "true" || (tls && of("ssl-redirect") === "true");
  if (redirect) lines.push('if ($scheme = "http") { return 308 https://$host$request_uri; }');
  if (!one.upstream) return indent([...lines, "return 503;"]);
  for (const which of ["connect", "read", "send"]) {
    const seconds = of(`proxy-${which}-timeout`);
    lines.push(`proxy_${which}_timeout ${seconds && SECONDS.test(seconds) ? seconds : which === "connect" ? 5 : 60}s;`);
  }
  const size = of("proxy-body-size");
  lines.push(`client_max_body_size ${size && SIZE.test(size) ? size : "1m"};`);
  if (of("proxy-buffering") === "on") lines.push("proxy_buffering on;");
  if (of("proxy-request-buffering") === "off") lines.push("proxy_request_buffering off;");
  if (of("enable-cors") === "true")
    lines.push(
      `add_header Access-Control-Allow-Origin ${quoted(of("cors-allow-origin") ?? "*")} always;`,
      'add_header Access-Control-Allow-Methods "GET, PUT, POST, DELETE, PATCH, OPTIONS" always;',
      `add_header Access-Control-Allow-Headers ${quoted(of("cors-allow-headers") ?? "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization")} always;`,
      "if ($request_method = OPTIONS) { return 204; }",
    );
  const target = of("rewrite-target");
  if (target !== undefined) lines.push(rewrite(one, target));
  const host = of("upstream-vhost");
  if (host !== undefined) lines.push(`proxy_set_header Host ${quoted(host)};`);
  const cookie = /-([A-Za-z_]\w*)$/.exec(one.upstream)?.[1];
  if (of("affinity") === "cookie" && cookie)
    lines.push(`add_header Set-Cookie "${cookie}=$route_${variable(one.upstream)}; Path=/; HttpOnly; SameSite=Lax";`);
  const scheme = of("backend-protocol")?.toUpperCase() === "HTTPS" ? "https" : "http";
  lines.push(`proxy_pass ${scheme}://${one.canary ? `$${splitName(one)}` : one.upstream};`);
  return indent(lines);
}

function rewrite(one: Location, target: string): string {
  const clean = target.replaceAll(/["\s;{}\\]/g, "");
  return one.kind === "regex"
    ? `rewrite "(?i)^${one.path.replaceAll(/["\s;{}]/g, "")}" "${clean}" break;`
    : `rewrite ^ "${clean.replaceAll("$", "")}" break;`;
}

function indent(lines: string[]): string {
  return lines.map((line) => `      ${line}\n`).join("");
}
