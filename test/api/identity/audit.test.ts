/** The audit log: what is written of whom, as its policy's rules say, one after the other. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { jsonLines } from "../json-lines.ts";
import { TestServer, run, until } from "../support.ts";
import { entry, nodeRuntime } from "../../../main/host/paths.ts";
import { ask, askAs } from "./requests.ts";

interface Event {
  level: string;
  auditID: string;
  stage: string;
  requestURI: string;
  verb: string;
  user: { username?: string; groups?: string[] };
  impersonatedUser?: { username: string; groups: string[] };
  sourceIPs: string[];
  userAgent?: string;
  objectRef?: { resource: string; namespace?: string; name?: string; subresource?: string; apiVersion?: string };
  responseStatus?: { code: number; message?: string };
  requestObject?: { metadata?: { name?: string; managedFields?: unknown }; data?: unknown };
  responseObject?: { metadata?: { managedFields?: unknown } };
  requestReceivedTimestamp: string;
  stageTimestamp: string;
  annotations?: Record<string, string>;
}

const POLICY = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- level: None
  users: [quiet]
- level: Metadata
  userGroups: [watched]
  omitStages: [ResponseStarted]
- level: None
  nonResourceURLs: ["/healthz*", "/version"]
- level: Metadata
  nonResourceURLs: ["/metrics"]
- level: RequestResponse
  verbs: [create]
  resources: [{group: "", resources: [configmaps]}]
  omitManagedFields: false
- level: Request
  verbs: [create, update]
  resources: [{group: "", resources: [secrets], resourceNames: []}]
  namespaces: [default]
- level: Metadata
  resources: [{group: "", resources: ["*/scale", "pods/log", "serviceaccounts/token"]}]
- level: RequestResponse
  resources: [{group: apps}]
- level: Metadata
  verbs: [watch, list]
  resources: [{group: "", resources: [configmaps]}]
