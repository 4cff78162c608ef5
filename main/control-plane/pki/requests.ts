/** PKCS #10 certificate requests: read for approval, signed by the cluster's authority. */
import * as x509 from "./x509.ts";
import type { KeyAndCertificate } from "./keys.ts";
import { fromPem, signCertificate, yearSeconds } from "./keys.ts";

/** What a certificate request asks for, in plain words. */
export interface RequestFacts {
  commonName: string;
  organizations: string[];
  dnsNames: string[];
  ipAddresses: string[];
  emailAddresses: string[];
  uris: string[];
}

export interface SignOptions {
  /** The CSR object's usages; "server auth" and "client auth" become extended key usages. */
  usages: readonly string[];
  /** Default one year; at least 600, as for spec.expirationSeconds. Never beyond the authority's own end. */
  expirationSeconds?: number | undefined;
  now?: Date;
}

const parse = (csrPem: string): x509.Pkcs10CertificateRequest =>
  new x509.Pkcs10CertificateRequest(
    fromPem(/-----BEGIN NEW CERT/.test(csrPem) ? "NEW CERTIFICATE REQUEST" : "CERTIFICATE REQUEST", csrPem),
  );

/** Throws when the PEM is no certificate request or its signature does not fit its key. */
export async function readCertificateRequest(csrPem: string): Promise<RequestFacts> {
  const request = parse(csrPem);
  if (!(await request.verify())) throw new Error("the certificate request's signature does not match its public key");
  return factsOf(request);
}

/** As readCertificateRequest, without the signature check: cheap and synchronous. */
export function peekCertificateRequest(csrPem: string): RequestFacts {
  return factsOf(parse(csrPem));
}

function factsOf(request: x509.Pkcs10CertificateRequest): RequestFacts {
  const subject = request.subjectName;
  const names = request.extensions.find((extension) => extension instanceof x509.SubjectAlternativeNameExtension);
  const of = (type: x509.GeneralNameType): string[] =>
    (names?.names.items ?? []).filter((item) => item.type === type).map((item) => item.value);
  return {
    commonName: subject.getField("CN")[0] ?? "",
    organizations: subject.getField("O"),
    dnsNames: of("dns"),
    ipAddresses: of("ip"),
    emailAddresses: of("email"),
    uris: of("url"),
  };
}

/** Signs what the request asks for; returns the certificate as PEM. Throws on a malformed request. */
export async function signCertificateRequest(
  authority: KeyAndCertificate,
  csrPem: string,
  options: SignOptions,
): Promise<string> {
  const request = parse(csrPem);
  if (!(await request.verify())) throw new Error("the certificate request's signature does not match its public key");
  const facts = factsOf(request);
  return signCertificate(authority, request.publicKey, {
    subject: request.subjectName.toJSON(),
    sans: [...facts.dnsNames, ...facts.ipAddresses],
    usages: (["server auth", "client auth"] as const).filter((usage) => options.usages.includes(usage)),
    lifetime: Math.max(600, options.expirationSeconds ?? yearSeconds),
    ...(options.now ? { now: options.now } : {}),
  });
}
