/** Makes a docker-archive (what `docker load` reads) of one layer from extracted Debian packages and a description. */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { extract, pack } from "tar-stream";
import type { Header } from "tar-stream";
import type { SampleImage } from "../../../vm-images/recipe.ts";
import { addEntry, addFile, EPOCH } from "./tar.ts";

const BUSYBOX_LINKS = (
  "[ ar ash awk base64 basename bunzip2 bzip2 cat chgrp chmod chown cksum clear cmp cp cut date dd df diff dirname dmesg dnsdomainname du echo egrep env expr " +
  "factor fallocate false fgrep find fold free ftpget ftpput getopt grep groups gunzip gzip head hexdump hostid hostname httpd id ifconfig install ip kill killall " +
  "less link ln logger ls md5sum microcom mkdir mkfifo mknod mktemp more mount mv nc netstat nice nl nohup nproc nslookup od paste patch pgrep pidof ping ping6 pkill " +
  "printenv printf ps pwd readlink realpath renice reset rev rm rmdir route sed seq sh sha1sum sha256sum sha512sum shuf sleep sort split stat strings stty sum sync " +
  "tac tail tar tee telnet test tftp time timeout top touch tr traceroute true truncate tty umount uname uniq unlink unxz unzip uptime uudecode uuencode vi watch wc " +
  "wget which who whoami xargs xxd xz yes zcat"
).split(" ");

interface Layer {
  path: string;
  digest: string;
}

function normalize(name: string): string {
  return name.replace(/^\.?\//, "").replace(/\/$/, "");
}

/** Reads the packages' tar and writes the layer. */
async function writeLayer(image: SampleImage, packages: string, target: string): Promise<Layer> {
  const out = pack();
  const hash = createHash("sha256");
  out.on("data", (chunk) => hash.update(chunk as Buffer));
  const written = pipeline(out, createWriteStream(target));
  const present = new Set<string>();
  const only = image.only ? new Map(image.only) : undefined;
  const overridden = new Set([...image.files.map(([path]) => path), ...image.links.map(([path]) => path)]);

  const input = extract();
  input.on("entry", (header, stream, next) => {
    const from = normalize(header.name);
    const name = only ? only.get(from) : from;
    const unwanted =
      !name ||
      overridden.has(name) ||
      header.type === "character-device" ||
      header.type === "block-device" ||
      image.removed.some((path) => name === path || name.startsWith(`${path}/`));
    if (unwanted) {
      stream.resume();
      stream.once("end", next);
      return;
    }
    present.add(name);
    const entry: Header = { ...header, name, mtime: EPOCH };
    if (header.type === "link" && header.linkname) entry.linkname = normalize(header.linkname);
    const sink = out.entry(entry, next);
    stream.pipe(sink);
  });
  await pipeline(createReadStream(packages), input);

  for (const [path, mode] of image.directories)
    if (!present.has(path)) await addEntry(out, { name: path, type: "directory", mode });
  for (const [path, target] of image.links)
    if (!present.has(path)) await addEntry(out, { name: path, type: "symlink", linkname: target });
  for (const [path, text, mode] of image.files) await addEntry(out, { name: path, mode }, text);
  if (image.busybox) {
    for (const applet of BUSYBOX_LINKS) {
      const path = `usr/bin/${applet}`;
      if (!present.has(path)) await addEntry(out, { name: path, type: "symlink", linkname: "busybox" });
    }
  }
  out.finalize();
  await written;
  return { path: target, digest: hash.digest("hex") };
}

/** Writes the archive to `target`; `packages` is a tar of the packages' files. */
export async function writeSampleImage(image: SampleImage, packages: string, target: string): Promise<void> {
  const layer = await writeLayer(image, packages, `${target}.layer`);
  const config = JSON.stringify({
    architecture: "amd64",
    os: "linux",
    created: EPOCH.toISOString(),
    config: image.config,
    rootfs: { type: "layers", diff_ids: [`sha256:${layer.digest}`] },
    history: [{ created: EPOCH.toISOString(), created_by: `drydock: Debian ${image.packages.join(" ")}` }],
  });
  const configName = `${createHash("sha256").update(config).digest("hex")}.json`;
  const manifest = JSON.stringify([{ Config: configName, RepoTags: [image.name], Layers: ["layer.tar"] }]);
  const out = pack();
  const written = pipeline(out, createWriteStream(target));
  await addEntry(out, { name: configName, mode: 0o644 }, config);
  await addEntry(out, { name: "manifest.json", mode: 0o644 }, manifest);
  await addFile(out, "layer.tar", layer.path);
  out.finalize();
  await written;
}
