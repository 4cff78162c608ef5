/** A PKCS#10 certificate request (RFC 2986) for an ECDSA P-256 key, written by hand: a library for it would weigh more than the agent. */
import { createPublicKey, createSign, generateKeyPairSync } from "node:crypto";
import { bitString, context, integer, objectIdentifier, octetString, sequence, set, utf8String } from "./der.ts";

const COMMON_NAME = "2.5.4.3";
const ORGANIZATION = "2.5.4.10";
const EXTENSION_REQUEST = "1.2.840.113549.1.9.14";
const SUBJECT_ALT_NAME = "2.5.29.17";
const ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2";

export interface Subject {
  commonName: string;
  organizations: string[];
  dnsNames?: string[];
  /** IPv4. */
  addresses?: string[];
}

/** PEM, PKCS#8. */
export function newPrivateKey(): string {
  return generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({
    type: "pkcs8",
    format: "pem",
  }) as string;
}

function attribute(type: string, value: string): Buffer {
  return set(sequence(objectIdentifier(type), utf8String(value)));
}

/** PEM of a request for `subject`, signed with the private key (PEM). */
export function certificateRequest(subject: Subject, privateKey: string): string {
  const publicKey = createPublicKey(privateKey).export({ type: "spki", format: "der" }) as Buffer;
  const name = sequence(
    ...subject.organizations.map((organization) => attribute(ORGANIZATION, organization)),
    attribute(COMMON_NAME, subject.commonName),
  );
  const names = [
    ...(subject.dnsNames ?? []).map((dns) => context(2, false, Buffer.from(dns))),
    ...(subject.addresses ?? []).map((address) => context(7, false, Buffer.from(address.split(".").map(Number)))),
  ];
  const attributes =
    names.length === 0
      ? Buffer.alloc(0)
      : sequence(
          objectIdentifier(EXTENSION_REQUEST),
          set(sequence(sequence(objectIdentifier(SUBJECT_ALT_NAME), octetString(sequence(...names))))),
        );
  const info = sequence(integer(0), name, publicKey, context(0, true, attributes));
  const signature = createSign("sha256").update(info).sign(privateKey);
  const request = sequence(info, sequence(objectIdentifier(ECDSA_WITH_SHA256)), bitString(signature));
  const lines = request.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE REQUEST-----\n${lines.join("\n")}\n-----END CERTIFICATE REQUEST-----\n`;
}
