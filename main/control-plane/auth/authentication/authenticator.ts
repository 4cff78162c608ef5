/** Who asks: a client certificate, a bearer token of one of our kinds, or nobody. */
import type { User } from "../../resources/definition.ts";
import type { Reader } from "../../resources/reader.ts";
import type { AuthenticationInput, Authenticator, Authorizer } from "../types.ts";
import { anonymous } from "../types.ts";
import { authenticateBootstrapToken, bootstrapTokenPattern } from "./bootstrap-tokens.ts";
import { impersonate } from "./impersonation.ts";
import type { ServiceAccountTokens } from "./service-account-tokens.ts";

/** Where nobody in particular is let in. */
const openPaths = /^\/(healthz|livez|readyz|version)(\/|$)/;

export interface AuthenticatorOptions {
  reader: Reader;
  tokens: ServiceAccountTokens;
  authorizer: Authorizer;
  now?: () => Date;
}

export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const { reader, tokens, authorizer } = options;
  const now = options.now ?? ((): Date => new Date());

  async function fromToken(token: string): Promise<User | undefined> {
    if (bootstrapTokenPattern.test(token)) return authenticateBootstrapToken(token, reader, now);
    return tokens.isOurs(token) ? (await tokens.verify(token))?.user : undefined;
  }

  async function identify(input: AuthenticationInput): Promise<User | undefined> {
    const certificate = input.clientCertificate;
    if (certificate?.commonName) {
      return { name: certificate.commonName, groups: [...certificate.organizations, "system:authenticated"] };
    }
    if (input.authorization) {
      const [, token] = /^Bearer +(\S+) *$/i.exec(input.authorization) ?? [];
      return token === undefined ? undefined : fromToken(token);
    }
    return openPaths.test(input.path ?? "") ? anonymous : undefined;
  }

  return {
    async authenticate(input) {
      const user = await identify(input);
      return user && input.impersonation ? impersonate(user, input.impersonation, authorizer) : user;
    },
  };
}
