import { expect, it } from "vitest";
import { PORT_FORWARD, REMOTE_COMMAND, chooseChannel, chooseSpdy } from "./protocols.ts";

it.each([
  [undefined, "channel.k8s.io"],
  ["v5.channel.k8s.io, v4.channel.k8s.io", "v5.channel.k8s.io"],
  ["base64.channel.k8s.io", "base64.channel.k8s.io"],
  ["v9.channel.k8s.io,v4.base64.channel.k8s.io", "v4.base64.channel.k8s.io"],
  ["something else", undefined],
])("WebSocket: of %j we take %j", (offered, chosen) => {
  expect(chooseChannel(offered === undefined ? {} : { "sec-websocket-protocol": offered })).toBe(chosen);
});

it("SPDY: the first in common, nothing as the first version, or a refusal that names both", () => {
  const offered = { "x-stream-protocol-version": "v5.channel.k8s.io, v4.channel.k8s.io, v3.channel.k8s.io" };
  expect(chooseSpdy(offered, REMOTE_COMMAND)).toBe("v4.channel.k8s.io");
  expect(chooseSpdy({}, REMOTE_COMMAND)).toBe("");
  expect(chooseSpdy({}, PORT_FORWARD)).toBe("portforward.k8s.io");
  expect(() => chooseSpdy({ "x-stream-protocol-version": "v9" }, PORT_FORWARD)).toThrow(
    "client supports [v9], server accepts [portforward.k8s.io]",
  );
});
