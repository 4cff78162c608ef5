/** A certificate signed by its own key, for the rehearsal's server. Nothing outside this process ever trusts it. */
import { createPublicKey, createSign } from "node:crypto";
import { bitString, context, der, integer, objectIdentifier, octetString, sequence, set, utf8String } from "./der.ts";

const COMMON_NAME = "2.5.4.3";
const SUBJECT_ALT_NAME = "2.5.29.17";
const ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2";

function utcTime(milliseconds: number): Buffer {
  return der(0x17, Buffer.from(`${new Date(milliseconds).toISOString().replaceAll(/[-:T]/g, "").slice(2, 14)}Z`));
}

/** PEM, good for ten days around now, for 127.0.0.1. */
export function selfSigned(commonName: string, privateKey: string): string {
  const name = sequence(set(sequence(objectIdentifier(COMMON_NAME), utf8String(commonName))));
  const algorithm = sequence(objectIdentifier(ECDSA_WITH_SHA256));
  const names = sequence(context(7, false, Buffer.from([127, 0, 0, 1])));
  const extensions = sequence(sequence(objectIdentifier(SUBJECT_ALT_NAME), octetString(names)));
  const day = 86_400_000;
  const body = sequence(
    context(0, true, integer(2)),
    integer(1),
    algorithm,
    name,
    sequence(utcTime(Date.now() - 5 * day), utcTime(Date.now() + 5 * day)),
    name,
    createPublicKey(privateKey).export({ type: "spki", format: "der" }) as Buffer,
    context(3, true, extensions),
  );
  const certificate = sequence(body, algorithm, bitString(createSign("sha256").update(body).sign(privateKey)));
  return `-----BEGIN CERTIFICATE-----\n${(certificate.toString("base64").match(/.{1,64}/g) ?? []).join("\n")}\n-----END CERTIFICATE-----\n`;
}
