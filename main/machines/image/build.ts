/** Builds the node image from the recipe (vm-images/recipe.ts) into a folder: kernel, initrd, disk. As root, or in a user namespace where that is allowed. */
import { mkdir, open, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createReadStream, createWriteStream } from "node:fs";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { extract, pack } from "tar-stream";
import { IMAGE_BYTES, NODE_PACKAGES, NODE_REMOVED, SAMPLE_IMAGES, SUITE } from "../../../vm-images/recipe.ts";
import type { Progress } from "../driver.ts";
import { MachineError } from "../failure.ts";
import { projectFolder } from "./agent-bundle.ts";
import { runBuildCommand } from "./command.ts";
import { cpio } from "./cpio.ts";
import type { CpioEntry } from "./cpio.ts";
import { DISK, INITRD, KERNEL } from "./image.ts";
import { writeSampleImage } from "./sample-image.ts";
import { addEntry, addFile } from "./tar.ts";

const NETWORK_ADVICE = "Check that this computer reaches deb.debian.org (or its mirror), then try again.";
const APT = [
  '--aptopt=APT::Install-Recommends "false"',
  '--aptopt=Acquire::Languages "none"',
  '--aptopt=Acquire::Retries "3"',
];

/** Commands that no package brings, as links to busybox, for whoever works in a node's shell (and `poweroff`, for the agent). */
const APPLET_LINKS =
  'for applet in $(busybox --list); do command -v "$applet" >/dev/null || ln -s /usr/bin/busybox "/usr/local/bin/$applet"; done';

/** Fills `folder`; returns the sizes of the files that make the image. */
export async function buildImage(
  folder: string,
  progress: Progress,
  signal: AbortSignal | undefined,
): Promise<Record<string, number>> {
  const root = process.getuid?.() === 0;
  const mode = root ? "root" : "unshare";
  const work = path.join(folder, "work");
  await mkdir(work);
  const run = (command: string, args: string[], advice = NETWORK_ADVICE): Promise<void> =>
    runBuildCommand(command, args, { progress, ...(signal ? { signal } : {}), deadlineMillis: 15 * 60_000, advice });
  const fraction = (done: number): void => progress.fraction?.(done);
  const doing = (what: string): void => {
    progress.log(what);
    progress.detail?.(what);
  };

  const archives: string[] = [];
  for (const [index, image] of SAMPLE_IMAGES.entries()) {
    doing(`container image ${image.name}`);
    const packages = path.join(work, "packages.tar");
    await run("mmdebstrap", [
      "--quiet",
      "--variant=extract",
      `--mode=${mode}`,
      "--format=tar",
      ...APT,
      `--include=${image.packages.join(",")}`,
      SUITE,
      packages,
    ]);
    const archive = path.join(work, `${image.name.replaceAll(/[/:]/g, "-")}.tar`);
    await writeSampleImage(image, packages, archive);
    archives.push(archive);
    fraction(0.02 + (index + 1) * 0.07);
  }

  const overlay = path.join(work, "overlay.tar");
  await writeOverlay(overlay, archives);
  const rootTar = path.join(work, "root.tar");
  doing("Debian packages of the node");
  await run("mmdebstrap", [
    "--variant=minbase",
    `--mode=${mode}`,
    "--format=tar",
    ...APT,
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    `--include=${NODE_PACKAGES.join(",")}`,
    '--customize-hook=chroot "$1" sh -c "xz -dc /usr/lib/modules/*/kernel/drivers/block/virtio_blk.ko.xz >/boot/virtio_blk.ko && mv /boot/vmlinuz-* /boot/vmlinuz"',
    `--customize-hook=chroot "$1" sh -c '${APPLET_LINKS}'`,
    `--customize-hook=tar-in ${overlay} /`,
    `--customize-hook=cd "$1" && rm -rf ${NODE_REMOVED.join(" ")} etc/machine-id var/lib/dbus/machine-id etc/hostname`,
    SUITE,
    rootTar,
  ]);
  fraction(0.75);

  const files = await readFiles(rootTar, ["boot/vmlinuz", "boot/virtio_blk.ko", "usr/bin/busybox"]);
  await writeFile(path.join(folder, KERNEL), files.get("boot/vmlinuz") as Buffer);
  await writeFile(path.join(folder, INITRD), await initrd(files));

  doing("the node's disk");
  const raw = path.join(work, "disk.raw");
  const handle = await open(raw, "w");
  await handle.truncate(IMAGE_BYTES);
  await handle.close();
  const makeFileSystem =
    "mke2fs -q -F -t ext4 -L drydock -m 0 -O ^metadata_csum,uninit_bg -E lazy_itable_init=1,lazy_journal_init=1 -J size=32";
  const room = "Check that there is room on the disk.";
  if (root) {
    const stage = path.join(work, "root");
    const makeDisk = `mkdir -p '${stage}' && tar -C '${stage}' -xf '${rootTar}' && ${makeFileSystem} -d '${stage}' '${raw}' && rm -rf '${stage}'`;
    await run("sh", ["-c", makeDisk], room);
  } else {
    // The root of a user's namespace is a stranger in that user's home: it works in /var/tmp, and gets the files opened.
    // It may not make devices either; the kernel puts them into /dev at boot.
    const inside = `stage=$(mktemp -d /var/tmp/drydock-XXXXXX) && trap 'rm -rf "$stage"' EXIT && tar -C "$stage" --exclude='./dev/*' -xf - && ${makeFileSystem} -d "$stage" /proc/self/fd/3`;
    const makeDisk = `chmod 666 "$2" && exec mmdebstrap --unshare-helper sh -c "$3" <"$1" 3<>"$2"`;
    await run("sh", ["-c", makeDisk, "sh", rootTar, raw, inside], `${room} /var/tmp needs 1 GiB.`);
  }
  fraction(0.9);
  await run(
    "qemu-img",
    ["convert", "-f", "raw", "-O", "qcow2", raw, path.join(folder, DISK)],
    "Check that there is room on the disk.",
  );
  await rm(work, { recursive: true, force: true });
  fraction(1);
  const sizes: Record<string, number> = {};
  for (const name of [KERNEL, INITRD, DISK]) sizes[name] = (await stat(path.join(folder, name))).size;
  return sizes;
}

