/**
 * The cluster's keys and certificates in a folder, laid out as kubeadm's /etc/kubernetes/pki: made once,
 * read afterwards, and made again when they near their end or the server's names have changed.
 */
import { createPublicKey, X509Certificate } from "node:crypto";
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import type { KeyAndCertificate, LeafOptions } from "./keys.ts";
import { createAuthority, createLeaf, exportPrivateKey, exportPublicKey, generateKeys, yearSeconds } from "./keys.ts";

export type { KeyAndCertificate } from "./keys.ts";
export type { RequestFacts, SignOptions } from "./requests.ts";
export { peekCertificateRequest, readCertificateRequest, signCertificateRequest } from "./requests.ts";

export interface Pki {
  ca: KeyAndCertificate;
  apiserver: KeyAndCertificate;
  /** What the API server shows to kubelets. */
  kubeletClient: KeyAndCertificate;
  /** Signs what other API servers believe of who asks through us. Never the cluster's own authority. */
  frontProxyCa: KeyAndCertificate;
  /** What the API server shows to other API servers (APIService). */
  frontProxyClient: KeyAndCertificate;
  /** Signs service-account tokens. PEM. */
  serviceAccountKey: { privateKey: string; publicKey: string };
  /** The administrator's client certificate, group system:masters. */
  admin: KeyAndCertificate;
}

/** Names every API server has, whatever the machine: kubeadm's, with the loopback. */
export const commonSans = [
  "localhost",
  "kubernetes",
  "kubernetes.default",
  "kubernetes.default.svc",
  "kubernetes.default.svc.cluster.local",
  "127.0.0.1",
  "::1",
  "10.96.0.1",
];

/** The name by which other API servers know us: kubeadm's. */
export const FRONT_PROXY_CLIENT = "front-proxy-client";

/** Leaves are renewed at a start within this time of their end. */
const renewBeforeMillis = 30 * 24 * 3600 * 1000;

/**
 * Reads the PKI of `folder`, making what is missing. `sans` are added to `commonSans` (addresses by which
 * this server is reached). Throws when a file is there but broken: an authority is never replaced silently.
 */
export async function ensurePki(folder: string, sans: readonly string[] = []): Promise<Pki> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const [ca, frontProxyCa] = await Promise.all([
    authority(folder, "ca", "kubernetes"),
    authority(folder, "front-proxy-ca", "front-proxy-ca"),
  ]);
  const [apiserver, kubeletClient, admin, frontProxyClient, serviceAccountKey] = await Promise.all([
    leaf(folder, "apiserver", ca, {
      commonName: "kube-apiserver",
      sans: [...new Set([...commonSans, ...sans])],
      usages: ["server auth"],
      lifetime: yearSeconds,
    }),
    leaf(folder, "apiserver-kubelet-client", ca, {
      commonName: "kube-apiserver-kubelet-client",
      organizations: ["system:masters"],
      usages: ["client auth"],
      lifetime: yearSeconds,
    }),
    leaf(folder, "admin", ca, {
      commonName: "kubernetes-admin",
      organizations: ["system:masters"],
      usages: ["client auth"],
      lifetime: yearSeconds,
    }),
    leaf(folder, FRONT_PROXY_CLIENT, frontProxyCa, {
      commonName: FRONT_PROXY_CLIENT,
      usages: ["client auth"],
      lifetime: yearSeconds,
    }),
    tokenKey(folder),
  ]);
  return { ca, frontProxyCa, frontProxyClient, apiserver, kubeletClient, admin, serviceAccountKey };
}

async function authority(folder: string, file: string, commonName: string): Promise<KeyAndCertificate> {
  const kept = await readPair(folder, file);
  if (kept) {
    const certificate = new X509Certificate(kept.certificate);
    if (!certificate.ca) throw new Error(`${join(folder, `${file}.crt`)} is no certificate authority`);
    return kept;
  }
  const made = await createAuthority(commonName);
  await writePair(folder, file, made);
  return made;
}

async function leaf(
  folder: string,
  name: string,
  ca: KeyAndCertificate,
  options: LeafOptions,
): Promise<KeyAndCertificate> {
  const kept = await readPair(folder, name);
  if (kept && fits(kept, ca, options.sans ?? [])) return kept;
  const made = await createLeaf(ca, options);
  await writePair(folder, name, made);
  return made;
}

function fits(kept: KeyAndCertificate, ca: KeyAndCertificate, sans: readonly string[]): boolean {
  const certificate = new X509Certificate(kept.certificate);
  return (
    certificate.checkIssued(new X509Certificate(ca.certificate)) &&
    certificate.verify(createPublicKey(ca.certificate)) &&
    certificate.validToDate.getTime() - renewBeforeMillis > Date.now() &&
    sans.every((san) => certificate.checkHost(san) !== undefined || certificate.checkIP(san) !== undefined)
  );
}

async function tokenKey(folder: string): Promise<Pki["serviceAccountKey"]> {
  const privateKey = await readIfThere(join(folder, "sa.key"));
  if (privateKey !== undefined) {
    return { privateKey, publicKey: createPublicKey(privateKey).export({ type: "spki", format: "pem" }).toString() };
  }
  const keys = await generateKeys();
  const made = { privateKey: await exportPrivateKey(keys), publicKey: await exportPublicKey(keys) };
  await writeWhole(join(folder, "sa.pub"), made.publicKey, 0o644);
  await writeWhole(join(folder, "sa.key"), made.privateKey, 0o600);
  return made;
}

async function readPair(folder: string, name: string): Promise<KeyAndCertificate | undefined> {
  const [certificate, key] = await Promise.all([
    readIfThere(join(folder, `${name}.crt`)),
    readIfThere(join(folder, `${name}.key`)),
  ]);
  return certificate === undefined || key === undefined ? undefined : { certificate, key };
}

/** The certificate last: a pair that was cut short has no certificate and is made again. */
async function writePair(folder: string, name: string, pair: KeyAndCertificate): Promise<void> {
  await writeWhole(join(folder, `${name}.key`), pair.key, 0o600);
  await writeWhole(join(folder, `${name}.crt`), pair.certificate, 0o644);
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Whole or not at all: written beside, flushed, renamed. */
async function writeWhole(path: string, content: string, mode: number): Promise<void> {
  const beside = `${path}.new`;
  const file = await open(beside, "w", mode);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(beside, path);
}
