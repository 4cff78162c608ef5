import { describe, expect, it } from "vitest";
import type { Secret } from "../../../common/kube/types.ts";
import { credentialsFor } from "./pull-secrets.ts";

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const login = (user: string): object => ({ username: user, password: "p" });
const secret = (auths: Record<string, object>, name = "one"): Secret =>
  ({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name },
    type: "kubernetes.io/dockerconfigjson",
    data: { ".dockerconfigjson": base64(JSON.stringify({ auths })) },
  }) satisfies Secret;
const users = (image: string, ...secrets: Secret[]): string[] =>
  credentialsFor(image, secrets).map(({ username }) => username);

describe("a login's server", () => {
  it.each([
    ["r.example", "r.example/app:1", true],
    ["https://r.example", "r.example/app:1", true],
    ["https://r.example/v2/", "r.example/team/app", true],
    ["r.example:5000", "r.example:5000/app", true],
    ["r.example:5000", "r.example/app", false],
    ["r.example", "other.example/app", false],
    ["r.example/team", "r.example/team/app", true],
    ["r.example/team", "r.example/other/app", false],
    ["*.example", "r.example/app", true],
    ["*.example", "a.r.example/app", false],
    ["r?.ex[a-m]mple", "r1.example/app", true],
    ["r[.example", "r.example/app", false],
    ["https://index.docker.io/v1/", "nginx", true],
    ["https://index.docker.io/v1/", "library/nginx:1", true],
    ["https://index.docker.io/v1/", "docker.io/library/nginx", true],
    ["https://index.docker.io/v1/", "r.example/nginx", false],
    ["docker.io", "nginx", false],
  ])("%s opens %s: %s", (server, image, opens) => {
    expect(users(image, secret({ [server]: login("a") }))).toEqual(opens ? ["a"] : []);
  });
});

it("takes logins of all secrets, those for the longest path first", () => {
  const wide = secret({ "r.example": login("wide") });
  const narrow = secret({ "r.example/team": login("narrow"), "other.example": login("no") }, "two");
  expect(users("r.example/team/app", wide, narrow)).toEqual(["narrow", "wide"]);
});

it("reads the older form, and a name and password in one", () => {
  const old = {
    metadata: { name: "old" },
    type: "kubernetes.io/dockercfg",
    data: { ".dockercfg": base64(JSON.stringify({ "r.example": { auth: base64("me:with:colons") } })) },
  } as unknown as Secret;
  expect(credentialsFor("r.example/app", [old])).toEqual([
    { username: "me", password: "with:colons", serveraddress: "r.example" },
  ]);
});

it("passes over secrets of other types, and names the one that is not what it says", () => {
  const opaque = { ...secret({ "r.example": login("a") }), type: "Opaque" } as Secret;
  expect(users("r.example/app", opaque)).toEqual([]);
  const broken = { ...secret({}), data: { ".dockerconfigjson": base64("{") } } as Secret;
  expect(() => credentialsFor("r.example/app", [broken])).toThrow(/pull secret "one": \.dockerconfigjson: /);
});
