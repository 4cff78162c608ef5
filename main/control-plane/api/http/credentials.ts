/** Who a request says that it is of: its client certificate, its token, and whom it would act as. */
import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";
import { StatusError } from "../../../../common/kube/status.ts";
import type { AuthenticationInput } from "../../auth/types.ts";

const certificates = new WeakMap<object, AuthenticationInput["clientCertificate"]>();

/** The subject of the verified client certificate; read once a connection. */
function certificateOf(socket: TLSSocket): AuthenticationInput["clientCertificate"] {
  if (certificates.has(socket)) return certificates.get(socket);
  let found: AuthenticationInput["clientCertificate"];
  if (socket.authorized) {
    const { subject } = socket.getPeerCertificate();
    const organizations: string | string[] | undefined = subject?.O;
    if (subject?.CN) {
      found = {
        commonName: Array.isArray(subject.CN) ? (subject.CN[0] as string) : subject.CN,
        organizations:
          organizations === undefined ? [] : Array.isArray(organizations) ? organizations : [organizations],
      };
    }
  }
  certificates.set(socket, found);
  return found;
}

/** What a request says of who sends it. Throws BadRequest where it would act as part of somebody. */
export function credentialsOf(request: IncomingMessage, path: string): AuthenticationInput {
  const { headers } = request;
  const clientCertificate = certificateOf(request.socket as TLSSocket);
  const impersonated = headers["impersonate-user"];
  const list = (value: string | string[] | undefined): string[] =>
    value === undefined ? [] : Array.isArray(value) ? value : value.split(",").map((part) => part.trim());
  // Who asks to be in a group and forgets as whom must not be taken for himself.
  if (impersonated === undefined) {
    const part = Object.keys(headers).find((name) => name.startsWith("impersonate-"));
    if (part) throw new StatusError("BadRequest", `requested ${part} without impersonating a user`);
  }
  return {
    path,
    ...(clientCertificate ? { clientCertificate } : {}),
    ...(headers.authorization ? { authorization: headers.authorization } : {}),
    ...(typeof impersonated === "string"
      ? {
          impersonation: {
            user: impersonated,
            groups: list(headers["impersonate-group"]),
            ...(typeof headers["impersonate-uid"] === "string" ? { uid: headers["impersonate-uid"] } : {}),
            extra: Object.fromEntries(
              Object.entries(headers)
                .filter(([name]) => name.startsWith("impersonate-extra-"))
                .map(([name, value]) => [unescaped(name.slice("impersonate-extra-".length)), list(value)]),
            ),
          },
        }
      : {}),
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
