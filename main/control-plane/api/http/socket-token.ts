/**
 * A browser cannot set headers on a WebSocket: it says its token as a subprotocol, as Kubernetes has it, beside the one
 * that it means (`base64url.bearer.authorization.k8s.io.TOKEN, v4.channel.k8s.io`).
 */
import type { IncomingHttpHeaders } from "node:http";
import { StatusError } from "../../../../common/kube/status.ts";
import { offeredWebSocket, upgradeOf } from "../streaming/protocols.ts";

const PREFIX = "base64url.bearer.authorization.k8s.io.";

/** Moves the token to where tokens are, in place. Throws Unauthorized where there are several, or nothing else is offered. */
export function takeSocketToken(headers: IncomingHttpHeaders): void {
  if (upgradeOf(headers) !== "websocket") return;
  const offered = offeredWebSocket(headers);
  const tokens = offered.filter((one) => one.startsWith(PREFIX));
  const [token] = tokens;
  if (token === undefined) return;
  const others = offered.filter((one) => !one.startsWith(PREFIX));
  if (tokens.length > 1 || others.length === 0) throw new StatusError("Unauthorized", "Unauthorized");
  headers["sec-websocket-protocol"] = others.join(", ");
  headers.authorization ??= `Bearer ${Buffer.from(token.slice(PREFIX.length), "base64url").toString()}`;
}
