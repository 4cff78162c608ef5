/**
 * How a node becomes a member, the way Kubernetes' own TLS bootstrapping does: a bootstrap token is good for one
 * certificate request; the signed client certificate for everything else, the serving certificate included.
 * Keys are made here and never leave the node; they are kept, so that a reboot needs no token.
 */
import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import type { Client } from "../../../common/kube/client.ts";
import type { CertificateSigningRequest } from "../../../common/kube/types.ts";
import { sleep } from "../command.ts";
import { readJson, writeDurably } from "../durable.ts";
import { certificateRequest, newPrivateKey } from "./certificate-request.ts";
import type { Subject } from "./certificate-request.ts";

const CSR = { group: "certificates.k8s.io", version: "v1", resource: "certificatesigningrequests" };
const DEADLINE = 120_000;
/** A certificate is renewed when this part of its life is over. */
const RENEW_AT = 0.8;

export interface KeyPair {
  certificate: string;
  key: string;
}

export class CertificateStore {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** undefined when there is none, or it is of another subject, or its life is nearly over. */
  async load(name: string, isRight: (certificate: X509Certificate) => boolean): Promise<KeyPair | undefined> {
    // A damaged one is as good as none: another is asked for.
    const pair = await readJson<KeyPair>(join(this.#folder, `${name}.pem`), () => undefined);
    if (!pair) return undefined;
    const certificate = new X509Certificate(pair.certificate);
    return isRight(certificate) && Date.now() < renewalTime(pair.certificate) ? pair : undefined;
  }

  async save(name: string, pair: KeyPair): Promise<void> {
    await writeDurably(join(this.#folder, `${name}.pem`), JSON.stringify(pair));
  }
}

/** Unix milliseconds. */
export function renewalTime(certificate: string): number {
  const { validFrom, validTo } = new X509Certificate(certificate);
  const from = Date.parse(validFrom);
  return from + (Date.parse(validTo) - from) * RENEW_AT;
}

/** Asks for a certificate and waits for it: a watch on the one request, so that it is there as soon as it is signed. */
export async function requestCertificate(
  client: Client,
  signerName: string,
  usages: string[],
  subject: Subject,
  key: string,
  signal: AbortSignal,
): Promise<KeyPair> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(DEADLINE)]);
  const request = Buffer.from(certificateRequest(subject, key)).toString("base64");
  const created = await client.create<CertificateSigningRequest>(
    { ...CSR, name: "" },
    {
      apiVersion: "certificates.k8s.io/v1",
      kind: "CertificateSigningRequest",
      metadata: { generateName: "node-csr-" },
      spec: { request, signerName, usages },
    },
    { signal: deadline },
  );
  const name = created.metadata.name ?? "";
  let revision = created.metadata.resourceVersion;
  let current = created;
  for (;;) {
    const { certificate, conditions } = current.status ?? {};
    if (certificate) return { certificate: Buffer.from(certificate as string, "base64").toString(), key };
    const refused = conditions?.find(({ type }) => type === "Denied" || type === "Failed");
    if (refused) throw new Error(`certificate request ${name} was refused: ${refused.type} ${refused.message ?? ""}`);
    const next = await nextVersion(client, name, revision, deadline);
    if (next) {
      current = next;
      revision = next.metadata.resourceVersion;
      continue;
    }
    if (deadline.aborted) throw new Error(`certificate request ${name} was not signed within ${DEADLINE / 1000} s`);
    await sleep(300, deadline);
    current = await client.get<CertificateSigningRequest>({ ...CSR, name }, { signal: deadline });
    revision = current.metadata.resourceVersion;
  }
}

/** The object's next version after `revision`; undefined when the watch ended without one. */
async function nextVersion(
  client: Client,
  name: string,
  revision: string | undefined,
  signal: AbortSignal,
): Promise<CertificateSigningRequest | undefined> {
  try {
    const options = {
      fieldSelector: `metadata.name=${name}`,
      ...(revision ? { resourceVersion: revision } : {}),
      timeoutSeconds: 60,
      signal,
    };
    for await (const event of client.watch<CertificateSigningRequest>(CSR, options)) {
      if (event.type === "ADDED" || event.type === "MODIFIED") return event.object;
    }
  } catch {
    // The bootstrap user may not be allowed to watch: the caller asks again instead.
  }
  return undefined;
}

export const CLIENT_SIGNER = {
  name: "kubernetes.io/kube-apiserver-client-kubelet",
  usages: ["digital signature", "client auth"],
};
export const SERVING_SIGNER = { name: "kubernetes.io/kubelet-serving", usages: ["digital signature", "server auth"] };

export function nodeSubject(nodeName: string): Subject {
  return { commonName: `system:node:${nodeName}`, organizations: ["system:nodes"] };
}

export { newPrivateKey };
