import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Container } from "../../../common/kube/types.ts";
import type { RegistryCredentials, Runtime } from "../runtime/runtime.ts";
import { RuntimeError } from "../runtime/runtime.ts";
import { ImageError, Images, normalizeImage } from "./images.ts";
import { PulledImages } from "./pulled-images.ts";

let folder: string;
let pulled: PulledImages;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "drydock-images-"));
  pulled = await PulledImages.open(join(folder, "pulled-images.json"), () => expect.unreachable());
});
afterEach(() => rm(folder, { recursive: true }));

const container = { name: "a", image: "r.example/a:1", imagePullPolicy: "Always" } as Container;

async function attempt(images: Images, events: string[]): Promise<ImageError> {
  const error = await images
    .ensure("uid", container, [], (_type, reason) => events.push(reason))
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
  const images = new Images(runtime, pulled, () => now);
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

describe("credentials", () => {
  const friend = { username: "friend", password: "p", serveraddress: "r.example" };
  const stranger = { ...friend, username: "stranger" };
  /** Opens to the friend alone, when it is told to. */
  const registry = (): { runtime: Runtime; users: (string | undefined)[] } => {
    const users: (string | undefined)[] = [];
    let detail: object | undefined;
    const runtime = {
      image: async () => detail,
      pull: async (_reference: string, credentials?: RegistryCredentials) => {
        users.push(credentials?.username);
        await Promise.resolve();
        if (credentials?.username !== "friend") throw new RuntimeError("unauthorized", 401);
        detail = { id: "sha256:1", digests: ["r.example/a@sha256:1"], user: "" };
      },
    } as unknown as Runtime;
    return { runtime, users };
  };

  it("of one Pod do not open an image for another that asks at the same time, nor hold it back", async () => {
    const { runtime, users } = registry();
    const images = new Images(runtime, pulled);
    const ask = (uid: string, credentials: RegistryCredentials[]): Promise<unknown> =>
      images.ensure(uid, container, credentials, () => undefined).catch((error: ImageError) => error.reason);
    expect(await Promise.all([ask("a", []), ask("b", [friend])])).toEqual([
      "ErrImagePull",
      expect.objectContaining({ id: "sha256:1" }),
    ]);
    expect(await ask("a", [])).toBe("ImagePullBackOff");
    expect(await ask("c", [friend])).toEqual(expect.objectContaining({ id: "sha256:1" }));
    expect(users).toEqual([undefined, "friend", "friend"]);
  });

  it("are asked for again where the image is there already", async () => {
    const { runtime, users } = registry();
    const images = new Images(runtime, pulled);
    const ask = async (imagePullPolicy: string, credentials: RegistryCredentials[]): Promise<string> =>
      images
        .ensure("a", { ...container, imagePullPolicy } as Container, credentials, () => undefined)
        .then(() => "there")
        .catch((error: ImageError) => error.reason);
    expect(await ask("IfNotPresent", [friend])).toBe("there");
    expect(await ask("IfNotPresent", [friend])).toBe("there");
    expect(await ask("Never", [friend])).toBe("there");
    expect(users).toEqual(["friend"]);
    expect(await ask("Never", [])).toBe("ErrImageNeverPull");
    expect(await ask("IfNotPresent", [])).toBe("ErrImagePull");
    expect(users).toEqual(["friend", undefined]);
  });

  it("are all tried", async () => {
    const { runtime, users } = registry();
    await new Images(runtime, pulled).ensure("a", container, [stranger, friend], () => undefined);
    expect(users).toEqual(["stranger", "friend"]);
  });
});

it("completes references, and knows what is none", () => {
  expect(normalizeImage("nginx")).toBe("nginx:latest");
  expect(normalizeImage("localhost:5000/a/b")).toBe("localhost:5000/a/b:latest");
  expect(normalizeImage("Not A Name")).toBeUndefined();
});
