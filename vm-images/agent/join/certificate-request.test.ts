import "reflect-metadata";
import { Pkcs10CertificateRequest, SubjectAlternativeNameExtension } from "@peculiar/x509";
import { describe, expect, it } from "vitest";
import { certificateRequest, newPrivateKey } from "./certificate-request.ts";

describe("certificateRequest", () => {
  it("is read and verified by another implementation", async () => {
    const pem = certificateRequest(
      {
        commonName: "system:node:drydock-worker-1",
        organizations: ["system:nodes"],
        dnsNames: ["drydock-worker-1"],
        addresses: ["10.240.0.21"],
      },
      newPrivateKey(),
    );
    const request = new Pkcs10CertificateRequest(pem);
    expect(await request.verify()).toBe(true);
    expect(request.subject).toBe("O=system:nodes, CN=system:node:drydock-worker-1");
    const extension = request.getExtension("2.5.29.17");
    const names = new SubjectAlternativeNameExtension(extension?.rawData ?? new ArrayBuffer(0)).names.items.map(
      ({ type, value }) => `${type} ${value}`,
    );
    expect(names).toEqual(["dns drydock-worker-1", "ip 10.240.0.21"]);
  });

  it("leaves the alternative names out where there are none", async () => {
    const request = new Pkcs10CertificateRequest(
      certificateRequest({ commonName: "system:node:a", organizations: ["system:nodes"] }, newPrivateKey()),
    );
    expect(await request.verify()).toBe(true);
    expect(request.attributes).toHaveLength(0);
  });
});
