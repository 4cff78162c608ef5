import { describe, expect, it } from "vitest";
import { isTrue, readRequest } from "./request-info.ts";

describe("what a request asks for", () => {
  it.each([
    ["GET", "/api/v1/pods", "list", { resource: "pods" }],
    ["GET", "/api/v1/pods?watch=true", "watch", { resource: "pods" }],
    ["GET", "/api/v1/watch/pods", "watch", { resource: "pods" }],
    ["GET", "/api/v1/namespaces/a/pods/b", "get", { namespace: "a", resource: "pods", name: "b" }],
    ["GET", "/api/v1/namespaces/a/pods/b/log?watch=1", "get", { resource: "pods", name: "b", subresource: "log" }],
    ["POST", "/api/v1/namespaces/a/pods", "create", { namespace: "a", resource: "pods" }],
    ["GET", "/api/v1/namespaces/a", "get", { resource: "namespaces", name: "a" }],
    ["PUT", "/api/v1/namespaces/a/finalize", "update", { resource: "namespaces", name: "a", subresource: "finalize" }],
    [
      "DELETE",
      "/apis/apps/v1/namespaces/a/deployments",
      "deletecollection",
      { group: "apps", resource: "deployments" },
    ],
    ["DELETE", "/apis/apps/v1/namespaces/a/deployments/x/", "delete", { group: "apps", name: "x" }],
    ["PATCH", "/api/v1/nodes/n%2Fm/status", "patch", { resource: "nodes", name: "n/m", subresource: "status" }],
    ["GET", "/api/v1/nodes/n/proxy/metrics/cadvisor", "get", { subresource: "proxy", rest: "/metrics/cadvisor" }],
  ])("%s %s", (method, url, verb, resource) => {
    expect(readRequest(method, url)).toMatchObject({ verb, resource });
  });

  it.each(["/", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/version", "/openapi/v3/api/v1"])(
    "%s is about no resource",
    (path) => {
      expect(readRequest("GET", path).resource).toBeUndefined();
    },
  );

  it("refuses malformed escapes", () => {
    expect(() => readRequest("GET", "/api/v1/pods/%zz")).toThrow(URIError);
  });

  it("reads flags as the API server does", () => {
    expect([null, "", "1", "true", "0", "false"].map(isTrue)).toEqual([false, true, true, true, false, false]);
  });
});
