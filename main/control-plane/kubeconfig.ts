/** The administrator's kubeconfig: everything in one file, readable by its owner alone. */
import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Pki } from "./pki/index.ts";

const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** Written beside and renamed: whoever reads it sees it whole. */
export async function writeKubeconfig(file: string, pki: Pki, server: string): Promise<void> {
  const text = `apiVersion: v1
kind: Config
clusters:
- name: drydock
  cluster:
    server: ${server}
    certificate-authority-data: ${base64(pki.ca.certificate)}
users:
- name: drydock-admin
  user:
    client-certificate-data: ${base64(pki.admin.certificate)}
    client-key-data: ${base64(pki.admin.key)}
contexts:
- name: drydock
  context:
    cluster: drydock
    user: drydock-admin
current-context: drydock
`;
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const beside = `${file}.new`;
  await writeFile(beside, text, { mode: 0o600 });
  await rename(beside, file);
}
