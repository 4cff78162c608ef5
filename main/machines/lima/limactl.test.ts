import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Limactl, messages } from "./limactl.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "dd-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** A program in limactl's place. */
async function stand(script: string): Promise<Limactl> {
  const command = path.join(folder, "limactl");
  await writeFile(command, `#!/bin/sh\n${script}\n`);
  await chmod(command, 0o755);
  return new Limactl({ home: path.join(folder, "home"), command });
}

/** As limactl 1.2.2 wrote it, without what is not read. */
const LISTED = {
  name: "test-one",
  hostname: "lima-test-one",
  status: "Running",
  dir: "/home/lima/test-one",
  vmType: "qemu",
  arch: "x86_64",
  cpus: 2,
  memory: 1073741824,
  disk: 21474836480,
  sshLocalPort: 45529,
  sshConfigFile: "/home/lima/test-one/ssh.config",
  hostAgentPID: 12,
  driverPID: 13,
  protected: false,
};

describe("version", () => {
  it.each([
    ["limactl version 1.2.2", "1.2.2"],
    ["limactl version v2.0.0-rc.1", "2.0.0"],
  ])("reads %s", async (said, version) => {
    expect(await (await stand(`echo '${said}'`)).version()).toBe(version);
  });

  it.each([
    ["limactl version 0.23.2", "LIMA_OLD", "0.23.2"],
    ["hello", "LIMA_FAILED", "does not tell its version"],
  ])("refuses %s", async (said, code, message) => {
    const limactl = await stand(`echo '${said}'`);
    await expect(limactl.version()).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
  });

  it("says that it is not there", async () => {
    const limactl = new Limactl({ home: folder, command: path.join(folder, "none") });
    await expect(limactl.version()).rejects.toMatchObject({ code: "LIMA_MISSING" });
  });
});

describe("list", () => {
  it("finds an instance among others", async () => {
    const other = { ...LISTED, name: "other", status: "Stopped", driverPID: undefined };
    const limactl = await stand(`cat <<'END'\n${JSON.stringify(other)}\n${JSON.stringify(LISTED)}\nEND`);
    expect(await limactl.find("test-one")).toMatchObject({ status: "Running", driverPID: 13, memory: 1073741824 });
    expect(await limactl.find("none")).toBeUndefined();
  });

  it("takes silence for no instance", async () => {
    expect(await (await stand("echo 'No instance found' >&2")).list()).toEqual([]);
  });

  it.each([
    ["{", "does not answer with JSON"],
    ['{"name":"one"}', "does not describe an instance (status:"],
    ['"one"', "does not describe an instance"],
  ])("does not believe %s", async (line, message) => {
    const limactl = await stand(`echo '${line}'`);
    await expect(limactl.list()).rejects.toMatchObject({
      code: "LIMA_FAILED",
      message: expect.stringContaining(message),
      lastLines: [line],
    });
  });
});

describe("call", () => {
  it("gives it a home of its own, and what else it is to know", async () => {
    const limactl = await stand('echo "$LIMA_HOME $MORE $*" > "$0.said"');
    await limactl.call(["start", "one"], { environment: { MORE: "more" } });
    expect(await readFile(path.join(folder, "limactl.said"), "utf8")).toBe(`${folder}/home more start one\n`);
  });

  it("says what it said last", async () => {
    const limactl = await stand(`echo 'time="2026-01-01T00:00:00Z" level=fatal msg="no \\"x\\" here"' >&2; exit 1`);
    await expect(limactl.call(["create"])).rejects.toMatchObject({
      code: "LIMA_FAILED",
      message: 'limactl create: no "x" here',
      command: `${folder}/limactl create`,
    });
  });

  it("knows when it refuses to run as root", async () => {
    const limactl = await stand(`echo 'level=fatal msg="must not run as the root user"' >&2; exit 1`);
    await expect(limactl.call(["list"])).rejects.toMatchObject({ code: "LIMA_REFUSED" });
  });

  it("does not wait for ever", async () => {
    const limactl = await stand("exec sleep 60");
    await expect(limactl.call(["start"], { millis: 100 })).rejects.toMatchObject({
      code: "LIMA_FAILED",
      message: "limactl start: no end within 0.1 s",
    });
  });

  it("gives up when told to", async () => {
    const limactl = await stand("exec sleep 60");
    const reason = new Error("enough");
    await expect(limactl.call(["start"], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

it("takes the text out of what Lima logs, and leaves other lines", () => {
  const log = 'time="t" level=info msg="[hostagent] one"\nplain\nlevel=error msg="a\\x00b"\n';
  expect(messages(log)).toEqual(["[hostagent] one", "plain", "a\\x00b"]);
});
