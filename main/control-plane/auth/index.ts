/** Authentication and authorization, put together: Node first, then RBAC. */
import type { User } from "../resources/definition.ts";
import type { Reader } from "../resources/reader.ts";
import { createAuthenticator } from "./authentication/authenticator.ts";
import { ServiceAccountTokens } from "./authentication/service-account-tokens.ts";
import { authorizeNode } from "./node-authorizer.ts";
import { RbacAuthorizer } from "./rbac/authorizer.ts";
import type { Attributes, Authenticator, Authorizer, Decision } from "./types.ts";

export { forbiddenError, forbiddenMessage } from "./forbidden.ts";
export { RbacAuthorizer } from "./rbac/authorizer.ts";
export { ServiceAccountTokens } from "./authentication/service-account-tokens.ts";
export type { Attributes, Authenticator, Authorizer, Decision, Impersonation } from "./types.ts";
export { anonymous, superusers } from "./types.ts";

export interface AuthOptions {
  reader: Reader;
  /** PEM. */
  serviceAccountKey: { privateKey: string };
  issuer?: string;
  now?: () => Date;
}

export interface Auth {
  authenticator: Authenticator;
  authorizer: Authorizer;
  /** As the authorizer, without the promise. */
  decide(user: User, attributes: Attributes): Decision;
  rbac: RbacAuthorizer;
  tokens: ServiceAccountTokens;
}

export async function createAuth(options: AuthOptions): Promise<Auth> {
  const { reader, serviceAccountKey, issuer, now } = options;
  const tokens = await ServiceAccountTokens.create(serviceAccountKey.privateKey, {
    reader,
    ...(issuer ? { issuer } : {}),
    ...(now ? { now } : {}),
  });
  const rbac = new RbacAuthorizer(reader);
  const decide = (user: User, attributes: Attributes): Decision => {
    const node = authorizeNode(user, attributes, reader);
    if (node?.allowed) return node;
    const decision = rbac.decide(user, attributes);
    return decision.allowed || !node ? decision : { allowed: false, reason: node.reason };
  };
  const authorizer: Authorizer = { authorize: async (user, attributes) => decide(user, attributes) };
  const authenticator = createAuthenticator({ reader, tokens, authorizer, ...(now ? { now } : {}) });
  return { authenticator, authorizer, decide, rbac, tokens };
}
