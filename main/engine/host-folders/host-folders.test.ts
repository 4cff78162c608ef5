import { lstat, mkdir, mkdtemp, readFile, readdir, rename, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HostFolders } from "./host-folders.ts";
import { Status } from "./nfs-types.ts";
import { NfsClient, noWishes } from "./testing/client.ts";
import { XdrWriter } from "./xdr.ts";

let home: string;
let folder: string;
let server: HostFolders;
let client: NfsClient;
let root: Buffer;

async function mount(readOnly: boolean): Promise<Buffer> {
  const [shared] = await server.share("lab", [{ host: folder, node: "/data", readOnly }]);
  client = await NfsClient.connect(shared?.port ?? 0);
  return (await client.mount(shared?.export ?? "")) as Buffer;
}

beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), "dd-"));
  folder = path.join(home, "shared");
  await mkdir(path.join(folder, "sub"), { recursive: true });
  await writeFile(path.join(folder, "a.txt"), "from the host");
  server = new HostFolders(home, () => undefined);
  root = await mount(false);
});
afterEach(async () => {
  client.socket.destroy();
  await server.close();
  await rm(home, { recursive: true });
});

const inFolder = (handle: Buffer, name: string): XdrWriter => new XdrWriter().opaque(handle).string(name);
const found = async (name: string, of = root): Promise<Buffer> => (await client.lookup(of, name)) as Buffer;

describe("a shared folder", () => {
  it("is read and listed", async () => {
    expect(await client.read(await found("a.txt"))).toBe("from the host");
    expect(await client.read(await found("a.txt"), 5, 3)).toBe("the");
    expect(await client.list(root)).toEqual([".", "..", "a.txt", "sub"]);
    expect(await client.lookup(root, "none")).toBe(Status.noEntry);
  });

  it("is written: files, folders, links, names", async () => {
    expect(await client.status(8, inFolder(root, "new.txt").uint(1).append(noWishes()))).toBe(0);
    expect(await client.write(await found("new.txt"), "from a Pod")).toBe(0);
    expect(await client.write(await found("new.txt"), "!", 10)).toBe(0);
    expect(await readFile(path.join(folder, "new.txt"), "utf8")).toBe("from a Pod!");
    expect(await client.status(8, inFolder(root, "new.txt").uint(1).append(noWishes()))).toBe(Status.exists);
    expect(await client.status(9, inFolder(root, "made").append(noWishes()))).toBe(0);
    expect(await client.status(10, inFolder(root, "link").append(noWishes()).string("new.txt"))).toBe(0);
    const file = await found("new.txt");
    expect(await client.status(14, inFolder(root, "new.txt").append(inFolder(await found("made"), "moved")))).toBe(0);
    // The handle is the file's, wherever it lies.
    expect(await client.read(file)).toBe("from a Pod!");
    expect(await client.status(13, inFolder(root, "made"))).toBe(Status.notEmpty);
    expect(await client.status(12, inFolder(await found("made"), "moved"))).toBe(0);
    expect(await client.status(13, inFolder(root, "made"))).toBe(0);
    expect(await readdir(folder)).toEqual(["a.txt", "link", "sub"]);
  });

  it("shows what is changed outside", async () => {
    const file = await found("a.txt");
    await rename(path.join(folder, "a.txt"), path.join(folder, "sub", "b.txt"));
    expect(await client.read(file)).toBe("from the host");
    await unlink(path.join(folder, "sub", "b.txt"));
    expect(await client.read(file)).toBe(Status.stale);
  });

  it("is listed whole, though what was listed is removed meanwhile", async () => {
    const names = Array.from({ length: 60 }, (_, index) => `file-${String(index).padStart(3, "0")}`);
    for (const name of names) await writeFile(path.join(folder, "sub", name), "");
    const sub = await found("sub");
    const listed = await client.list(sub, 1024, async (so) => {
      for (const name of so.filter((one) => one.startsWith("file-")))
        await rm(path.join(folder, "sub", name), { force: true });
    });
    expect(listed.filter((name) => name.startsWith("file-"))).toEqual(names);
  });

  it("for reading refuses every change", async () => {
    client.socket.destroy();
    root = await mount(true);
    const file = await found("a.txt");
    expect(await client.read(file)).toBe("from the host");
    expect(await client.write(file, "x")).toBe(Status.readOnly);
    const changes: [number, XdrWriter][] = [
      [2, new XdrWriter().opaque(file).append(noWishes()).boolean(false)],
      [8, inFolder(root, "x").uint(0).append(noWishes())],
      [9, inFolder(root, "x").append(noWishes())],
      [10, inFolder(root, "x").append(noWishes()).string("a")],
      [12, inFolder(root, "a.txt")],
      [13, inFolder(root, "sub")],
      [14, inFolder(root, "a.txt").append(inFolder(root, "b.txt"))],
      [15, new XdrWriter().opaque(file).append(inFolder(root, "hard"))],
    ];
    for (const [procedure, args] of changes) expect(await client.status(procedure, args)).toBe(Status.readOnly);
    expect(await readdir(folder)).toEqual(["a.txt", "sub"]);
  });
});

