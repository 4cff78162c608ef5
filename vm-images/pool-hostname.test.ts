import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const PROGRAM = path.join(import.meta.dirname, "node/usr/lib/drydock/pool-hostname.awk");

let folder: string;
beforeEach(() => (folder = mkdtempSync(path.join(tmpdir(), "drydock-"))));
afterEach(() => rmSync(folder, { recursive: true }));

/** What becomes of a container's config.json. */
function after(config: object): unknown {
  const file = path.join(folder, "config.json");
  writeFileSync(file, JSON.stringify(config));
  const { status, stderr } = spawnSync("awk", ["-f", PROGRAM, file], { encoding: "utf8" });
  expect(stderr).toBe("");
  expect(status).toBe(0);
  return JSON.parse(readFileSync(file, "utf8"));
}

const config = (env: string[], hostname: string): object => ({
  process: { args: ["sh", "HOSTNAME=argument", 'say "HOSTNAME=quoted"'], env },
  root: { path: "/rootfs" },
  hostname,
  mounts: [{ destination: "/a", options: ["HOSTNAME=mount"] }],
});

describe("the hostname of a container that joins a sandbox started ahead", () => {
  it("is its Pod's, which its environment names last", () => {
    const env = ["HOSTNAME=before", 'X="HOSTNAME=no', "Y=\\", "HOSTNAME=boat"];
    expect(after(config(env, "drydock-pool"))).toEqual(config(env, "boat"));
  });

  it.each([
    ["of a sandbox made for its Pod", ["HOSTNAME=boat"], "ship"],
    ["without a name in its environment", [], ""],
  ])("%s stays as it is", (_what, env, hostname) => {
    const same = config(env, hostname);
    expect(after(same)).toEqual(same);
  });
});
