import { expect, test } from "vitest";
import { connectOptions } from "./connect.ts";
import { readRequest } from "./request-info.ts";

const PODS = "/api/v1/namespaces/default/pods";

test.each<[string, object | undefined]>([
  [
    `${PODS}/a/exec?command=sh&command=-c&stdin=true&tty=false&container=main`,
    { kind: "PodExecOptions", stdin: true, container: "main", command: ["sh", "-c"] },
  ],
  [`${PODS}/a/attach?stdout=true&command=x`, { kind: "PodAttachOptions", stdout: true }],
  [`${PODS}/a/portforward?ports=80,x&ports=443`, { kind: "PodPortForwardOptions", ports: [80, 443] }],
  [`${PODS}/a/portforward`, { kind: "PodPortForwardOptions" }],
  [`${PODS}/a:80/proxy`, { kind: "PodProxyOptions" }],
  [`${PODS}/a:80/proxy/`, { kind: "PodProxyOptions", path: "/" }],
  ["/api/v1/namespaces/default/services/a/proxy/b/c?d=e", { kind: "ServiceProxyOptions", path: "/b/c" }],
  ["/api/v1/nodes/a/proxy/metrics/", { kind: "NodeProxyOptions", path: "/metrics/" }],
  [`${PODS}/a/log`, undefined],
  [`${PODS}/a`, undefined],
  ["/apis/example.com/v1/namespaces/default/pods/a/exec", undefined],
])("%s", (url, expected) => {
  const options = connectOptions(readRequest("GET", url));
  expect(options).toEqual(expected && { apiVersion: "v1", ...expected });
});