`;

let server: TestServer;
let folder: string;
let log: string;

const events = (): Promise<Event[]> => jsonLines<Event>(log);

/** Those of a request that says so in its own Audit-ID. */
const of = async (auditID: string, enough = 1): Promise<Event[]> =>
  until(
    async () => (await events()).filter((event) => event.auditID === auditID),
    (found) => found.length >= enough,
  );

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "drydock-audit-"));
  log = path.join(folder, "audit.log");
  await writeFile(path.join(folder, "policy.yaml"), POLICY);
  server = await TestServer.start(`--audit-policy-file=${folder}/policy.yaml`, `--audit-log-path=${log}`);
  await until(
    () => server.kubectl(["get", "serviceaccount", "default"]),
    ({ code }) => code === 0,
  );
});
afterAll(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

const raw = (
  id: string,
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE",
  uri: string,
  body?: object,
  type = "application/json",
): ReturnType<typeof server.raw> =>
  server.raw(method, uri, {
    headers: { "audit-id": id, "user-agent": "auditor/1", ...(body ? { "content-type": type } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
const maps = "/api/v1/namespaces/default/configmaps";
const map = (name: string): object => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data: { a: "b" } });

it("says all of a request, with both bodies where its rule wants them", async () => {
  const answer = await raw("whole", "POST", `${maps}?fieldManager=me`, map("noted"));
  expect(answer.headers["audit-id"]).toBe("whole");
  const [event] = await of("whole");
  expect(event).toMatchObject({
    kind: "Event",
    apiVersion: "audit.k8s.io/v1",
    level: "RequestResponse",
    stage: "ResponseComplete",
    requestURI: `${maps}?fieldManager=me`,
    verb: "create",
    user: { username: "kubernetes-admin", groups: ["system:masters", "system:authenticated"] },
    sourceIPs: [expect.stringContaining("127.0.0.1")],
    userAgent: "auditor/1",
    objectRef: { resource: "configmaps", namespace: "default", name: "noted", apiVersion: "v1" },
    responseStatus: { code: 201 },
    requestObject: { metadata: { name: "noted" }, data: { a: "b" } },
    // This rule keeps them, against the policy.
    responseObject: { metadata: { managedFields: [expect.objectContaining({ manager: "me" })] } },
    annotations: { "authorization.k8s.io/decision": "allow" },
  });
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
  expect(event?.requestReceivedTimestamp).toMatch(time);
  expect(event?.stageTimestamp).toMatch(time);
});

it("keeps answers and managed fields to itself where it should", async () => {
  await raw("secret", "POST", "/api/v1/namespaces/default/secrets", {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "hidden" },
  });
  const [secret] = await of("secret");
  expect(secret).toMatchObject({ level: "Request", requestObject: { metadata: { name: "hidden" } } });
  expect(secret).not.toHaveProperty("responseObject");
  await raw("deploy", "POST", "/apis/apps/v1/namespaces/default/deployments", {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web" },
    spec: {
      selector: { matchLabels: { app: "web" } },
      replicas: 0,
      template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "a", image: "example.com/a" }] } },
    },
  });
  const [deploy] = await of("deploy");
  expect(deploy?.responseObject).toMatchObject({ metadata: { name: "web" } });
  expect(deploy?.responseObject?.metadata).not.toHaveProperty("managedFields");
});

it("goes by user, group, verb, namespace, subresource and path", async () => {
  await askAs(server, "quiet", [], "POST", maps, map("never"));
  await raw("healthz", "GET", "/healthz");
  await raw("elsewhere", "POST", "/api/v1/namespaces/kube-system/secrets", {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "elsewhere" },
  });
  await raw("read", "GET", `${maps}/noted`);
  await raw("metrics", "GET", "/metrics");
  await raw("token", "POST", "/api/v1/namespaces/default/serviceaccounts/default/token", {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    spec: {},
  });
  expect((await of("metrics"))[0]).toMatchObject({ level: "Metadata", verb: "get", requestURI: "/metrics" });
  expect((await of("metrics"))[0]).not.toHaveProperty("objectRef");
  const [token] = await of("token");
  expect(token).toMatchObject({
    level: "Metadata",
    objectRef: { resource: "serviceaccounts", name: "default", subresource: "token" },
  });
  // What is written is written in order: nothing of these came before the last.
  const all = await events();
  for (const id of ["healthz", "elsewhere", "read"]) expect(all.filter(({ auditID }) => auditID === id)).toEqual([]);
  // He is no user of his own: the rule about him is about who asks.
  expect(all.find(({ impersonatedUser }) => impersonatedUser?.username === "quiet")).toMatchObject({
    user: { username: "kubernetes-admin" },
    responseStatus: { code: 403 },
    annotations: { "authorization.k8s.io/decision": "forbid" },
  });
});

it("says when a watch began and when it ended", async () => {
  await raw("watch", "GET", `${maps}?watch=1&timeoutSeconds=1`);
  const stages = await of("watch", 2);
  expect(stages.map(({ stage, responseStatus }) => [stage, responseStatus?.code])).toEqual([
    ["ResponseStarted", 200],
    ["ResponseComplete", 200],
  ]);
});

it("says who was not let in, and why a request failed", async () => {
  await ask(server, "GET", `${maps}?limit=1`, { token: "nonsense", headers: { "audit-id": "stranger" } });
  const [stranger] = await of("stranger");
  expect(stranger).toMatchObject({ user: {}, responseStatus: { code: 401 } });
  await raw("twice", "POST", maps, map("noted"));
  expect((await of("twice"))[0]).toMatchObject({
    responseStatus: { code: 409, message: 'configmaps "noted" already exists', reason: "AlreadyExists" },
  });
});

it.each<[string, string]>([
  ["kind: Nonsense", "not an audit policy"],
  ["apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: []", "no rules"],
  ["apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Loud}]", "Loud"],
])("a policy that is none keeps the control plane from starting: %j", async (text, says) => {
  const file = path.join(folder, "bad.yaml");
  await writeFile(file, text);
  const { command, environment } = nodeRuntime();
  const args = [entry("control-plane"), `--data=${folder}/data`, "--port=0", `--kubeconfig=${folder}/kubeconfig`];
  const { code, stdout, stderr } = await run(command, [...args, `--audit-policy-file=${file}`, "--audit-log-path=-"], {
    env: environment,
  });
  expect([code === 0, stdout + stderr]).toEqual([false, expect.stringContaining(says)]);
});
