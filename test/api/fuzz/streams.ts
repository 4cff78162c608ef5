/** Upgrades to WebSocket and SPDY/3.1 on the streaming subresources, and what is sent over them. */
import type { Dice } from "./dice.ts";
import { manners } from "./kubelet.ts";
import type { Ask } from "./asks.ts";
import { withQuery } from "./asks.ts";
import { oddString } from "./values.ts";

const protocols = [
  "v5.channel.k8s.io",
  "v4.channel.k8s.io",
  "v4.base64.channel.k8s.io",
  "channel.k8s.io",
  "SPDY/3.1+portforward.k8s.io",
  "base64.binary.k8s.io",
  "v99.channel.k8s.io",
  "",
  "a,b,c",
  "v5.channel.k8s.io, v4.channel.k8s.io",
  "portforward.k8s.io",
];

export function upgradeAsk(dice: Dice, podPath: string): Ask {
  const subresource = dice.pick(["exec", "attach", "portforward", "proxy", "log", "nothing"]);
  const query: [string, string][] = [["container", dice.chance(0.9) ? dice.pick(manners) : oddString(dice)]];
  if (dice.chance(0.9)) query.push(["command", dice.chance(0.8) ? "sh" : oddString(dice)]);
  for (const name of ["stdin", "stdout", "stderr", "tty"])
    if (dice.chance(0.4)) query.push([name, dice.pick(["true", "false", "x"])]);
  if (dice.chance(0.3)) query.push(["ports", dice.pick(["80", "0", "-1", "70000", "x", "80,81"])]);
  const spdy = dice.chance(0.4);
  const headers: [string, string][] = [
    ["connection", dice.pick(["Upgrade", "Upgrade", "upgrade, keep-alive", "close"])],
  ];
  headers.push([
    "upgrade",
    dice.chance(0.95) ? (spdy ? "SPDY/3.1" : "websocket") : dice.pick(["h2c", "x", "websocket, SPDY/3.1"]),
  ]);
  if (spdy) headers.push(["x-stream-protocol-version", dice.pick(["v4.channel.k8s.io", "portforward.k8s.io", "x"])]);
  else {
    if (dice.chance(0.95))
      headers.push(["sec-websocket-key", dice.chance(0.95) ? "dGhlIHNhbXBsZSBub25jZQ==" : "short"]);
    if (dice.chance(0.95)) headers.push(["sec-websocket-version", dice.chance(0.95) ? "13" : "99"]);
    if (dice.chance(0.9)) headers.push(["sec-websocket-protocol", dice.pick(protocols)]);
    if (dice.chance(0.1)) headers.push(["sec-websocket-extensions", dice.pick(["permessage-deflate", "x; y=z", ",,"])]);
  }
  return {
    method: dice.pick(["GET", "GET", "POST", "PUT", "DELETE"]),
    target: withQuery(`${podPath}/${subresource}`, query),
    headers,
  };
}

/** A client's WebSocket frame (RFC 6455), right or wrong. */
function webSocketFrame(dice: Dice): Buffer {
  const payload = Buffer.alloc(dice.pick([0, 1, 5, 125, 126, 4000]), dice.below(256));
  const opcode = dice.weighted([
    [6, 2],
    [2, 1],
    [1, 8],
    [1, 9],
    [1, 10],
    [1, 0],
    [1, 3],
    [1, 15],
  ] as const);
  const masked = dice.chance(0.9);
  const claimed = dice.chance(0.9) ? payload.length : dice.below(70_000);
  const head = [(dice.chance(0.9) ? 0x80 : 0) | (dice.chance(0.05) ? 0x70 : 0) | opcode];
  const bit = masked ? 0x80 : 0;
  if (claimed < 126) head.push(bit | claimed);
  else head.push(bit | 126, claimed >> 8, claimed & 255);
  return Buffer.concat([Buffer.from(head), masked ? Buffer.alloc(4) : Buffer.alloc(0), payload]);
}

/** An SPDY/3.1 frame: control frames of every type and data frames, with lengths that need not be true. */
function spdyFrame(dice: Dice): Buffer {
  const payload = Buffer.alloc(dice.pick([0, 4, 8, 10, 200]), dice.below(256));
  const length = dice.chance(0.9) ? payload.length : dice.below(0xff_ffff);
  const head = Buffer.alloc(8);
  if (dice.chance(0.7)) {
    head.writeUInt16BE(0x8000 | (dice.chance(0.95) ? 3 : dice.below(200)), 0);
    head.writeUInt16BE(dice.below(12), 2);
  } else head.writeUInt32BE(dice.below(8), 0);
  head.writeUInt32BE(((dice.below(4) << 24) | length) >>> 0, 4);
  return Buffer.concat([head, payload]);
}

export function frames(dice: Dice): Buffer {
  const frame = dice.chance(0.5) ? webSocketFrame : spdyFrame;
  return Buffer.concat(
    Array.from({ length: dice.below(5) }, () => (dice.chance(0.9) ? frame(dice) : Buffer.from(oddString(dice)))),
  );
}

export function logQuery(dice: Dice): [string, string][] {
  const query: [string, string][] = [["container", dice.chance(0.9) ? dice.pick(manners) : oddString(dice)]];
  const maybe = (name: string, values: string[]): void => {
    if (dice.chance(0.2)) query.push([name, dice.chance(0.1) ? oddString(dice) : dice.pick(values)]);
  };
  maybe("tailLines", ["1", "0", "-1", "x"]);
  maybe("sinceSeconds", ["1", "-1"]);
  maybe("sinceTime", ["2024-01-01T00:00:00Z", "x"]);
  maybe("limitBytes", ["1", "0"]);
  maybe("timestamps", ["true"]);
  maybe("previous", ["true"]);
  maybe("follow", ["true"]);
  maybe("stream", ["Stdout", "All", "x"]);
  return query;
}