/** What is ours in the node: the files under vm-images/node, Node.js, the container images. */
async function writeOverlay(target: string, archives: string[]): Promise<void> {
  const out = pack();
  const written = pipeline(out, createWriteStream(target));
  const source = path.join(projectFolder(), "vm-images/node");
  for (const entry of (await readdir(source, { recursive: true, withFileTypes: true })).toSorted((a, b) =>
    a.parentPath.localeCompare(b.parentPath),
  )) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    const executable = ((await stat(file)).mode & 0o100) !== 0;
    await addEntry(out, { name: path.relative(source, file), mode: executable ? 0o755 : 0o644 }, await readFile(file));
  }
  for (const folder of ["usr/lib/drydock/images", "var/lib/drydock"])
    await addEntry(out, { name: folder, type: "directory", mode: 0o755 });
  await addEntry(out, { name: "usr/sbin/init", type: "symlink", linkname: "../bin/busybox", mode: 0o777 });
  await addEntry(out, { name: "usr/lib/drydock/node", mode: 0o755 }, await readFile(process.execPath));
  await addEntry(out, { name: "etc/resolv.conf", mode: 0o644 }, Buffer.from("nameserver 10.0.2.3\n"));
  await addEntry(
    out,
    { name: "etc/hosts", mode: 0o644 },
    Buffer.from("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"),
  );
  for (const archive of archives) {
    await addFile(out, `usr/lib/drydock/images/${path.basename(archive)}`, archive);
  }
  out.finalize();
  await written;
}

async function readFiles(archive: string, names: string[]): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>();
  const input = extract();
  input.on("entry", (header, stream, next) => {
    const name = header.name.replace(/^\.?\//, "");
    const chunks: Buffer[] = [];
    if (names.includes(name)) stream.on("data", (chunk) => chunks.push(chunk as Buffer));
    else stream.resume();
    stream.once("end", () => {
      if (names.includes(name)) found.set(name, Buffer.concat(chunks));
      next();
    });
  });
  await pipeline(createReadStream(archive), input);
  const missing = names.filter((name) => !found.get(name)?.length);
  if (missing.length > 0)
    throw new MachineError({
      code: "IMAGE_BUILD_FAILED",
      message: `The node's root has no ${missing.join(", ")}.`,
      advice: "Look at the step's log.",
    });
  return found;
}

async function initrd(files: Map<string, Buffer>): Promise<Buffer> {
  const init = await readFile(path.join(projectFolder(), "vm-images/initrd/init"));
  const directory = (name: string): CpioEntry => ({ path: name, mode: 0o040755 });
  const applets = ["sh", "mount", "insmod", "sleep", "poweroff", "mkdir", "cp", "echo", "switch_root"];
  return cpio([
    ...["bin", "dev", "proc", "sys", "root"].map(directory),
    { path: "dev/console", mode: 0o020600, device: { major: 5, minor: 1 } },
    { path: "bin/busybox", mode: 0o100755, data: files.get("usr/bin/busybox") as Buffer },
    ...applets.map((name) => ({ path: `bin/${name}`, mode: 0o120777, data: Buffer.from("busybox") })),
    { path: "virtio_blk.ko", mode: 0o100644, data: files.get("boot/virtio_blk.ko") as Buffer },
    { path: "init", mode: 0o100755, data: init },
  ]);
}
