import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { AgentMessage } from "../../../common/node/identity.ts";
import { LimaLink } from "./link.ts";

let folder: string;
let link: LimaLink;
let log: string[];

/**
 * A program in ssh's place: notes how it is called, has a master once it has been started with -f, and lets an agent answer
 * on its channel.
 */
const SSH = `#!/bin/sh
here=$(dirname "$0")
echo "$*" >>"$here/calls"
case "$*" in
*"-O check"*) [ -e "$here/master" ] ;;
*"-O forward"*) if [ -e "$here/taken" ]; then echo "Port forwarding failed." >&2; exit 255; fi ;;
*"-O exit"*) rm -f "$here/master" ;;
*"-O "*) ;;
*" -f "*) : >"$here/master" ;;
*agent-channel*)
  echo '{"type":"stage","stage":"docker"}'
  echo 'a line that is none'
  while read -r line; do
    case "$line" in
    *ping*) echo '{"type":"hello","agentVersion":"1","imageVersion":"2","stage":"ready"}' ;;
    *shutdown*) rm -f "$here/master"; exit 0 ;;
    esac
  done ;;
esac
`;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "dd-"));
  const ssh = path.join(folder, "ssh");
  await writeFile(ssh, SSH);
  await chmod(ssh, 0o755);
  log = [];
  link = new LimaLink({
    config: "/lima/one/ssh.config",
    host: "lima-one",
    control: path.join(folder, "control"),
    ssh,
    log: (line) => log.push(line),
  });
});
afterEach(async () => {
  await link.close(true);
  await rm(folder, { recursive: true });
});

const web = { name: "web", hostPort: 8080, guestPort: 30080 };

async function calls(of: string): Promise<string[]> {
  return (await readFile(path.join(folder, "calls"), "utf8")).split("\n").filter((line) => line.includes(of));
}

async function open(): Promise<AgentMessage[]> {
  const heard: AgentMessage[] = [];
  link.onMessage((message) => heard.push(message));
  await link.open();
  await expect.poll(() => heard.length, { timeout: 10_000, interval: 5 }).toBeGreaterThan(0);
  return heard;
}

it("hears the agent, and is heard by it", async () => {
  const heard = await open();
  expect(heard[0]).toEqual({ type: "stage", stage: "docker" });
  await link.send({ type: "ping" });
  await expect.poll(() => heard.at(-1), { timeout: 10_000, interval: 5 }).toMatchObject({ type: "hello" });
  expect(log).toEqual([expect.stringContaining("a line that is none")]);
});

it("says no before it is open", async () => {
  await expect(link.send({ type: "ping" })).rejects.toThrow("is not open");
});

it("leads ports by the one connection, to the guest's own address", async () => {
  await open();
  await link.forward({ ...web, hostAddress: "127.70.0.1" });
  await link.cancel({ ...web, hostAddress: "127.70.0.1" });
  expect(await calls("-L 127.70.0.1:8080:192.168.5.15:30080")).toEqual([
    expect.stringContaining("-O forward"),
    expect.stringContaining("-O cancel"),
  ]);
});

it("says when a port is taken, and that UDP cannot be led", async () => {
  await open();
  await writeFile(path.join(folder, "taken"), "");
  await expect(link.forward(web)).rejects.toMatchObject({
    code: "PORT_TAKEN",
    message: expect.stringContaining("Port forwarding failed"),
  });
  await expect(link.forward({ ...web, protocol: "udp" })).rejects.toMatchObject({ code: "UNSUPPORTED" });
});

it("connects again when the connection breaks, and leads the ports again", async () => {
  const heard = await open();
  await link.forward(web);
  await link.send({ type: "shutdown", gracePeriodSeconds: 0 });
  await expect.poll(() => heard.length, { timeout: 20_000, interval: 20 }).toBe(2);
  expect(await calls(" -f ")).toHaveLength(2);
  expect(await calls("-O forward")).toHaveLength(2);
});

it("leaves the connection to another engine, unless the machine is gone", async () => {
  await open();
  await link.close(false);
  expect(await calls("-O exit")).toEqual([]);
  await link.close(true);
  expect(await calls("-O exit")).toHaveLength(1);
});
