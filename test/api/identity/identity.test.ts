/** Who asks, what they may, and what is written down of it: kubectl auth, tokens, impersonation, certificates, audit. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { jsonLines } from "../json-lines.ts";
import { TestServer, run, until } from "../support.ts";

let server: TestServer;
let folder: string;
let log: string;

interface Event {
  stage: string;
  verb: string;
  level: string;
  user: { username?: string };
  impersonatedUser?: { username: string };
  objectRef?: { resource: string; name?: string };
  responseStatus?: { code: number };
  requestObject?: { metadata: { name: string } };
  responseObject?: { kind: string };
  annotations?: Record<string, string>;
}
const events = (): Promise<Event[]> => jsonLines<Event>(log);

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "drydock-identity-"));
  log = path.join(folder, "audit.log");
  const policy = path.join(folder, "policy.yaml");
  await writeFile(
    policy,
    `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  resources: [{resources: [secrets]}]
- level: RequestResponse
  resources: [{resources: [configmaps]}]
- level: Metadata
  namespaces: [default]
`,
  );
  server = await TestServer.start(`--audit-policy-file=${policy}`, `--audit-log-path=${log}`);
  await until(
    () => server.kubectl(["get", "serviceaccount", "default"]),
    ({ code }) => code === 0,
  );
});
afterAll(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

describe("identity", () => {
  it("is shown by whoami, and taken on by impersonation", async () => {
    expect(await server.ok("auth whoami -o jsonpath={.status.userInfo.username}")).toBe("kubernetes-admin");
    const version = await server.kubectl(["auth", "whoami", "--as=ann", "--as-group=devs", "--as-uid=7", "-o", "json"]);
    expect(version.code).toBe(0);
    expect(JSON.parse(version.stdout)).toMatchObject({
      status: { userInfo: { username: "ann", uid: "7", groups: ["devs", "system:authenticated"] } },
    });
    expect(await server.fails("get pods --as=ann")).toContain(
      'pods is forbidden: User "ann" cannot list resource "pods" in API group "" in the namespace "default"',
    );
    expect((await server.kubectl(["auth", "can-i", "list", "pods", "--as=ann"])).stdout).toContain("no");
    await server.ok("create rolebinding ann --clusterrole=view --user=ann");
    expect(await server.ok("auth can-i list pods --as=ann")).toContain("yes");
    expect(await server.ok("auth can-i --list --as=ann")).toMatch(/pods\s+\[\]\s+\[\]\s+\[get list watch\]/);
    expect(await server.fails("create rolebinding more --clusterrole=edit --user=ann --as=ann")).toContain("forbidden");
  });

  it("is not half taken on", async () => {
    const transport = await server.transport();
    const answer = await transport({
      method: "GET",
      path: "/api/v1/namespaces/default/pods",
      headers: { "impersonate-group": "devs" },
    });
    expect(answer.status).toBe(400);
  });

  it("cannot be raised by who does not have it already", async () => {
    await server.ok(
      "create role maker --verb=get,create,update,patch --resource=roles.rbac.authorization.k8s.io,rolebindings.rbac.authorization.k8s.io",
    );
    await server.ok("create rolebinding maker --role=maker --user=max");
    expect(await server.fails("create role secrets --verb=get --resource=secrets --as=max")).toContain(
      "is attempting to grant RBAC permissions not currently held",
    );
    expect(await server.fails("create rolebinding self --clusterrole=admin --user=max --as=max")).toContain(
      "is attempting to grant RBAC permissions not currently held",
    );
    const role = {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "Role",
      metadata: { name: "maker", namespace: "default" },
      rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }],
    };
    const file = path.join(folder, "role.json");
    await writeFile(file, JSON.stringify(role));
    expect(await server.ok(`auth reconcile -f ${file}`)).toContain("reconciled");
    expect(await server.ok("get role maker -o jsonpath={.rules[*].resources}")).toContain("pods");
  });

  it("is a token's for as long as what it is bound to is there", async () => {
    await server.ok("create serviceaccount bot");
    await server.ok("create secret generic holder");
    const free = (await server.ok("create token bot")).trim();
    const bound = (await server.ok("create token bot --bound-object-kind=Secret --bound-object-name=holder")).trim();
    const whoami = (token: string): Promise<{ code: number; stdout: string }> =>
      server.kubectl(["auth", "whoami", `--token=${token}`, "-o", "jsonpath={.status.userInfo.username}"], {
        env: { KUBECONFIG: path.join(folder, "anonymous") },
      });
    const config = await readFile(server.kubeconfig, "utf8");
    await writeFile(path.join(folder, "anonymous"), config.replaceAll(/^.*client-(certificate|key)-data:.*\n/gm, ""));
    expect((await whoami(free)).stdout).toBe("system:serviceaccount:default:bot");
    expect((await whoami(bound)).code).toBe(0);
    await server.ok("delete secret holder");
    expect((await whoami(bound)).code).not.toBe(0);
    expect((await whoami(free)).code).toBe(0);
    await server.ok("delete serviceaccount bot");
    expect((await whoami(free)).code).not.toBe(0);
    expect((await whoami("nonsense")).code).not.toBe(0);
  });

  it("is a certificate's, asked for, approved and signed", async () => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const key = path.join(folder, "key.pem");
    await writeFile(key, privateKey.export({ type: "pkcs8", format: "pem" }));
    const made = await run("openssl", ["req", "-new", "-key", key, "-subj", "/O=devs/CN=cora"]);
    expect(made.code).toBe(0);
    const request = {
      apiVersion: "certificates.k8s.io/v1",
      kind: "CertificateSigningRequest",
      metadata: { name: "cora" },
      spec: {
        request: Buffer.from(made.stdout).toString("base64"),
        signerName: "kubernetes.io/kube-apiserver-client",
        usages: ["client auth"],
      },
    };
    await server.ok("apply -f -", { input: JSON.stringify(request) });
    await server.ok("certificate approve cora");
    const certificate = await until(
      () => server.ok("get csr cora -o jsonpath={.status.certificate}"),
      (text) => text !== "",
    );
    const file = path.join(folder, "cora.pem");
    await writeFile(file, Buffer.from(certificate, "base64"));
    const mine = await server.kubectl(
      ["auth", "whoami", `--client-certificate=${file}`, `--client-key=${key}`, "-o", "jsonpath={.status.userInfo}"],
      { env: { KUBECONFIG: path.join(folder, "anonymous") } },
    );
    expect(JSON.parse(mine.stdout)).toMatchObject({ username: "cora", groups: ["devs", "system:authenticated"] });
  });
});

describe("what every cluster has", () => {
  it("is there and says that it works: flow schemas, aggregated roles, protected namespaces", async () => {
    const flows = await until(
      () => server.ok("get flowschemas"),
      (text) => (text.match(/ False$/gm) ?? []).length >= 13,
    );
    expect(flows).toMatch(/global-default\s+global-default\s+9900\s+ByUser/);
    expect(await server.ok("get prioritylevelconfigurations")).toMatch(/workload-low\s+Limited\s+100\s+128\s+6\s+50/);
    await server.ok("create clusterrole widgets --verb=get --resource=configmaps/widget");
    await server.ok("label clusterrole widgets rbac.authorization.k8s.io/aggregate-to-view=true");
    await until(
      () => server.ok("get clusterrole view -o jsonpath={.rules[*].resources}"),
      (text) => text.includes("configmaps/widget"),
    );
    expect(await server.fails("delete namespace kube-system")).toContain(
      'namespaces "kube-system" is forbidden: this namespace may not be deleted',
    );
  });
});

describe("the audit log", () => {
  it("says who did what, as much as its policy wants", async () => {
    await server.ok("create configmap noted --from-literal=a=b");
    await server.ok("create secret generic hidden --from-literal=a=b");
    await server.kubectl(["get", "pods", "--as=nobody"]);
    const all = await until(events, (list) =>
      list.some(({ impersonatedUser }) => impersonatedUser?.username === "nobody"),
    );
    const of = (verb: string, name: string): Event | undefined =>
      all.find((one) => one.verb === verb && one.objectRef?.name === name);
    expect(of("create", "noted")).toMatchObject({
      level: "RequestResponse",
      stage: "ResponseComplete",
      user: { username: "kubernetes-admin" },
      responseStatus: { code: 201 },
      requestObject: { metadata: { name: "noted" } },
      responseObject: { kind: "ConfigMap" },
      annotations: { "authorization.k8s.io/decision": "allow" },
    });
    const secret = all.find((one) => one.verb === "create" && one.objectRef?.resource === "secrets");
    expect(secret?.level).toBe("Metadata");
    expect(secret).not.toHaveProperty("requestObject");
    expect(all.find(({ impersonatedUser }) => impersonatedUser?.username === "nobody")).toMatchObject({
      user: { username: "kubernetes-admin" },
      responseStatus: { code: 403 },
      annotations: { "authorization.k8s.io/decision": "forbid" },
    });
  });
});
