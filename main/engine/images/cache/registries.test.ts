import { describe, expect, it } from "vitest";
import { endpointsFor, parseRegistries } from "./registries.ts";

const file = parseRegistries(
  `
mirrors:
  docker.io:
    endpoint: ["https://mirror.example.com/hub", "http://10.9.8.7:5000/v2/"]
  registry.example.com:5000:
    endpoint: ["http://registry.example.com:5000"]
configs:
  mirror.example.com:
    auth: {username: me, password: secret}
    tls: {ca_file: /etc/corp.pem}
  ghcr.io:
    tls: {insecure_skip_verify: true}
`,
  "registries.yaml",
);
const bases = (authority: string): string[] =>
  endpointsFor(authority, file).map(({ base, own }) => `${base}${own ? " (own)" : ""}`);

describe("endpoints", () => {
  it.each([
    ["quay.io:443", ["https://quay.io (own)"]],
    [
      "registry-1.docker.io:443",
      ["https://mirror.example.com/hub", "http://10.9.8.7:5000", "https://registry-1.docker.io (own)"],
    ],
    ["registry.example.com:5000", ["http://registry.example.com:5000 (own)"]],
    ["10.0.2.2:5000", ["https://127.0.0.1:5000 (own)", "http://127.0.0.1:5000 (own)"]],
  ])("of %s", (authority, expected) => {
    expect(bases(authority)).toEqual(expected);
  });

  it("carry credentials and certificates of their address", () => {
    expect(endpointsFor("registry-1.docker.io:443", file)[0]).toMatchObject({
      credentials: "me:secret",
      caFile: "/etc/corp.pem",
      insecure: false,
    });
    expect(endpointsFor("ghcr.io", file)[0]).toMatchObject({ insecure: true });
  });
});

describe("registries.yaml", () => {
  it("may be empty", () => {
    expect(parseRegistries("", "f")).toEqual({});
  });

  it.each([
    ["mirrors: [a]", /^f: mirrors/],
    ["configs: {a: {auth: {username: x}}}", /configs.a.auth.password/],
    ["{", /^f: /],
  ])("says what is wrong with %j", (text, message) => {
    expect(() => parseRegistries(text, "f")).toThrow(message);
  });
});
