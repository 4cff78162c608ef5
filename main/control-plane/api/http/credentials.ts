/** Who a request says that it is of: its client certificate, its token, and whom it would act as. */
import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";
import { StatusError } from "../../../../common/kube/status.ts";
import type { AuthenticationInput, Impersonation } from "../../auth/types.ts";

/** What a connection's certificate says; "bad" where it is not of our authority. */
type Presented = AuthenticationInput["clientCertificate"] | "bad";

const certificates = new WeakMap<object, Presented>();

/** The subject of the client certificate; read once a connection. */
function certificateOf(socket: TLSSocket): Presented {
  if (certificates.has(socket)) return certificates.get(socket);
  let found: Presented;
  const { subject, fingerprint256 } = socket.getPeerCertificate();
  if (subject && !socket.authorized) found = "bad";
  else if (subject?.CN) {
    const organizations: string | string[] | undefined = subject.O;
    found = {
      commonName: Array.isArray(subject.CN) ? (subject.CN[0] as string) : subject.CN,
      organizations: organizations === undefined ? [] : Array.isArray(organizations) ? organizations : [organizations],
      sha256: fingerprint256.replaceAll(":", "").toLowerCase(),
    };
  }
  certificates.set(socket, found);
  return found;
}

/** Who a request says that it is of. Throws BadRequest where it would act as part of somebody. */
export function credentialsOf(request: IncomingMessage): AuthenticationInput {
  const { headers } = request;
  const presented = certificateOf(request.socket as TLSSocket);
  const impersonation = impersonationOf(request);
  return {
    ...(presented === "bad" ? { badCertificate: true } : presented ? { clientCertificate: presented } : {}),
    ...(headers.authorization ? { authorization: headers.authorization } : {}),
    ...(impersonation ? { impersonation } : {}),
  };
}

const EXTRA = "impersonate-extra-";

/** The Impersonate-* headers; each line of a header is a value of its own. */
function impersonationOf(request: IncomingMessage): Impersonation | undefined {
  const names = Object.keys(request.headers).filter((name) => name.startsWith("impersonate-"));
  if (names.length === 0) return undefined;
  const lines = request.headersDistinct;
  const user = lines["impersonate-user"]?.[0] ?? "";
  // Who asks to be in a group and forgets as whom must not be taken for himself.
  if (user === "") throw new StatusError("BadRequest", `requested ${names[0]} without impersonating a user`);
  const uid = lines["impersonate-uid"]?.[0];
  return {
    user,
    groups: lines["impersonate-group"] ?? [],
    ...(uid ? { uid } : {}),
    extra: Object.fromEntries(
      names
        .filter((name) => name.startsWith(EXTRA))
        .map((name) => [unescaped(name.slice(EXTRA.length)), lines[name] ?? []]),
    ),
  };
}

/** A key that is no good as an escape stands for itself. */
function unescaped(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}
