/** Bootstrap tokens: Secrets of kube-system that let a new node ask for its certificate. */
import { timingSafeEqual } from "node:crypto";
import type { KubeObject } from "../../../../common/kube/object.ts";
import type { User } from "../../resources/definition.ts";
import type { Reader } from "../../resources/reader.ts";

export const bootstrapTokenPattern = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const groupPattern = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;
const namespace = "kube-system";

function field(secret: KubeObject, key: string): string {
  const value = (secret["data"] as Record<string, string> | undefined)?.[key];
  return value === undefined ? "" : Buffer.from(value, "base64").toString("utf8");
}

function equal(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}

/** The user behind "id.secret", or undefined. */
export async function authenticateBootstrapToken(
  token: string,
  reader: Reader,
  now: () => Date,
): Promise<User | undefined> {
  const [, id = "", secretPart = ""] = bootstrapTokenPattern.exec(token) ?? [];
  const name = `bootstrap-token-${id}`;
  const secret = reader.get("secrets", namespace, name) ?? (await reader.live("secrets", namespace, name));
  if (!secret || secret.metadata.deletionTimestamp !== undefined) return undefined;
  if (secret["type"] !== "bootstrap.kubernetes.io/token") return undefined;
  if (field(secret, "token-id") !== id || !equal(field(secret, "token-secret"), secretPart)) return undefined;
  if (field(secret, "usage-bootstrap-authentication") !== "true") return undefined;
  const expiration = field(secret, "expiration");
  if (expiration !== "" && !(Date.parse(expiration) > now().getTime())) return undefined;
  const extra = field(secret, "auth-extra-groups").split(",").filter(Boolean);
  if (!extra.every((group) => groupPattern.test(group))) return undefined;
  return {
    name: `system:bootstrap:${id}`,
    groups: ["system:bootstrappers", ...new Set(extra), "system:authenticated"],
  };
}
