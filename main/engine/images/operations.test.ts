import { describe, expect, it } from "vitest";
import { buildQuery, unusedImages } from "./operations.ts";

describe("a build", () => {
  it("is asked for with all that was said", () => {
    const options = {
      folder: "/x",
      dockerfile: "Dockerfile",
      tags: ["a:1", "b:2"],
      args: { V: "1 2" },
      noCache: true,
      spread: true,
    };
    const query = new URLSearchParams(buildQuery({ ...options, target: "test" }, "deploy/Dockerfile"));
    expect(query.getAll("t")).toEqual(["a:1", "b:2"]);
    expect(Object.fromEntries(query)).toMatchObject({
      dockerfile: "deploy/Dockerfile",
      networkmode: "host",
      buildargs: '{"V":"1 2"}',
      target: "test",
      nocache: "1",
    });
  });
});

it("prunes neither what is used nor what came with the node", () => {
  const image = (Id: string, ...RepoTags: string[]) => ({ Id, RepoTags });
  const images = [image("1", "app:1"), image("2", "drydock.local/pause:1"), image("3", "used:1"), image("4")];
  expect(unusedImages(images, new Set(["3"])).map(({ Id }) => Id)).toEqual(["1", "4"]);
});
