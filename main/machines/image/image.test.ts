import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DISK, INITRD, KERNEL, MANIFEST_FORMAT, findImage, imageVersion, verifyImage } from "./image.ts";

let images: string;
let version: string;

beforeEach(async () => {
  images = await mkdtemp(path.join(tmpdir(), "dd-"));
  version = await imageVersion();
});

afterEach(() => rm(images, { recursive: true }));

/** A folder as a build leaves it, with a few bytes for each file. */
async function built(name: string, change: Record<string, unknown> = {}): Promise<string> {
  const folder = path.join(images, name);
  const files: Record<string, number> = {};
  const digests: Record<string, string> = {};
  await mkdir(folder);
  for (const file of [KERNEL, INITRD, DISK]) {
    const content = `the ${file} of ${name}`;
    await writeFile(path.join(folder, file), content);
    files[file] = content.length;
    digests[file] = createHash("sha256").update(content).digest("hex");
  }
  const manifest = { format: MANIFEST_FORMAT, version, createdAt: new Date().toISOString(), files, digests, ...change };
  await writeFile(path.join(folder, "manifest.json"), JSON.stringify(manifest));
  return folder;
}

describe("findImage", () => {
  it("finds none in a folder that is empty or absent", async () => {
    expect(await findImage(images)).toBeUndefined();
    expect(await findImage(path.join(images, "absent"))).toBeUndefined();
  });

  it("finds the newest build, and names templates of each apart", async () => {
    await built(version);
    const first = await findImage(images);
    await built(`${version}-2`);
    await built(`${version}-10`);
    const newest = await findImage(images);
    expect(newest?.disk).toBe(path.join(images, `${version}-10`, DISK));
    expect(newest?.version).toBe(version);
    expect(newest?.key).not.toBe(first?.key);
  });

  it("does not take a build without a manifest for an image", async () => {
    await rm(path.join(await built(version), "manifest.json"));
    expect(await findImage(images)).toBeUndefined();
  });

  it.each([
    ["truncated", (folder: string) => truncate(path.join(folder, DISK), 3), /disk\.qcow2 has 3 bytes instead of/],
    ["incomplete", (folder: string) => rm(path.join(folder, KERNEL)), /vmlinuz is missing/],
    [
      "illegible",
      (folder: string) => writeFile(path.join(folder, "manifest.json"), "{"),
      /manifest\.json cannot be read/,
    ],
  ])("says what is wrong with one that is %s", async (_what, harm, message) => {
    await harm(await built(version));
    await expect(findImage(images)).rejects.toMatchObject({
      code: "IMAGE_BROKEN",
      message: expect.stringMatching(message),
      advice: expect.stringContaining("drydock image build"),
    });
  });

  it("refuses one that says it is of another version or format", async () => {
    await built(version, { version: "elsewhere" });
    await expect(findImage(images)).rejects.toMatchObject({ code: "IMAGE_VERSION" });
    await built(`${version}-2`, { format: MANIFEST_FORMAT + 1 });
    await expect(findImage(images)).rejects.toMatchObject({ code: "IMAGE_VERSION" });
  });
});

describe("verifyImage", () => {
  it("sees a changed byte that the sizes do not show", async () => {
    const folder = await built(version);
    const image = await findImage(images);
    if (!image) return expect.unreachable("it was built");
    await verifyImage(image);
    await writeFile(path.join(folder, DISK), `The ${DISK} of ${version}`);
    await expect(verifyImage(image)).rejects.toMatchObject({ code: "IMAGE_BROKEN" });
  });
});
