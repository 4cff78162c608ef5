import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { Audit } from "./index.ts";
import { LogFile } from "./log-file.ts";
import { decide, readPolicy } from "./policy.ts";

const policy = readPolicy(`
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: [system:kube-proxy]
- level: Metadata
  resources: [{group: "", resources: [secrets]}]
- level: RequestResponse
  resources: [{group: "", resources: [pods, "*/status"]}]
  namespaces: [default]
- level: Request
  nonResourceURLs: ["/api*"]
`);
const ann = { name: "ann", groups: ["system:authenticated"] };
const of = (resource: string, more: object = {}): never =>
  ({ verb: "get", group: "", version: "v1", resource, namespace: "default", ...more }) as never;

describe("the policy", () => {
  test.each([
    [{ name: "system:kube-proxy", groups: [] }, of("pods"), "None"],
    [ann, of("secrets"), "Metadata"],
    [ann, of("pods"), "RequestResponse"],
    [ann, of("pods", { subresource: "log" }), "None"],
    [ann, of("services", { subresource: "status" }), "RequestResponse"],
    [ann, of("pods", { namespace: "other" }), "None"],
    [ann, { verb: "get", nonResourcePath: "/api/v1" }, "Request"],
    [ann, { verb: "get", nonResourcePath: "/healthz" }, "None"],
  ])("%j %j → %s", (user, asked, level) => {
    expect(decide(policy, user, asked).level).toBe(level);
  });

  test("must be one", () => {
    expect(() => readPolicy("kind: Policy")).toThrow("not an audit policy");
    expect(() => readPolicy("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Some}]")).toThrow(
      "rules[0].level",
    );
  });
});

test("events carry what their level allows", () => {
  const lines: string[] = [];
  const audit = new Audit(policy, (line) => lines.push(line));
  const base = { requestURI: "/api/v1/namespaces/default/pods", user: ann, sourceIPs: ["127.0.0.1"] };
  const record = audit.begin({ ...base, attributes: of("pods", { verb: "create" }) });
  record?.requestBody(Buffer.from('{"metadata":{"name":"web"}}'), "application/json");
  record?.responseBody(Buffer.from('{"kind":"Pod"}'), "application/json");
  record?.annotate("a", "b");
  record?.end(201);
  record?.end(500);
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({
    kind: "Event",
    level: "RequestResponse",
    stage: "ResponseComplete",
    verb: "create",
    user: { username: "ann" },
    objectRef: { resource: "pods", namespace: "default", name: "web", apiVersion: "v1" },
    responseStatus: { metadata: {}, code: 201 },
    requestObject: { metadata: { name: "web" } },
    responseObject: { kind: "Pod" },
    annotations: { a: "b" },
  });
  const secret = audit.begin({ ...base, attributes: of("secrets") });
  secret?.responseBody(Buffer.from('{"data":{}}'), "application/json");
  secret?.end(200);
  expect(lines[1]).not.toContain("responseObject");
});

test("the log is put aside when it is large, and so many are kept", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "drydock-audit-"));
  try {
    const file = path.join(folder, "audit.log");
    const failures: Error[] = [];
    const log = new LogFile({ path: file, maxSize: 1, maxBackups: 1, failed: (error) => failures.push(error) });
    for (let at = 0; at < 4; at += 1) {
      log.write(`${at}${"x".repeat(700_000)}`);
      await log.close();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(failures).toEqual([]);
    expect(await readdir(folder)).toHaveLength(2);
    expect((await readFile(file, "utf8")).startsWith("3")).toBe(true);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