describe("nothing outside", () => {
  it("is reached by names that are paths", async () => {
    await writeFile(path.join(home, "secret"), "s");
    for (const name of ["../secret", "sub/../../secret", "/etc/passwd"])
      expect(await client.lookup(root, name)).toBeTypeOf("number");
    const up = await found("..");
    expect(await client.list(up)).toContain("a.txt");
    expect(await client.status(8, inFolder(root, "..").uint(0).append(noWishes()))).toBe(Status.access);
  });

  it("is reached by links, which are the node's to follow", async () => {
    await symlink(home, path.join(folder, "out"));
    const out = await found("out");
    expect(await client.lookup(out, "shared")).toBe(Status.notDirectory);
    expect(await client.read(out)).toBe(Status.invalid);
    // A folder that becomes a link while its handle is held.
    await writeFile(path.join(folder, "sub", "x"), "x");
    const sub = await found("sub");
    await rename(path.join(folder, "sub"), path.join(home, "elsewhere"));
    await symlink(path.join(home, "elsewhere"), path.join(folder, "sub"));
    expect(await client.status(8, inFolder(sub, "made").uint(0).append(noWishes()))).toBe(Status.stale);
    expect(await readdir(path.join(home, "elsewhere"))).toEqual(["x"]);
  });

  it("is given away without the export's name, or for a handle that was made up", async () => {
    expect(await client.mount("/guess")).toBe(Status.access);
    const forged = Buffer.from(root);
    forged[20] = (forged[20] ?? 0) ^ 1;
    expect(await client.list(root)).toContain("a.txt");
    expect(await client.status(1, new XdrWriter().opaque(forged))).toBe(Status.badHandle);
  });
});

it("knows handles of an engine before it, at the same port", async () => {
  await writeFile(path.join(folder, "sub", "deep"), "still here");
  const deep = await found("deep", await found("sub"));
  const before = await server.share("lab", [{ host: folder, node: "/data", readOnly: false }]);
  client.socket.destroy();
  await server.close();
  server = new HostFolders(home, () => undefined);
  const after = await server.share("lab", [{ host: folder, node: "/data", readOnly: false }]);
  expect(after).toEqual(before);
  client = await NfsClient.connect(after[0]?.port ?? 0);
  expect(await client.read(deep)).toBe("still here");
  expect((await lstat(path.join(home, "host-folders.json"))).mode & 0o777).toBe(0o600);
});

it("closes a connection that speaks something else", async () => {
  const closed = new Promise<boolean>((resolve) => client.socket.once("close", () => resolve(true)));
  client.socket.write("GET / HTTP/1.1\r\n\r\n");
  expect(await closed).toBe(true);
});
