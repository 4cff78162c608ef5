import { describe, expect, it } from "vitest";
import { buildArgs, credentialsIn } from "./images.ts";

describe("--build-arg", () => {
  it("takes a value, or the environment's", () => {
    expect(buildArgs(["A=1=2", "B"], { B: "b" })).toEqual({ A: "1=2", B: "b" });
  });
  it("refuses what has neither", () => {
    expect(() => buildArgs(["C"], {})).toThrow(/NAME=VALUE/);
  });
});

describe("what docker login left", () => {
  const auth = Buffer.from("me:pass:word").toString("base64");
  const config = JSON.stringify({ auths: { "ghcr.io": { auth }, "https://index.docker.io/v1/": { auth } } });
  it.each([
    ["ghcr.io/me/app:1", { username: "me", password: "pass:word" }],
    ["library/nginx", { username: "me", password: "pass:word" }],
    ["quay.io/a/b", undefined],
  ])("for %s", (image, expected) => {
    expect(credentialsIn(config, image)).toEqual(expected);
  });
  it("is nothing in a damaged file", () => {
    expect(credentialsIn("{", "nginx")).toBeUndefined();
  });
});
