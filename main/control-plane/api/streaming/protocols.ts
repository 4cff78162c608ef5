/** Which streaming protocol a client and we have in common: pure, from the headers of its upgrade. */
import type { IncomingHttpHeaders } from "node:http";

/** As exec, attach and port-forward know them; those that carry text have base64 in it. */
export const CHANNELS = [
  "v5.channel.k8s.io",
  "v4.channel.k8s.io",
  "v4.base64.channel.k8s.io",
  "channel.k8s.io",
  "base64.channel.k8s.io",
] as const;
export type ChannelProtocol = (typeof CHANNELS)[number];

/** A SPDY/3.1 session inside a WebSocket. "/" is no character of a subprotocol's name, which WebSocket servers mind. */
export const TUNNEL = "SPDY/3.1+portforward.k8s.io";

/** Newest first; the empty one is what clients mean that offer nothing. */
export const REMOTE_COMMAND = ["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io", ""];
export const PORT_FORWARD = ["portforward.k8s.io"];

/** The value of a header that lists, or stands several times. */
function listed(value: string | string[] | undefined): string[] {
  return [value ?? []]
    .flat()
    .flatMap((one) => one.split(","))
    .map((one) => one.trim())
    .filter((one) => one !== "");
}

/** "websocket", "spdy/3.1", or whatever else was asked for, in small letters. */
export function upgradeOf(headers: IncomingHttpHeaders): string {
  return (headers.upgrade ?? "").trim().toLowerCase();
}

export function offeredWebSocket(headers: IncomingHttpHeaders): string[] {
  return listed(headers["sec-websocket-protocol"]);
}

/** The client's first choice among ours; `undefined` where there is none in common. */
export function chooseChannel(headers: IncomingHttpHeaders): ChannelProtocol | undefined {
  const offered = offeredWebSocket(headers);
  if (offered.length === 0) return "channel.k8s.io";
  return offered.find((one): one is ChannelProtocol => (CHANNELS as readonly string[]).includes(one));
}

/** Throws Error in Kubernetes' words where nothing fits. */
export function chooseSpdy(headers: IncomingHttpHeaders, ours: readonly string[]): string {
  const offered = listed(headers["x-stream-protocol-version"]);
  // Clients of old say nothing, and mean the first version.
  if (offered.length === 0) return ours.includes("") ? "" : (ours[0] as string);
  const common = offered.find((one) => ours.includes(one));
  if (common === undefined) {
    throw new Error(
      `unable to upgrade: unable to negotiate protocol: client supports [${offered.join(" ")}], server accepts [${ours.filter(Boolean).join(" ")}]`,
    );
  }
  return common;
}
