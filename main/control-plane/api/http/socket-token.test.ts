import { expect, test } from "vitest";
import { takeSocketToken } from "./socket-token.ts";

const PREFIX = "base64url.bearer.authorization.k8s.io.";
const said = (token: string): string => PREFIX + Buffer.from(token).toString("base64url");
const headers = (protocols: string): Record<string, string> => ({
  upgrade: "websocket",
  "sec-websocket-protocol": protocols,
});

test("the token goes where tokens are, and the rest stays", () => {
  const given = headers(`${said("a.b-c_d")}, v4.channel.k8s.io,other`);
  takeSocketToken(given);
  expect(given["authorization"]).toBe("Bearer a.b-c_d");
  expect(given["sec-websocket-protocol"]).toBe("v4.channel.k8s.io, other");
});

test.each([said("a"), `${said("a")}, ${said("b")}, v4.channel.k8s.io`])("%s is refused", (protocols) => {
  expect(() => takeSocketToken(headers(protocols))).toThrow(expect.objectContaining({ code: 401 }) as Error);
});

test.each([
  headers("v4.channel.k8s.io"),
  { "sec-websocket-protocol": said("a") },
  { upgrade: "SPDY/3.1", "sec-websocket-protocol": said("a") },
])("%# nothing is taken", (given) => {
  const before = { ...given };
  takeSocketToken(given);
  expect(given).toEqual(before);
});
