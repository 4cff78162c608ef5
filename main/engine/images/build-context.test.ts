import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Readable } from "node:stream";
import { extract } from "tar-stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { archiveOf, basesOf, findContext } from "./build-context.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "dd-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function put(files: Record<string, string>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), content);
  }
}

/** Name → content ("/" for folders, "→ x" for links). */
async function unpacked(archive: Readable): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const reader = extract();
  archive.pipe(reader);
  for await (const entry of reader) {
    let text = "";
    for await (const chunk of entry) text += String(chunk);
    const { type, name, linkname } = entry.header;
    found[name] = type === "directory" ? "/" : type === "symlink" ? `→ ${linkname}` : text;
  }
  return found;
}

describe("a build's folder", () => {
  it("goes whole, with links and empty files", async () => {
    await put({ Dockerfile: "FROM scratch\n", "src/a.js": "1", "src/empty": "" });
    await symlink("a.js", path.join(folder, "src/b.js"));
    expect(await unpacked(await archiveOf(await findContext(folder, "Dockerfile")))).toEqual({
      Dockerfile: "FROM scratch\n",
      src: "/",
      "src/a.js": "1",
      "src/b.js": "→ a.js",
      "src/empty": "",
    });
  });

  it("leaves out what .dockerignore says, but for its exceptions and the Dockerfile", async () => {
    await put({
      ".dockerignore": "node_modules\n*.log\ndocs\n!docs/kept.md\ndeploy\n",
      "deploy/Dockerfile": "FROM scratch",
      "deploy/secret": "s",
      "node_modules/x/index.js": "x",
      "debug.log": "l",
      "docs/gone.md": "g",
      "docs/kept.md": "k",
      "a.txt": "a",
    });
    const names = Object.keys(await unpacked(await archiveOf(await findContext(folder, "deploy/Dockerfile"))));
    expect(names.toSorted()).toEqual([".dockerignore", "a.txt", "deploy/Dockerfile", "docs/kept.md"]);
  });

  it.each([
    ["Dockerfile", /no such file/],
    ["../Dockerfile", /must lie in the folder/],
  ])("is refused without a Dockerfile (%s)", async (name, message) => {
    await expect(findContext(folder, name)).rejects.toThrow(message);
  });
});

it("knows what a Dockerfile begins from", () => {
  const text = `FROM --platform=linux/amd64 node:24 AS build\nRUN x\nfrom build as test\nFROM scratch\nFROM localhost:5000/base:1\n`;
  expect(basesOf(text)).toEqual(["node:24", "localhost:5000/base:1"]);
});
