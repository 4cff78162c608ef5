/**
 * Makes this computer's programs trust a cluster's authority, so that browsers show its Ingresses without a warning, and
 * takes that back. What this user may do is done; for the rest the exact commands are told.
 */
import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import type { TrustReport } from "../../common/contract/cluster.ts";

const run = promisify(execFile);
const COMMAND_MILLIS = 60_000;

/** What there is on this computer to decide from. */
export interface TrustFacts {
  platform: NodeJS.Platform;
  /** Of these folders of authorities the system has. */
  systemFolders: string[];
  /** Debian's programs that hear which authorities come and go (Java's own store has one). */
  hooks: string[];
  /** Becomes root without being asked for a password: "" as root itself, else the words before a command. */
  asRoot: string[] | undefined;
  /** certutil, which changes browsers' own stores. */
  certutil: boolean;
  /** Folders of browsers' stores (NSS). */
  browsers: string[];
}

export interface TrustStep {
  /** What it is for, in words. */
  store: string;
  commands: string[][];
  /** Why this process cannot do it itself; undefined: it can. */
  manual?: string;
}

/** Linux: where administrators put authorities, and what takes them into use. */
const SYSTEM: { folder: string; update: string[] }[] = [
  { folder: "/usr/local/share/ca-certificates", update: ["update-ca-certificates"] },
  { folder: "/etc/pki/ca-trust/source/anchors", update: ["update-ca-trust"] },
  { folder: "/etc/ca-certificates/trust-source/anchors", update: ["trust", "extract-compat"] },
];

const HOOKS = "/etc/ca-certificates/update.d";
/** Names that run-parts takes. */
const HOOK_NAME = /^[\w-]+$/;

/** Each store of authorities with the commands that put this one in, or take it out (`undo`). Pure. */
export function trustSteps(
  cluster: string,
  authority: { file: string; sha1: string },
  facts: TrustFacts,
  undo: boolean,
): TrustStep[] {
  const { file, sha1 } = authority;
  if (facts.platform === "darwin") {
    const keychain = path.posix.join(homedir(), "Library/Keychains/login.keychain-db");
    const add = ["security", "add-trusted-cert", "-r", "trustRoot", "-k", keychain, file];
    const remove = ["security", "delete-certificate", "-Z", sha1, "-t", keychain];
    return [{ store: "the login keychain", commands: [undo ? remove : add] }];
  }
  if (facts.platform === "win32") {
    const words = undo ? ["-delstore", "-user", "Root", sha1] : ["-addstore", "-user", "Root", file];
    return [{ store: "your certificates", commands: [["certutil", ...words]] }];
  }
  return [...systemSteps(cluster, file, facts, undo), ...browserSteps(cluster, file, facts, undo)];
}

function systemSteps(cluster: string, file: string, facts: TrustFacts, undo: boolean): TrustStep[] {
  const known = SYSTEM.find(({ folder }) => facts.systemFolders.includes(folder));
  if (!known) return [];
  const place = `${known.folder}/drydock-${cluster}.crt`;
  const words = facts.asRoot ?? ["sudo"];
  const put = undo ? ["rm", "-f", place] : ["install", "-m", "0644", file, place];
  // Debian's forgets one that is gone only when told to look afresh.
  const update = undo && known.update[0] === "update-ca-certificates" ? [...known.update, "--fresh"] : known.update;
  // Debian tells its hooks what has come, but not what an administrator took away: Java would trust it for ever.
  const pem = `/etc/ssl/certs/${path.basename(place, ".crt")}.pem`;
  const goodbyes = undo ? facts.hooks.map((hook) => ["sh", "-c", 'echo "-$1" | "$2"', "sh", pem, hook]) : [];
  return [
    {
      store: "the system",
      commands: [put, update, ...goodbyes].map((command) => [...words, ...command]),
      ...(facts.asRoot ? {} : { manual: "it takes root" }),
    },
  ];
}

function browserSteps(cluster: string, file: string, facts: TrustFacts, undo: boolean): TrustStep[] {
  return facts.browsers.map((folder) => {
    const store = ["-d", `sql:${folder}`];
    const name = ["-n", `Drydock ${cluster}`];
    const words = undo ? ["-D", ...name] : ["-A", "-t", "C,,", ...name, "-i", file];
    return {
      store: `the browser's store ${folder}`,
      commands: [["certutil", ...store, ...words]],
      ...(facts.certutil ? {} : { manual: "certutil is missing (Debian: apt-get install libnss3-tools)" }),
    };
  });
}

/** `file`: the authority's certificate, PEM. Never throws for a store that refuses: the report says so. */
export async function trustAuthority(cluster: string, file: string, pem: string, undo: boolean): Promise<TrustReport> {
  const sha1 = new X509Certificate(pem).fingerprint.replaceAll(":", "");
  return carryOut(trustSteps(cluster, { file, sha1 }, await factsOfHost(), undo), file);
}

export async function carryOut(steps: TrustStep[], certificate: string): Promise<TrustReport> {
  const report: TrustReport = { certificate, done: [], left: [] };
  for (const { store, commands, manual } of steps) {
    const told = commands.map((words) => words.map(quoted).join(" "));
    if (manual !== undefined) {
      report.left.push({ store, why: manual, commands: told });
      continue;
    }
    try {
      for (const [command = "", ...args] of commands) await run(command, args, { timeout: COMMAND_MILLIS });
      report.done.push(store);
    } catch (error) {
      const { stderr, message } = error as Error & { stderr?: string };
      report.left.push({ store, why: (stderr?.trim() || message).slice(0, 300), commands: told });
    }
  }
  return report;
}

async function factsOfHost(home: string = homedir()): Promise<TrustFacts> {
  const there = async (command: string, args: string[]): Promise<boolean> =>
    run(command, args, { timeout: 5000 }).then(
      () => true,
      (error: NodeJS.ErrnoException) => error.code !== "ENOENT" && typeof error.code === "number" && command !== "sudo",
    );
  const root = process.getuid?.() === 0;
  const linux = process.platform === "linux";
  return {
    platform: process.platform,
    systemFolders: SYSTEM.map(({ folder }) => folder).filter((folder) => existsSync(folder)),
    hooks: linux ? await debianHooks() : [],
    asRoot: root ? [] : linux && (await there("sudo", ["-n", "true"])) ? ["sudo", "-n"] : undefined,
    certutil: linux && (await there("certutil", ["-H"])),
    browsers: linux ? await browserStores(home) : [],
  };
}

async function debianHooks(): Promise<string[]> {
  const names = await readdir(HOOKS).catch(() => []);
  return names.filter((name) => HOOK_NAME.test(name)).map((name) => path.join(HOOKS, name));
}

/** Chromium's store of the user, and each Firefox profile's, packaged or not. */
export async function browserStores(home: string): Promise<string[]> {
  const chromium = [".pki/nssdb", "snap/chromium/current/.pki/nssdb", ".var/app/org.chromium.Chromium/data/pki/nssdb"];
  const firefox = [
    ".mozilla/firefox",
    "snap/firefox/common/.mozilla/firefox",
    ".var/app/org.mozilla.firefox/.mozilla/firefox",
  ];
  const folders = chromium.map((folder) => path.join(home, folder));
  for (const profiles of firefox) {
    const names = await readdir(path.join(home, profiles)).catch(() => []);
    folders.push(...names.map((name) => path.join(home, profiles, name)));
  }
  return folders.filter((folder) => existsSync(path.join(folder, "cert9.db")));
}

/** For a shell. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
