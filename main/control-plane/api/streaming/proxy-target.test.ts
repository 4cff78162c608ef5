import { describe, expect, it } from "vitest";
import type { EndpointSlice, Pod, Service } from "../../../../common/kube/types.ts";
import { isProxyable, podPort, proxiedPath, readProxyName, rewriteLocation, serviceEndpoints } from "./proxy-target.ts";

it.each([
  ["web", { scheme: "http", name: "web", port: "" }],
  ["web:80", { scheme: "http", name: "web", port: "80" }],
  ["https:web:", { scheme: "https", name: "web", port: "" }],
  ["https:web:http", { scheme: "https", name: "web", port: "http" }],
])("reads %j", (text, read) => expect(readProxyName(text, "pod")).toEqual(read));

it.each(["", ":80", "ftp:web:1", "a:b:c:d"])("refuses %j", (text) =>
  expect(() => readProxyName(text, "service")).toThrow(`invalid service request ${JSON.stringify(text)}`),
);

const pod = {
  metadata: { name: "web" },
  spec: { containers: [{ name: "a" }, { name: "b", ports: [{ name: "http", containerPort: 8080 }] }] },
} as Pod;

it.each([
  ["", 8080],
  ["http", 8080],
  ["99", 99],
])("port %j of a Pod is %d", (port, number) =>
  expect(podPort(pod, { scheme: "http", name: "web", port })).toBe(number),
);

describe("a Service's endpoints", () => {
  const service = {
    metadata: { name: "web", namespace: "shop" },
    spec: {
      ports: [
        { name: "http", port: 80 },
        { name: "admin", port: 81 },
      ],
    },
  } as Service;
  const slice = {
    metadata: { name: "web-1" },
    addressType: "IPv4",
    ports: [{ name: "http", port: 8080 }],
    endpoints: [
      {
        addresses: ["10.244.0.1"],
        conditions: { ready: true },
        targetRef: { kind: "Pod", name: "web-1", namespace: "shop" },
      },
      { addresses: ["10.244.0.2"], conditions: { ready: false } },
    ],
  } as EndpointSlice;
  const ask = (port: string, slices = [slice]): unknown =>
    serviceEndpoints(service, slices, { scheme: "http", name: "web", port });

  it("are those that are ready, of the port by name or number", () => {
    const only = [{ address: "10.244.0.1", port: 8080, pod: { namespace: "shop", name: "web-1" } }];
    expect(ask("http")).toEqual(only);
    expect(ask("80")).toEqual(only);
  });

  it("may be none", () => {
    expect(() => ask("nope")).toThrow('no service port "nope" found for service "web"');
    expect(() => ask("")).toThrow('no service port "" found');
    expect(() => ask("admin")).toThrow('no endpoints available for service "web"');
    expect(() => ask("http", [])).toThrow('no endpoints available for service "web"');
  });
});

it("knows what follows the subresource, and brings redirects back", () => {
  const prefix = "/api/v1/namespaces/shop/services/web:http/proxy";
  expect(proxiedPath(`${prefix}/a/b?c=d`)).toEqual({ prefix, path: "/a/b?c=d" });
  expect(proxiedPath(prefix)).toEqual({ prefix, path: "" });
  expect(proxiedPath("/api/v1/nodes/one/proxy/metrics")).toEqual({
    prefix: "/api/v1/nodes/one/proxy",
    path: "/metrics",
  });
  expect(rewriteLocation("/login", "10.0.0.1:80", prefix)).toBe(`${prefix}/login`);
  expect(rewriteLocation("http://10.0.0.1:80/login?a", "10.0.0.1:80", prefix)).toBe("http://10.0.0.1:80/login?a");
  expect(rewriteLocation("http://10.0.0.1:8080/login?a", "10.0.0.1:8080", prefix)).toBe(`${prefix}/login?a`);
  expect(rewriteLocation("next", "x", prefix)).toBe("next");
});

it.each([
  ["10.244.0.1", true],
  ["fd00::1", true],
  ["127.0.0.1", false],
  ["169.254.169.254", false],
  ["::1", false],
  ["fe80::1", false],
  ["example.com", false],
])("%s may be reached: %s", (address, may) => expect(isProxyable(address)).toBe(may));
