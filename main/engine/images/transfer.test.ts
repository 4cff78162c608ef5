import { expect, it } from "vitest";
import { nameAndTag, tagged } from "./transfer.ts";

it.each([
  ["nginx", "nginx:latest"],
  ["nginx:1.27", "nginx:1.27"],
  ["localhost:5000/app", "localhost:5000/app:latest"],
  ["ghcr.io/a/b@sha256:00", "ghcr.io/a/b@sha256:00"],
])("pulls one image, not all of a name: %s", (image, expected) => {
  expect(tagged(image)).toBe(expected);
});

it.each([
  ["nginx:1.27", "nginx", "1.27"],
  ["localhost:5000/team/app:latest", "localhost:5000/team/app", "latest"],
])("pushes by name and tag: %s", (image, name, tag) => {
  expect(nameAndTag(image)).toEqual({ name, tag });
});
