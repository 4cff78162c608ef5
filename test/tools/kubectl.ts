/** A real kubectl for tests: $KUBECTL, or that of the Debian release that carries the version. */
import path from "node:path";
import { debianPackage } from "./debian-package.ts";

const RELEASES = { "1.36": "sid", "1.32": "trixie" } as const;
export type KubectlVersion = keyof typeof RELEASES;

export const kubectlVersions = Object.keys(RELEASES) as KubectlVersion[];

/** Path of a kubectl of (about) that version. */
export async function kubectlPath(version: KubectlVersion = "1.36"): Promise<string> {
  const given = process.env["KUBECTL"];
  if (given && version === "1.36") return given;
  return path.join(await debianPackage("kubectl", RELEASES[version]), "usr", "bin", "kubectl");
}
