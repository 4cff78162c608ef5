/**
 * A real kubectl for tests: $KUBECTL, or Debian's package of that release, fetched once through an apt root
 * of our own (the system's stays as it is), checked by apt, and unpacked into .cache.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const CACHE = path.resolve(import.meta.dirname, "../../.cache");
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const MIRROR = "http://deb.debian.org/debian";

/** Debian release that carries each version. */
const RELEASES = { "1.36": "sid", "1.32": "trixie" } as const;
export type KubectlVersion = keyof typeof RELEASES;

const FETCH_MILLIS = 300_000;

/** Path of a kubectl of (about) that version. */
export async function kubectlPath(version: KubectlVersion = "1.36"): Promise<string> {
  const given = process.env["KUBECTL"];
  if (given && version === "1.36") return given;
  const folder = path.join(CACHE, `kubectl-${version}`);
  const binary = path.join(folder, "usr", "bin", "kubectl");
  if (!existsSync(binary)) await fetchKubectl(RELEASES[version], folder);
  return binary;
}

async function fetchKubectl(release: string, folder: string): Promise<void> {
  await mkdir(CACHE, { recursive: true });
  const work = await mkdtemp(path.join(CACHE, "apt-"));
  try {
    const lists = path.join(work, "lists");
    const archives = path.join(work, "archives");
    const unpacked = path.join(work, "unpacked");
    for (const made of [lists, archives, unpacked]) await mkdir(path.join(made, "partial"), { recursive: true });
    const sources = path.join(work, "sources.list");
    await writeFile(sources, `deb [signed-by=${KEYRING}] ${MIRROR} ${release} main\n`);
    // Nothing is installed as far as this apt knows: the system's own kubectl is not to be compared with.
    const status = path.join(work, "status");
    await writeFile(status, "");
    const options = [
      `Dir::Etc::SourceList=${sources}`,
      "Dir::Etc::SourceParts=/dev/null",
      `Dir::State::Lists=${lists}`,
      `Dir::State::Status=${status}`,
      `Dir::Cache::Archives=${archives}`,
      `Dir::Cache::PkgCache=${path.join(work, "pkgcache")}`,
      `Dir::Cache::SrcPkgCache=${path.join(work, "srcpkgcache")}`,
      "APT::Sandbox::User=",
      "Acquire::Languages=none",
    ].flatMap((option) => ["-o", option]);
    const apt = (args: string[]): Promise<unknown> =>
      run("apt-get", [...options, "-q", ...args], { cwd: archives, timeout: FETCH_MILLIS });
    await apt(["update"]);
    await apt(["download", "kubectl"]);
    const archive = (await readdir(archives)).find((name) => name.endsWith(".deb"));
    if (!archive) throw new Error(`apt found no kubectl in ${release}`);
    await run("dpkg", ["-x", path.join(archives, archive), unpacked], { timeout: FETCH_MILLIS });
    await rm(path.join(unpacked, "partial"), { recursive: true });
    await rename(unpacked, folder).catch((error: NodeJS.ErrnoException) => {
      // Another test was faster: its copy is as good.
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
