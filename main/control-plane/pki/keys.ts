/** Keys and certificates with @peculiar/x509 on Node's own WebCrypto: ECDSA P-256 throughout, quick to make. */
import { webcrypto } from "node:crypto";
import * as x509 from "./x509.ts";

x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0]);

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** A key with its certificate, both PEM. */
export interface KeyAndCertificate {
  certificate: string;
  key: string;
}

export interface LeafOptions {
  commonName: string;
  organizations?: string[];
  /** Host names and IP addresses. */
  sans?: string[];
  usages: ("server auth" | "client auth")[];
  /** Seconds. */
  lifetime: number;
}

/** Back-dated, so that a node whose clock is a little behind accepts it. */
const backdateMillis = 5 * 60_000;
export const yearSeconds = 365 * 24 * 3600;

export function pem(label: string, der: ArrayBuffer): string {
  const base64 = Buffer.from(der)
    .toString("base64")
    .replaceAll(/(.{64})(?!$)/g, "$1\n");
  return `-----BEGIN ${label}-----\n${base64}\n-----END ${label}-----\n`;
}

/** The bytes of the first PEM block with this label; throws when there is none. */
export function fromPem(label: string, text: string): Uint8Array<ArrayBuffer> {
  const match = new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]+)-----END ${label}-----`).exec(text);
  if (!match) throw new Error(`PEM block type must be ${label}`);
  return Uint8Array.from(Buffer.from(match[1] as string, "base64"));
}

export async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
}

export async function exportPrivateKey(keys: webcrypto.CryptoKeyPair): Promise<string> {
  return pem("PRIVATE KEY", (await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)) as ArrayBuffer);
}

export async function exportPublicKey(keys: webcrypto.CryptoKeyPair): Promise<string> {
  return pem("PUBLIC KEY", (await webcrypto.subtle.exportKey("spki", keys.publicKey)) as ArrayBuffer);
}

async function importPrivateKey(key: string): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey("pkcs8", fromPem("PRIVATE KEY", key), algorithm, false, [
    "sign",
  ]) as Promise<webcrypto.CryptoKey>;
}

/** A positive random serial number of 16 bytes, in hex. */
function serialNumber(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] as number) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString("hex");
}

const isAddress = (san: string): boolean => /^[\d.]+$/.test(san) || san.includes(":");

export function distinguishedName(commonName: string, organizations: string[] = []): x509.JsonName {
  return [...organizations.map((organization) => ({ O: [organization] })), { CN: [commonName] }];
}

export async function createAuthority(commonName: string, lifetime = 10 * yearSeconds): Promise<KeyAndCertificate> {
  const keys = await generateKeys();
  const now = Date.now();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: distinguishedName(commonName),
    notBefore: new Date(now - backdateMillis),
    notAfter: new Date(now + lifetime * 1000),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign | x509.KeyUsageFlags.digitalSignature,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: `${certificate.toString("pem")}\n`, key: await exportPrivateKey(keys) };
}

const usageOids = { "server auth": x509.ExtendedKeyUsage.serverAuth, "client auth": x509.ExtendedKeyUsage.clientAuth };

/** Signs a certificate over `publicKey`; returns its PEM. */
export async function signCertificate(
  authority: KeyAndCertificate,
  publicKey: x509.PublicKeyType,
  options: Omit<LeafOptions, "commonName" | "organizations"> & { subject: string | x509.JsonName; now?: Date },
): Promise<string> {
  const issuer = new x509.X509Certificate(authority.certificate);
  const now = (options.now ?? new Date()).getTime();
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: options.subject,
    issuer: issuer.subject,
    notBefore: new Date(now - backdateMillis),
    notAfter: new Date(Math.min(now + options.lifetime * 1000, issuer.notAfter.getTime())),
    signingAlgorithm: algorithm,
    signingKey: await importPrivateKey(authority.key),
    publicKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment, true),
      new x509.ExtendedKeyUsageExtension(options.usages.map((usage) => usageOids[usage])),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      ...(options.sans?.length
        ? [
            new x509.SubjectAlternativeNameExtension(
              options.sans.map((san) => ({ type: isAddress(san) ? "ip" : "dns", value: san })),
            ),
          ]
        : []),
    ],
  });
  return `${certificate.toString("pem")}\n`;
}

/** A new key and its certificate, signed by `authority`. */
export async function createLeaf(authority: KeyAndCertificate, options: LeafOptions): Promise<KeyAndCertificate> {
  const keys = await generateKeys();
  const certificate = await signCertificate(authority, keys.publicKey, {
    ...options,
    subject: distinguishedName(options.commonName, options.organizations),
  });
  return { certificate, key: await exportPrivateKey(keys) };
}
