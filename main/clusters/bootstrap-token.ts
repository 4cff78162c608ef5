/**
 * One-time bootstrap tokens: Secrets of type bootstrap.kubernetes.io/token in kube-system, with which a
 * new node may ask for its first certificate and nothing else (Kubernetes TLS bootstrapping).
 */
import { randomBytes } from "node:crypto";
import { isStatus } from "../../common/kube/status.ts";
import type { KubeApi } from "./kube-api.ts";
import { requestJSON } from "./watch.ts";

export interface BootstrapToken {
  id: string;
  /** "id.secret", as the node presents it. */
  token: string;
}

const SECRETS = "/api/v1/namespaces/kube-system/secrets";
const LIFE_MILLIS = 30 * 60_000;

export async function createBootstrapToken(
  api: KubeApi,
  nodeName: string,
  signal?: AbortSignal,
): Promise<BootstrapToken> {
  const id = randomText(6);
  const secret = randomText(16);
  await requestJSON(
    api,
    "POST",
    SECRETS,
    {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: `bootstrap-token-${id}`, namespace: "kube-system" },
      type: "bootstrap.kubernetes.io/token",
      stringData: {
        description: `lets ${nodeName} join once`,
        "token-id": id,
        "token-secret": secret,
        expiration: new Date(Date.now() + LIFE_MILLIS).toISOString().replace(/\.\d+Z$/, "Z"),
        "usage-bootstrap-authentication": "true",
        "usage-bootstrap-signing": "false",
        "auth-extra-groups": "system:bootstrappers:drydock:default-node-token",
      },
    },
    signal,
  );
  return { id, token: `${id}.${secret}` };
}

/** Gone already is as good. */
export async function deleteBootstrapToken(api: KubeApi, id: string): Promise<void> {
  try {
    await requestJSON(api, "DELETE", `${SECRETS}/bootstrap-token-${id}`);
  } catch (error) {
    if (!isStatus(error, "NotFound")) throw error;
  }
}

/** Lower-case letters and digits, every one equally likely (bytes over 251 are drawn again). */
function randomText(length: number): string {
  const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
  let text = "";
  while (text.length < length) {
    for (const byte of randomBytes(length)) {
      if (byte < 252 && text.length < length) text += alphabet[byte % alphabet.length];
    }
  }
  return text;
}
