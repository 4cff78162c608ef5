/**
 * Debian packages for tests, unpacked into .cache: fetched once through an apt root of our own (the system's stays as it
 * is) and checked by apt. Nothing of it is installed.
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
const FETCH_MILLIS = 300_000;

export type Release = "sid" | "trixie" | "bookworm";

/**
 * The folder that holds the package's files as they would lie on "/", and those of others beside them. Throws when it can
 * neither be found nor fetched.
 */
export async function debianPackage(name: string, release: Release, others: readonly string[] = []): Promise<string> {
  const folder = path.join(CACHE, `${name}-${release}`);
  if (!existsSync(folder)) await fetchPackages([name, ...others], release, folder);
  return folder;
}

/** The same; undefined where it cannot be had, which is told: those who need it are to be skipped by name. */
export async function debianPackageIfAny(
  name: string,
  release: Release,
  others: readonly string[] = [],
): Promise<string | undefined> {
  try {
    return await debianPackage(name, release, others);
  } catch (error) {
    process.stderr.write(`skipped: ${(error as Error).message}\n`);
    return undefined;
  }
}

async function fetchPackages(names: readonly string[], release: Release, folder: string): Promise<void> {
  await mkdir(CACHE, { recursive: true });
  const work = await mkdtemp(path.join(CACHE, "apt-"));
  try {
    const lists = path.join(work, "lists");
    const archives = path.join(work, "archives");
    const unpacked = path.join(work, "unpacked");
    for (const made of [lists, archives, unpacked]) await mkdir(path.join(made, "partial"), { recursive: true });
    const sources = path.join(work, "sources.list");
    await writeFile(sources, `deb [signed-by=${KEYRING}] ${MIRROR} ${release} main\n`);
    // Nothing is installed as far as this apt knows: what the system has is not to be compared with.
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
    await apt(["download", ...names]);
    const fetched = (await readdir(archives)).filter((file) => file.endsWith(".deb"));
    if (fetched.length < names.length) throw new Error(`apt found ${fetched.length} of ${names.length}`);
    for (const archive of fetched)
      await run("dpkg", ["-x", path.join(archives, archive), unpacked], { timeout: FETCH_MILLIS });
    await rm(path.join(unpacked, "partial"), { recursive: true });
    await rename(unpacked, folder).catch((error: NodeJS.ErrnoException) => {
      // Another test was faster: its copy is as good.
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    });
  } catch (error) {
    throw new Error(`${names[0]} of Debian ${release} cannot be fetched: ${String(error)}`, { cause: error });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
