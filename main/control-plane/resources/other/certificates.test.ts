import { describe, expect, test } from "vitest";
import type { KubeObject } from "../../../../common/kube/object.ts";
import { distinguishedName, generateKeys } from "../../pki/keys.ts";
import * as x509 from "../../pki/x509.ts";
import { context, definitionOf, judgeCreate } from "../testing/judge.ts";

const request = (
  await x509.Pkcs10CertificateRequestGenerator.create({
    name: distinguishedName("system:node:w1", ["system:nodes"]),
    keys: await generateKeys(),
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
  })
).toString("pem");

const csr = (spec: object = {}): KubeObject => ({
  apiVersion: "certificates.k8s.io/v1",
  kind: "CertificateSigningRequest",
  metadata: { name: "w1" },
  spec: {
    request: Buffer.from(request).toString("base64"),
    signerName: "kubernetes.io/kube-apiserver-client-kubelet",
    usages: ["digital signature", "client auth"],
    username: "system:masters",
    ...spec,
  },
});

test("who asked is who sent it, whatever was written", () => {
  const { object, problems } = judgeCreate(csr());
  expect(problems).toEqual([]);
  expect(object["spec"]).toMatchObject({ username: "ann", uid: "u1", groups: ["devs", "system:authenticated"] });
});

test.each<[object, string]>([
  [{ request: "aGVsbG8=" }, "spec.request: Invalid value"],
  [{ usages: [] }, "spec.usages: Required value"],
  [{ usages: ["flying"] }, 'spec.usages[0]: Unsupported value: "flying"'],
  [{ signerName: "me" }, "must be a fully qualified domain and path of the form 'example.com/signer-name'"],
  [
    { expirationSeconds: 60 },
    "spec.expirationSeconds: Invalid value: 60: may not specify a duration less than 600 seconds (10 minutes)",
  ],
])("%j is refused", (spec, message) => {
  expect(judgeCreate(csr(spec)).problems.join("\n")).toContain(message);
});

describe("doors", () => {
  const { object: stored } = judgeCreate(csr());
  const door = (name: string) => definitionOf(stored).subresources?.find((one) => one.name === name);
  const approved = { conditions: [{ type: "Approved", reason: "AutoApproved" }] };

  test("approval stamps its condition and says nothing of certificates", () => {
    const written = { ...structuredClone(stored), status: { ...approved, certificate: "eA==" } };
    const result = door("approval")?.prepareForUpdate?.(written, stored, context()) as KubeObject;
    expect(result["status"]).toEqual({
      conditions: [
        {
          type: "Approved",
          reason: "AutoApproved",
          status: "True",
          lastUpdateTime: "2026-01-01T00:00:00Z",
          lastTransitionTime: "2026-01-01T00:00:00Z",
        },
      ],
    });
    expect(door("approval")?.validateUpdate?.(result, stored, context())).toEqual([]);
  });

  test("a signer cannot approve, nor can an approval be taken back or contradicted", () => {
    const yes = { ...structuredClone(stored), status: approved };
    const both = { ...structuredClone(stored), status: { conditions: [{ type: "Approved" }, { type: "Denied" }] } };
    expect(door("status")?.validateUpdate?.(yes, stored, context())).toHaveLength(1);
    expect(
      door("status")?.validateUpdate?.({ ...yes, status: { ...approved, certificate: "eA==" } }, yes, context()),
    ).toEqual([]);
    expect(door("approval")?.validateUpdate?.(stored, yes, context())).toHaveLength(1);
    expect(door("approval")?.validateUpdate?.(both, stored, context())).toHaveLength(1);
  });
});
