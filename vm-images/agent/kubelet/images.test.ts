import { expect, it } from "vitest";
import type { Container } from "../../../common/kube/types.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { RuntimeError } from "../runtime/runtime.ts";
import { ImageError, Images, normalizeImage } from "./images.ts";

const container = { name: "a", image: "r.example/a:1", imagePullPolicy: "Always" } as Container;

async function attempt(images: Images, events: string[]): Promise<ImageError> {
  const error = await images
    .ensure(container, undefined, (_type, reason) => events.push(reason))
    .then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
  if (!(error instanceof ImageError)) throw new Error("the pull went well");
  return error;
}

it("shows a failed pull, then that it waits, and pulls again when the back-off is over", async () => {
  let now = 0;
  let pulls = 0;
  const runtime = {
    image: async () => undefined,
    pull: async () => {
      pulls++;
      throw new RuntimeError("connection refused", 500);
    },
  } as unknown as Runtime;
  const images = new Images(runtime, () => now);
  const seen: string[] = [];
  const events: string[] = [];
  for (let look = 0; look < 6; look++) {
    const error = await attempt(images, events);
    seen.push(error.reason);
    expect(error.retryAt).toBeGreaterThan(now);
    now = error.retryAt;
  }
  expect(seen).toEqual([
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImagePull",
    "ImagePullBackOff",
  ]);
  expect(pulls).toBe(3);
  // 10, 20 and 40 seconds.
  expect(now).toBe(70_000);
  expect(events.filter((reason) => reason === "BackOff")).toHaveLength(3);
});

it("completes references, and knows what is none", () => {
  expect(normalizeImage("nginx")).toBe("nginx:latest");
  expect(normalizeImage("localhost:5000/a/b")).toBe("localhost:5000/a/b:latest");
  expect(normalizeImage("Not A Name")).toBeUndefined();
});
