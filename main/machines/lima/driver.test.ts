import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { MachineSpec } from "../driver.ts";
import { LimaDriver } from "./driver.ts";

let folder: string;
let driver: LimaDriver;
let spec: MachineSpec;
let log: string[];

/**
 * A program in limactl's place that keeps instances as folders, and fails where a file says so: enough to see what the
 * driver asks for and what it leaves. The real one is met in test/cluster/machines-lima.test.ts.
 */
const LIMACTL = `#!/bin/sh
here=$(dirname "$0")
echo "$*" >>"$here/calls"
for last in "$@"; do :; done
case "$1" in
--version) echo "limactl version 1.2.2" ;;
create)
  mkdir "$here/creating" || exit 1
  sleep 0.1
  name=\${3#--name=}
  mkdir -p "$LIMA_HOME/$name"
  echo Stopped >"$LIMA_HOME/$name/status"
  rmdir "$here/creating" ;;
list)
  for dir in "$LIMA_HOME"/[a-z]*; do
    [ -e "$dir/status" ] || continue
    name=$(basename "$dir")
    echo "{\\"name\\":\\"$name\\",\\"status\\":\\"$(cat "$dir/status")\\",\\"dir\\":\\"$dir\\",\\"hostname\\":\\"lima-$name\\",\\"sshConfigFile\\":\\"$dir/ssh.config\\",\\"cpus\\":2,\\"memory\\":1073741824,\\"disk\\":21474836480}"
  done ;;
start)
  echo "guest: a last word" >"$LIMA_HOME/$last/serial.log"
  echo 'level=fatal msg="it did not come up"' >&2
  exit 1 ;;
stop) echo Stopped >"$LIMA_HOME/$last/status" ;;
delete) rm -r "$LIMA_HOME/$last" ;;
esac
`;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "dd-"));
  const limactl = path.join(folder, "limactl");
  await writeFile(limactl, LIMACTL);
  await chmod(limactl, 0o755);
  await mkdir(path.join(folder, "run"));
  log = [];
  driver = new LimaDriver({
    home: path.join(folder, "home"),
    runFolder: path.join(folder, "run"),
    limactl,
    log: (line) => log.push(line),
    probeQemu: () => Promise.resolve({ ok: true, accelerators: [{ name: "tcg", works: true, reason: "always" }] }),
  });
  spec = {
    id: "one-one-worker-1",
    folder: path.join(folder, "nodes", "one"),
    cpus: 2,
    memoryMiB: 1024,
    diskGiB: 20,
    mac: "52:54:00:01:02:03",
    accelerator: "tcg",
    networkId: "one",
    forwards: [],
  };
  await mkdir(spec.folder, { recursive: true });
});
afterEach(async () => {
  await driver.network("one").close();
  await rm(folder, { recursive: true });
});

const quiet = { log: () => undefined };
const home = (): string => path.join(folder, "home", "lima");

async function instance(status: string): Promise<string> {
  const dir = path.join(home(), spec.id);
  await mkdir(dir, { recursive: true });
  await writeFile(path.join(dir, "status"), status);
  return dir;
}

async function calls(): Promise<string[]> {
  return (await readFile(path.join(folder, "calls"), "utf8")).trimEnd().split("\n");
}

it("says that an instance was deleted behind its back", async () => {
  await expect(driver.start(spec, quiet)).rejects.toMatchObject({
    code: "MACHINE_FAILED",
    message: expect.stringContaining("has no instance one-one-worker-1"),
  });
});

it("has instances made one after another, as Lima needs it", async () => {
  const image = { version: "1", kernel: "/k", initrd: "/i", disk: "/d", diskFormat: "qcow2" as const, append: "" };
  Object.assign(driver, { prepared: { ...image, key: "k", bytes: 1 } });
  const specs = [1, 2, 3].map((number) => ({ ...spec, id: `one-${number}`, folder: `${spec.folder}-${number}` }));
  await Promise.all(specs.map((one) => driver.create(one, quiet)));
  for (const { id, folder: made } of specs)
    expect([existsSync(path.join(home(), id)), existsSync(path.join(made, "lima.yaml"))]).toEqual([true, true]);
});

it("tells why a start failed, and leaves nothing running", async () => {
  await instance("Broken");
  await expect(driver.start({ ...spec, cpus: 4 }, quiet)).rejects.toMatchObject({
    code: "LIMA_FAILED",
    message: "limactl start: it did not come up",
    lastLines: ["it did not come up", "guest: a last word"],
  });
  expect((await calls()).filter((call) => !call.startsWith("list"))).toEqual([
    "stop --force one-one-worker-1",
    'edit --tty=false --set .cpus = 4 | .memory = "1024MiB" | .disk = "20GiB" one-one-worker-1',
    "start --tty=false --timeout=9m one-one-worker-1",
    "stop --force one-one-worker-1",
  ]);
  expect(await readdir(path.join(folder, "run"))).toEqual([]);
});

it("ends a machine whose network is cut for good rather than taking it up", async () => {
  await instance("Running");
  expect(await driver.adopt(spec)).toBeUndefined();
  expect(log.join("\n")).toContain("its network is cut for good");
  expect((await calls()).at(-1)).toBe("stop --force one-one-worker-1");
});

it("deletes what is there, and does not ask Lima about what never was", async () => {
  const dir = await instance("Stopped");
  await driver.delete(spec);
  expect([existsSync(dir), existsSync(spec.folder)]).toEqual([false, false]);
  await rm(path.join(folder, "limactl"));
  await driver.delete(spec);
  expect(await driver.adopt(spec)).toBeUndefined();
});

it("does not delete what runs", async () => {
  await instance("Running");
  await expect(driver.delete(spec)).rejects.toMatchObject({ code: "MACHINE_FAILED" });
});

it("says what is in the way of using it", async () => {
  await rm(path.join(folder, "limactl"));
  expect(await driver.probe()).toMatchObject({ ok: false, problem: { code: "LIMA_MISSING" } });
});
