import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { createAuthority } from "../control-plane/pki/keys.ts";
import { browserStores, carryOut, trustSteps } from "./trust.ts";
import type { TrustFacts } from "./trust.ts";

const authority = { file: "/home/me/.drydock/clusters/lab/ca.crt", sha1: "AB12" };
const debian: TrustFacts = {
  platform: "linux",
  systemFolders: ["/usr/local/share/ca-certificates"],
  hooks: [],
  asRoot: undefined,
  certutil: true,
  browsers: ["/home/me/.pki/nssdb"],
};
const told = (facts: Partial<TrustFacts>, undo = false): string[] =>
  trustSteps("lab", authority, { ...debian, ...facts }, undo).flatMap(({ commands, manual }) =>
    commands.map((words) => `${manual ? "left: " : ""}${words.join(" ")}`),
  );

describe("the steps to trust an authority", () => {
  it("leave to the user what takes root", () => {
    expect(told({})).toEqual([
      "left: sudo install -m 0644 /home/me/.drydock/clusters/lab/ca.crt /usr/local/share/ca-certificates/drydock-lab.crt",
      "left: sudo update-ca-certificates",
      "certutil -d sql:/home/me/.pki/nssdb -A -t C,, -n Drydock lab -i /home/me/.drydock/clusters/lab/ca.crt",
    ]);
  });

  it("are taken back one by one", () => {
    expect(told({ asRoot: [] }, true)).toEqual([
      "rm -f /usr/local/share/ca-certificates/drydock-lab.crt",
      "update-ca-certificates --fresh",
      "certutil -d sql:/home/me/.pki/nssdb -D -n Drydock lab",
    ]);
  });

  it("tell Debian's hooks, of which Java's store is one, that it is gone", () => {
    const hooks = ["/etc/ca-certificates/update.d/jks-keystore"];
    expect(told({ hooks, asRoot: ["sudo", "-n"], browsers: [] }, true).at(-1)).toBe(
      'sudo -n sh -c echo "-$1" | "$2" sh /etc/ssl/certs/drydock-lab.pem /etc/ca-certificates/update.d/jks-keystore',
    );
    expect(told({ hooks, asRoot: [], browsers: [] })).toHaveLength(2);
  });

  it.each([
    [
      { systemFolders: ["/etc/pki/ca-trust/source/anchors"], asRoot: ["sudo", "-n"], browsers: [] },
      "sudo -n update-ca-trust",
    ],
    [
      { certutil: false, systemFolders: [] },
      "left: certutil -d sql:/home/me/.pki/nssdb -A -t C,, -n Drydock lab -i /home/me/.drydock/clusters/lab/ca.crt",
    ],
    [{ platform: "win32" as const }, "certutil -addstore -user Root /home/me/.drydock/clusters/lab/ca.crt"],
  ])("on %j", (facts, last) => {
    expect(told(facts).at(-1)).toBe(last);
  });
});

describe("carrying them out", () => {
  it("says what was done, what is left, and why", async () => {
    const report = await carryOut(
      [
        { store: "good", commands: [["true"]] },
        { store: "refusing", commands: [["sh", "-c", "echo no such store >&2; exit 1"]] },
        { store: "root's", commands: [["sudo", "cp", "a b"]], manual: "it takes root" },
      ],
      "/ca.crt",
    );
    expect(report).toMatchObject({
      done: ["good"],
      left: [
        { store: "refusing", why: "no such store" },
        { store: "root's", why: "it takes root", commands: ["sudo cp 'a b'"] },
      ],
    });
  });
});

it("finds the stores that browsers have", async () => {
  const home = await mkdtemp(path.join(tmpdir(), "dd-"));
  for (const folder of [".pki/nssdb", ".mozilla/firefox/x.default", ".mozilla/firefox/empty"])
    await mkdir(path.join(home, folder), { recursive: true });
  for (const folder of [".pki/nssdb", ".mozilla/firefox/x.default"])
    await writeFile(path.join(home, folder, "cert9.db"), "");
  expect((await browserStores(home)).map((folder) => path.relative(home, folder))).toEqual([
    ".pki/nssdb",
    ".mozilla/firefox/x.default",
  ]);
  await rm(home, { recursive: true });
});

const CERTUTIL = "/usr/bin/certutil";

it.skipIf(!existsSync(CERTUTIL))("puts an authority into a real store, and takes it out again", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "dd-"));
  const run = async (...args: string[]): Promise<string> => (await promisify(execFile)(CERTUTIL, args)).stdout;
  await run("-N", "--empty-password", "-d", `sql:${folder}`);
  const { certificate } = await createAuthority("kubernetes");
  const file = path.join(folder, "ca.crt");
  await writeFile(file, certificate);
  const facts = { ...debian, systemFolders: [], browsers: [folder] };
  for (const undo of [false, true]) {
    const report = await carryOut(trustSteps("lab", { file, sha1: "" }, facts, undo), file);
    expect(report.left).toEqual([]);
    expect((await run("-L", "-d", `sql:${folder}`)).includes("Drydock lab")).toBe(!undo);
  }
  await rm(folder, { recursive: true });
});
