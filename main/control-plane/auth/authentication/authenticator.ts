/** Who asks: a client certificate, a bearer token of one of our kinds, or nobody. */
import type { User } from "../../resources/definition.ts";
import type { Reader } from "../../resources/reader.ts";
import type { AuthenticationInput, Authenticator, Authorizer } from "../types.ts";
import { anonymous } from "../types.ts";
import { authenticateBootstrapToken, bootstrapTokenPattern } from "./bootstrap-tokens.ts";
import { impersonate } from "./impersonation.ts";
import type { ServiceAccountTokens } from "./service-account-tokens.ts";

/** Says which credential somebody came with. */
const CREDENTIAL_ID = "authentication.kubernetes.io/credential-id";

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
      return {
        name: certificate.commonName,
        groups: [...certificate.organizations, "system:authenticated"],
        ...(certificate.sha256 ? { extra: { [CREDENTIAL_ID]: [`X509SHA256=${certificate.sha256}`] } } : {}),
      };
    }
    // Any other scheme is nothing that we would know of, and so is no scheme.
    const [, token] = /^Bearer +(\S+) *$/i.exec(input.authorization ?? "") ?? [];
    if (token !== undefined) return fromToken(token);
    // What nobody in particular may do is for authorization to say.
    return input.badCertificate ? undefined : anonymous;
  }

  return {
    async authenticate(input) {
      const user = await identify(input);
      return user && input.impersonation ? impersonate(user, input.impersonation, authorizer) : user;
    },
  };
}
