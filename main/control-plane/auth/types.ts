/** Who asks and what they ask for, as authentication and authorization see it. */
import type { User } from "../resources/definition.ts";

export interface AuthenticationInput {
  /** The subject of a client certificate that the TLS layer has verified against the cluster's CA. */
  clientCertificate?: { commonName: string; organizations: string[]; sha256?: string };
  /** There is a client certificate of another authority: who has no other credentials is refused. */
  badCertificate?: boolean;
  /** The Authorization header. */
  authorization?: string;
  /** The Impersonate-* headers, where there are any. */
  impersonation?: Impersonation;
}

export interface Impersonation {
  user: string;
  groups: string[];
  uid?: string;
  extra: Record<string, string[]>;
}

export interface Authenticator {
  /**
   * The user, nobody in particular where there are no credentials; undefined where the answer must be 401: bad ones.
   * Throws StatusError Forbidden when the user may not impersonate.
   */
  authenticate(input: AuthenticationInput): Promise<User | undefined>;
}

export interface Attributes {
  /** get, list, watch, create, update, patch, delete, deletecollection; for other paths the HTTP method in lower case. */
  verb: string;
  group?: string;
  version?: string;
  resource?: string;
  subresource?: string;
  namespace?: string;
  name?: string;
  /** What a list, a watch or a deletion of many is limited to by its field selector: fields that must equal a value. */
  fields?: readonly FieldValue[];
  /** "/healthz": set for requests that are not about a resource; then all others but verb are absent. */
  nonResourcePath?: string;
}

export interface FieldValue {
  field: string;
  value: string;
}

export interface Decision {
  allowed: boolean;
  /** Why; empty when nothing allowed it. */
  reason: string;
}

export interface Authorizer {
  authorize(user: User, attributes: Attributes): Promise<Decision>;
}

export const anonymous: User = { name: "system:anonymous", groups: ["system:unauthenticated"] };
export const superusers = "system:masters";
