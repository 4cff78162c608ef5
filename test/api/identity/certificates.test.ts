/** Certificates: every built-in signer, who may approve and sign, and what a client certificate says. */
import { X509Certificate, createHash, generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestServer, run, until } from "../support.ts";
import { ask, askAs } from "./requests.ts";
import type { Answered } from "./requests.ts";

const REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const CLIENT = "kubernetes.io/kube-apiserver-client";
const KUBELET = "kubernetes.io/kube-apiserver-client-kubelet";
const SERVING = "kubernetes.io/kubelet-serving";

let server: TestServer;
let folder: string;
let key: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "drydock-certificates-"));
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  key = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  await writeFile(path.join(folder, "key.pem"), key);
  server = await TestServer.start();
});
afterAll(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Base64 of PEM. */
async function made(subject: string, names?: string): Promise<string> {
  const more = names === undefined ? [] : ["-addext", `subjectAltName=${names}`];
  const how = ["req", "-new", "-key", path.join(folder, "key.pem"), "-subj", subject, ...more];
  const { code, stdout, stderr } = await run("openssl", how);
  if (code !== 0) throw new Error(stderr);
  return Buffer.from(stdout).toString("base64");
}

const csr = (name: string, spec: object): object => ({
  apiVersion: "certificates.k8s.io/v1",
  kind: "CertificateSigningRequest",
  metadata: { name },
  spec,
});

interface Seen {
  certificate?: X509Certificate;
  pem?: string;
  conditions: { type: string; reason?: string; message?: string }[];
}

async function seen(name: string): Promise<Seen> {
  const { status = {} } = JSON.parse(await server.ok(`get csr ${name} -o json`)) as {
    status?: { certificate?: string; conditions?: Seen["conditions"] };
  };
  const pem = status.certificate ? Buffer.from(status.certificate, "base64").toString() : undefined;
  return { ...(pem ? { pem, certificate: new X509Certificate(pem) } : {}), conditions: status.conditions ?? [] };
}

const settled = (name: string): Promise<Seen> =>
  until(
    () => seen(name),
    ({ certificate, conditions }) => certificate !== undefined || conditions.some(({ type }) => type === "Failed"),
  );

const as = (user: string, groups: string[], name: string, spec: object): Promise<Answered> =>
  askAs(server, user, groups, "POST", REQUESTS, csr(name, spec));

describe("a client's certificate", () => {
  it("lasts as long as was asked for, and names its holder, his groups and itself", async () => {
    await server.ok("create -f -", {
      input: JSON.stringify(
        csr("cora", {
          request: await made("/O=devs/O=ops/CN=cora"),
          signerName: CLIENT,
          usages: ["client auth", "digital signature"],
          expirationSeconds: 7200,
        }),
      ),
    });
    expect((await seen("cora")).conditions).toEqual([]);
    await server.ok("certificate approve cora");
    const { certificate, pem = "" } = await settled("cora");
    const millis = Date.parse(certificate?.validTo ?? "") - Date.now();
    expect(millis).toBeGreaterThan(6_000_000);
    expect(millis).toBeLessThanOrEqual(7_200_000);
    const { body } = await ask(
      server,
      "POST",
      "/apis/authentication.k8s.io/v1/selfsubjectreviews",
      { certificate: pem, key },
      { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" },
    );
    const id = createHash("sha256")
      .update(certificate?.raw ?? "")
      .digest("hex");
    expect(body.status).toEqual({
      userInfo: {
        username: "cora",
        groups: ["devs", "ops", "system:authenticated"],
        extra: { "authentication.kubernetes.io/credential-id": [`X509SHA256=${id}`] },
      },
    });
  });

  it("of another authority is no good, anywhere", async () => {
    const how = `req -x509 -new -key ${path.join(folder, "key.pem")} -subj /O=system:masters/CN=eve -days 1`;
    const self = await run("openssl", how.split(" "));
    const { status } = await ask(server, "GET", "/version", { certificate: self.stdout, key });
    expect(status).toBe(401);
  });

  it("cannot make an administrator", async () => {
    const request = await made("/O=system:masters/CN=eve");
    const { status, body } = await as("kubernetes-admin", ["system:masters"], "masters", {
      request,
      signerName: CLIENT,
      usages: ["client auth"],
    });
    expect([status, body.message]).toEqual([
      403,
      `certificatesigningrequests.certificates.k8s.io "masters" is forbidden: use of ${CLIENT} signer with system:masters group is not allowed`,
    ]);
  });

  it("is not signed for other usages: that is said, and stays", async () => {
    const spec = { request: await made("/CN=usages"), signerName: CLIENT, usages: ["server auth"] };
    await server.ok("create -f -", { input: JSON.stringify(csr("usages", spec)) });
    await server.ok("certificate approve usages");
    const { certificate, conditions } = await settled("usages");
    expect(certificate).toBeUndefined();
    expect(conditions.map(({ type, reason }) => [type, reason])).toEqual([
      ["Approved", "KubectlApprove"],
      ["Failed", "SignerValidationFailure"],
    ]);
  });
});

describe("a kubelet's certificates", () => {
  const usages = ["digital signature", "client auth"];

  it("the first is approved for who bootstraps, the next for the node itself", async () => {
    const request = await made("/O=system:nodes/CN=system:node:dock-1");
    const first = await as(
      "system:bootstrap:abcdef",
      ["system:bootstrappers", "system:bootstrappers:drydock:default-node-token"],
      "first",
      {
        request,
        signerName: KUBELET,
        usages,
      },
    );
    expect(first.status).toBe(201);
    expect((await settled("first")).certificate?.subject).toBe("O=system:nodes\nCN=system:node:dock-1");
    expect((await seen("first")).conditions[0]?.message).toBe(
      "Auto approving kubelet client certificate after SubjectAccessReview.",
    );
    expect(
      (await as("system:node:dock-1", ["system:nodes"], "next", { request, signerName: KUBELET, usages })).status,
    ).toBe(201);
    await settled("next");
    expect((await seen("next")).conditions[0]?.message).toBe(
      "Auto approving self kubelet client certificate after SubjectAccessReview.",
    );
  });

  it("that for serving is approved for the addresses that its Node has", async () => {
    const node = {
      apiVersion: "v1",
      kind: "Node",
      metadata: { name: "dock-1" },
      status: {
        addresses: [
          { type: "InternalIP", address: "10.1.2.3" },
          { type: "Hostname", address: "dock-1" },
        ],
      },
    };
    await server.ok("create -f -", { input: JSON.stringify(node) });
    const ask = (name: string, request: string): Promise<Answered> =>
      as("system:node:dock-1", ["system:nodes"], name, {
        request,
        signerName: SERVING,
        usages: ["digital signature", "server auth"],
      });
    const subject = "/O=system:nodes/CN=system:node:dock-1";
    await ask("foreign", await made(subject, "DNS:dock-1,IP:10.9.9.9"));
    await ask("serving", await made(subject, "DNS:dock-1,IP:10.1.2.3"));
    expect((await settled("serving")).certificate?.subjectAltName).toBe("DNS:dock-1, IP Address:10.1.2.3");
    expect((await seen("foreign")).conditions).toEqual([]);
  });
});

describe("a signer of one's own", () => {
  /** Signers are in no discovery, and so nothing that `kubectl create clusterrole` knows. */
  const signers = (name: string, verb: string, signer: string): Promise<string> =>
    server.ok("create -f -", {
      input: JSON.stringify({
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "ClusterRole",
        metadata: { name },
        rules: [{ apiGroups: ["certificates.k8s.io"], resources: ["signers"], resourceNames: [signer], verbs: [verb] }],
      }),
    });

  it("is nobody's here: who may approve and sign for it does", async () => {
    const signerName = "example.com/dock";
    const spec = { request: await made("/CN=own"), signerName, usages: ["client auth"] };
    await server.ok("create -f -", { input: JSON.stringify(csr("own", spec)) });
    await server.ok(
      "create clusterrole csr-any --verb=get,update,patch --resource=certificatesigningrequests,certificatesigningrequests/approval,certificatesigningrequests/status",
    );
    await server.ok("create clusterrolebinding csr-any --clusterrole=csr-any --user=sid");
    const refused = await server.fails("certificate approve own --as=sid");
    expect(refused).toContain(`user not permitted to approve requests with signerName "${signerName}"`);
    await signers("approves", "approve", "example.com/*");
    await server.ok("create clusterrolebinding approves --clusterrole=approves --user=sid");
    await server.ok("certificate approve own --as=sid");
    const { pem = "" } = await settled("cora");
    const signed = async (): Promise<Answered> => {
      const object = JSON.parse(await server.ok("get csr own -o json")) as { status: object };
      const status = { ...object.status, certificate: Buffer.from(pem).toString("base64") };
      return askAs(server, "sid", [], "PUT", `${REQUESTS}/own/status`, { ...object, status });
    };
    const not = await signed();
    expect([not.status, not.body.message]).toEqual([
      403,
      `certificatesigningrequests.certificates.k8s.io "own" is forbidden: user not permitted to sign requests with signerName "${signerName}"`,
    ]);
    await signers("signs", "sign", signerName);
    await server.ok("create clusterrolebinding signs --clusterrole=signs --user=sid");
    expect((await signed()).status).toBe(200);
    expect(await server.ok("get csr own --no-headers")).toContain("Approved,Issued");
  });
});

it.each<[string, object, string]>([
  ["a signer without a domain", { signerName: "dock" }, "must be a fully qualified domain and path of the form"],
  [
    "the legacy signer",
    { signerName: "kubernetes.io/legacy-unknown" },
    "the legacy signerName is not allowed via this API version",
  ],
  ["too short a life", { expirationSeconds: 599 }, "may not specify a duration less than 600 seconds (10 minutes)"],
  ["no usages", { usages: [] }, "spec.usages: Required value"],
  ["nothing that is a request", { request: Buffer.from("none").toString("base64") }, "spec.request: Invalid value"],
])("a request with %s is refused", async (_, changes, message) => {
  const spec = { request: await made("/CN=x"), signerName: CLIENT, usages: ["client auth"], ...changes };
  const { status, body } = await as("kubernetes-admin", ["system:masters"], "bad", spec);
  expect([status, body.message]).toEqual([422, expect.stringContaining(message)]);
});
