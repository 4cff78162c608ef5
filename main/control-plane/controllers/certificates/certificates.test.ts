import { X509Certificate, webcrypto } from "node:crypto";
import { expect, test } from "vitest";
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { CertificateSigningRequest, Node } from "../../../../common/kube/types.ts";
import { pem } from "../../pki/keys.ts";
import type { RequestFacts } from "../../pki/requests.ts";
import * as x509 from "../../pki/x509.ts";
import { FakeClient } from "../../testing/fake-client.ts";
import { pkiForTests } from "../../testing/pki.ts";
import { VirtualClock } from "../../testing/virtual-clock.ts";
import { startControllers } from "../index.ts";
import { kinds } from "../kernel/kinds.ts";
import { CLIENT_KUBELET, KUBELET_SERVING, decideApproval } from "./approve.ts";

const pki = pkiForTests();

const facts = (over: Partial<RequestFacts> = {}): RequestFacts => ({
  commonName: "system:node:w1",
  organizations: ["system:nodes"],
  dnsNames: [],
  ipAddresses: [],
  emailAddresses: [],
  uris: [],
  ...over,
});
const node: Node = {
  apiVersion: "v1",
  kind: "Node",
  metadata: { name: "w1" },
  status: { addresses: [{ type: "InternalIP", address: "10.240.0.21" }] },
};
const client = { signerName: CLIENT_KUBELET, usages: ["digital signature", "client auth"], request: "" };
const serving = {
  signerName: KUBELET_SERVING,
  usages: ["digital signature", "server auth"],
  request: "",
  username: "system:node:w1",
  groups: ["system:nodes"],
};
const bootstrapper = { username: "system:bootstrap:abcdef", groups: ["system:bootstrappers"] };

test.each<[string, object, Partial<RequestFacts>, string]>([
  ["a bootstrapper's first certificate", { ...client, ...bootstrapper }, {}, "approved"],
  ["a node's renewal", { ...client, username: "system:node:w1", groups: ["system:nodes"] }, {}, "approved"],
  ["a node asking for another's", { ...client, username: "system:node:w2", groups: ["system:nodes"] }, {}, "refused"],
  ["a stranger", { ...client, username: "eve", groups: ["system:authenticated"] }, {}, "refused"],
  [
    "an administrator's name in the request",
    { ...client, ...bootstrapper },
    { organizations: ["system:masters"] },
    "refused",
  ],
  ["host names in a client certificate", { ...client, ...bootstrapper }, { dnsNames: ["kubernetes"] }, "refused"],
  ["server usage in a client certificate", { ...client, ...bootstrapper, usages: ["server auth"] }, {}, "refused"],
  [
    "a serving certificate for its own address",
    serving,
    { ipAddresses: ["10.240.0.21"], dnsNames: ["w1"] },
    "approved",
  ],
  ["one for a foreign address", serving, { ipAddresses: ["10.0.2.2"] }, "later"],
  ["one for no name at all", serving, {}, "refused"],
  [
    "one for a node that has not registered",
    { ...serving, username: "system:node:w9" },
    { commonName: "system:node:w9", ipAddresses: ["10.240.0.29"] },
    "later",
  ],
  ["another signer", { ...client, ...bootstrapper, signerName: "example.com/mine" }, {}, "refused"],
])("%s is %s", (_what, spec, over, expected) => {
  const decision = decideApproval(spec as CertificateSigningRequest["spec"], facts(over), (name) =>
    name === "w1" ? node : undefined,
  );
  expect("wait" in decision ? "later" : decision.approve ? "approved" : "refused").toBe(expected);
});

test("a bootstrapper's request is approved, signed and, an hour later, cleared away; a doubtful one waits for people", async () => {
  const clock = new VirtualClock(Date.now());
  const api = new FakeClient({ clock });
  const keys = await webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  const request = async (subject: string): Promise<string> => {
    const made = await x509.Pkcs10CertificateRequestGenerator.create(
      { name: subject, keys, signingAlgorithm: { name: "ECDSA", hash: "SHA-256" } } as never,
      webcrypto as never,
    );
    return btoa(pem("CERTIFICATE REQUEST", made.rawData));
  };
  const put = async (name: string, subject: string): Promise<void> => {
    api.put<KubeObject>(kinds.certificateSigningRequests, {
      apiVersion: "certificates.k8s.io/v1",
      kind: "CertificateSigningRequest",
      metadata: { name },
      spec: { ...client, ...bootstrapper, request: await request(subject) },
    });
  };
  await put("good", "CN=system:node:w1, O=system:nodes");
  await put("doubtful", "CN=admin, O=system:masters");
  const controllers = startControllers({
    client: api,
    clock,
    ca: pki().ca,
    resources: () => [],
    only: ["certificate-controller"],
  });
  const find = (name: string): CertificateSigningRequest | undefined =>
    api.all<CertificateSigningRequest>(kinds.certificateSigningRequests).find(({ metadata }) => metadata.name === name);
  await expect
    .poll(async () => {
      await clock.advance(100);
      return find("good")?.status?.certificate;
    })
    .toBeDefined();
  const certificate = new X509Certificate(atob(find("good")?.status?.certificate ?? ""));
  expect(certificate.subject.split("\n").toSorted()).toEqual(["CN=system:node:w1", "O=system:nodes"]);
  expect(certificate.verify(new X509Certificate(pki().ca.certificate).publicKey)).toBe(true);
  expect(find("good")?.status?.conditions).toMatchObject([
    { type: "Approved", status: "True", reason: "AutoApproved" },
  ]);
  expect(find("doubtful")?.status).toBeUndefined();
  await clock.advance(3_700_000);
  expect([find("good"), find("doubtful")].map((one) => one?.metadata.name)).toEqual([undefined, "doubtful"]);
  await clock.advance(24 * 3_600_000);
  expect(find("doubtful")).toBeUndefined();
  await controllers.stop();
});
