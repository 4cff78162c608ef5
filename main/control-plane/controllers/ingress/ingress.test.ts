import { describe, expect, it } from "vitest";
import type { EndpointSlice, Ingress, IngressClass, Secret, Service } from "../../../../common/kube/types.ts";
import { CONTROLLER, isOurs, modelOf } from "./model.ts";
import type { ProxyModel } from "./model.ts";
import { nginxConfig, quoted } from "./nginx.ts";

const A = "nginx.ingress.kubernetes.io/";
const classes = [
  {
    metadata: { name: "nginx", annotations: { "ingressclass.kubernetes.io/is-default-class": "true" } },
    spec: { controller: CONTROLLER },
  },
  { metadata: { name: "other" }, spec: { controller: "example.com/other" } },
] as unknown as IngressClass[];
let made = 0;
const ingress = (spec: object, annotations: Record<string, string> = {}): Ingress =>
  ({
    metadata: {
      name: `i${made++}`,
      namespace: "n",
      annotations,
      creationTimestamp: `2026-05-01T10:00:${String(made).padStart(2, "0")}Z`,
    },
    spec,
  }) as unknown as Ingress;
const backend = (name: string): object => ({ service: { name, port: { number: 80 } } });
const rule = (host: string | undefined, ...paths: [string, string, string][]): object => ({
  ...(host ? { host } : {}),
  http: { paths: paths.map(([path, pathType, name]) => ({ path, pathType, backend: backend(name) })) },
});

function model(...ingresses: Ingress[]): ProxyModel {
  return modelOf({
    ingresses,
    classes,
    service: (_namespace, name) =>
      name === "gone"
        ? undefined
        : ({ metadata: { name }, spec: { ports: [{ name: "web", port: 80 }] } } as unknown as Service),
    slices: (_namespace, name) =>
      name === "empty"
        ? []
        : ([
            {
              addressType: "IPv4",
              ports: [{ name: "web", port: 8080 }],
              endpoints: [{ addresses: ["10.244.1.2"] }, { addresses: ["10.244.1.3"], conditions: { ready: false } }],
            },
          ] as unknown as EndpointSlice[]),
    secret: (_namespace, name) =>
      name === "cert" ? ({ data: { "tls.crt": "YQ==", "tls.key": "Yg==" } } as unknown as Secret) : undefined,
  });
}

describe("which Ingresses are served", () => {
  it("those of the class by name or annotation, and those of none", () => {
    expect(isOurs(ingress({ ingressClassName: "nginx" }), classes)).toBe(true);
    expect(isOurs(ingress({}, { "kubernetes.io/ingress.class": "nginx" }), classes)).toBe(true);
    expect(isOurs(ingress({}), classes)).toBe(true);
    expect(isOurs(ingress({ ingressClassName: "other" }), classes)).toBe(false);
    expect(isOurs(ingress({}, { "kubernetes.io/ingress.class": "other" }), classes)).toBe(false);
  });
});

describe("the model", () => {
  it("has a server for each host, and upstreams of what is ready", () => {
    const of = model(
      ingress({ rules: [rule("a.localhost", ["/", "Prefix", "web"]), rule(undefined, ["/x", "Exact", "gone"])] }),
    );
    expect(of.servers.map(({ host }) => host)).toEqual(["", "a.localhost"]);
    expect(of.upstreams).toEqual([{ name: "n-web-80", servers: ["10.244.1.2:8080"], cookie: undefined }]);
    expect(of.servers[0]?.locations).toMatchObject([{ path: "/x", kind: "exact", upstream: undefined }]);
  });

  it("gives a path that two want to the older", () => {
    const [first, second] = [
      ingress({ rules: [rule("a", ["/", "Prefix", "one"])] }),
      ingress({ rules: [rule("a", ["/", "Prefix", "two"])] }),
    ];
    expect(model(second, first).servers[1]?.locations).toMatchObject([{ upstream: "n-one-80" }]);
  });

  it("uses a Secret's certificate when it is there, and lets the cluster's authority sign otherwise", () => {
    const of = model(
      ingress({ tls: [{ hosts: ["a"], secretName: "cert" }], rules: [rule("a", ["/", "Prefix", "web"])] }),
      ingress({ tls: [{ hosts: ["b"], secretName: "missing" }], rules: [rule("b", ["/", "Prefix", "web"])] }),
    );
    expect(of.servers.slice(1)).toMatchObject([
      { host: "a", tls: true, secret: "n/cert" },
      { host: "b", tls: true, secret: undefined },
    ]);
  });

  it("gives a canary its part", () => {
    const main = ingress({ rules: [rule("a", ["/", "Prefix", "web"])] });
    const canary = ingress(
      { rules: [rule("a", ["/", "Prefix", "next"])] },
      { [`${A}canary`]: "true", [`${A}canary-weight`]: "30" },
    );
    const text = nginxConfig(model(main, canary));
    expect(text).toMatch(/split_clients \$request_id \$split_\w+ \{ 30% n-next-80; \* n-web-80; \}/);
    expect(text).toMatch(/proxy_pass http:\/\/\$split_\w+;/);
  });
});

describe("the configuration", () => {
  it("takes prefixes by whole elements, wildcards by one label, and answers 404 elsewhere", () => {
    const text = nginxConfig(model(ingress({ rules: [rule("*.shop.localhost", ["/api/", "Prefix", "web"])] })));
    expect(text).toContain('server_name "~^[^.]+\\\\.shop\\\\.localhost$";');
    expect(text).toContain('location = "/api" {');
    expect(text).toContain('location "/api/" {');
    expect(text).toContain("location / { return 404; }");
  });

  it("answers 503 where nobody is behind a Service", () => {
    expect(nginxConfig(model(ingress({ defaultBackend: backend("empty") })))).toContain(
      "location / {\n      return 503;\n    }",
    );
  });

  it("rewrites, sticks, limits and redirects by annotations, and ignores values that are none", () => {
    const annotations = {
      [`${A}rewrite-target`]: "/$2",
      [`${A}affinity`]: "cookie",
      [`${A}proxy-body-size`]: "8m",
      [`${A}proxy-read-timeout`]: "60s; evil on",
      [`${A}force-ssl-redirect`]: "true",
    };
    const text = nginxConfig(
      model(ingress({ rules: [rule("a", ["/x(/|$)(.*)", "ImplementationSpecific", "web"])] }, annotations)),
    );
    expect(text).toContain('location ~* "^/x(/|$)(.*)" {');
    expect(text).toContain('rewrite "(?i)^/x(/|$)(.*)" "/$2" break;');
    expect(text).toContain("hash $route_n_web_80_INGRESSCOOKIE consistent;");
    expect(text).toContain('add_header Set-Cookie "INGRESSCOOKIE=$route_n_web_80_INGRESSCOOKIE;');
    expect(text).toContain("client_max_body_size 8m;");
    expect(text).toContain("proxy_read_timeout 60s;");
    expect(text).toContain("return 308 https://$host$request_uri;");
    expect(text).not.toContain("evil");
  });

  it("lets nothing out of quotes", () => {
    expect(quoted('/a"; return 200 $host;\n')).toBe('"/a\\"; return 200 ${dollar}host;"');
  });
});
