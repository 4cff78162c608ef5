import { X509Certificate } from "node:crypto";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as x509 from "./x509.ts";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ensurePki, readCertificateRequest, signCertificateRequest } from "./index.ts";
import { distinguishedName, generateKeys } from "./keys.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pki-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function request(commonName: string, organizations: string[], sans: x509.JsonGeneralNames): Promise<string> {
  const keys = await generateKeys();
  const made = await x509.Pkcs10CertificateRequestGenerator.create({
    name: distinguishedName(commonName, organizations),
    keys,
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    extensions: sans.length > 0 ? [new x509.SubjectAlternativeNameExtension(sans)] : [],
  });
  return made.toString("pem");
}

test("is made once, read afterwards, private keys for the owner only", async () => {
  const first = await ensurePki(folder, ["10.0.2.2"]);
  const second = await ensurePki(folder, ["10.0.2.2"]);
  expect(second).toEqual(first);
  expect((await stat(join(folder, "ca.key"))).mode & 0o777).toBe(0o600);
  const server = new X509Certificate(first.apiserver.certificate);
  expect(server.checkIP("10.0.2.2")).toBe("10.0.2.2");
  expect(server.checkHost("kubernetes.default.svc")).toBe("kubernetes.default.svc");
  expect(server.checkIssued(new X509Certificate(first.ca.certificate))).toBe(true);
  expect(new X509Certificate(first.admin.certificate).subject.split("\n")).toEqual([
    "O=system:masters",
    "CN=kubernetes-admin",
  ]);
});

test("a new address gets a new server certificate from the same authority", async () => {
  const first = await ensurePki(folder);
  const second = await ensurePki(folder, ["192.168.7.7"]);
  expect(second.ca).toEqual(first.ca);
  expect(second.admin).toEqual(first.admin);
  expect(second.apiserver).not.toEqual(first.apiserver);
  expect(new X509Certificate(second.apiserver.certificate).checkIP("192.168.7.7")).toBe("192.168.7.7");
});

test("a broken authority is an error, not a new authority", async () => {
  await ensurePki(folder);
  await writeFile(join(folder, "ca.crt"), "not a certificate");
  await expect(ensurePki(folder)).rejects.toThrow(/PEM|no start line|asn1/i);
  expect(await readFile(join(folder, "ca.crt"), "utf8")).toBe("not a certificate");
});

test("signs a node's requests", async () => {
  const { ca } = await ensurePki(folder);
  const csr = await request(
    "system:node:w1",
    ["system:nodes"],
    [
      { type: "dns", value: "w1" },
      { type: "ip", value: "10.240.0.21" },
    ],
  );
  expect(await readCertificateRequest(csr)).toEqual({
    commonName: "system:node:w1",
    organizations: ["system:nodes"],
    dnsNames: ["w1"],
    ipAddresses: ["10.240.0.21"],
    emailAddresses: [],
    uris: [],
  });
  const signed = await signCertificateRequest(ca, csr, {
    usages: ["digital signature", "key encipherment", "server auth"],
    expirationSeconds: 3600,
  });
  const certificate = new X509Certificate(signed);
  expect(certificate.subject.split("\n")).toEqual(["O=system:nodes", "CN=system:node:w1"]);
  expect(certificate.checkIP("10.240.0.21")).toBe("10.240.0.21");
  expect(certificate.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
  const left = certificate.validToDate.getTime() - Date.now();
  expect(left).toBeGreaterThan(3000_000);
  expect(left).toBeLessThanOrEqual(3600_000);
});

test("what is no request is refused", async () => {
  const { ca } = await ensurePki(folder);
  await expect(signCertificateRequest(ca, "hello", { usages: [] })).rejects.toThrow(
    "PEM block type must be CERTIFICATE REQUEST",
  );
});
