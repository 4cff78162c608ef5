import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { HostMessage } from "../../../common/node/identity.ts";
import { Log } from "../log.ts";
import { HostSocket } from "./socket.ts";

let folder: string;
let file: string;
let life: AbortController;
let channel: HostSocket;
let heard: HostMessage[];
let log: string[];
const hosts: Socket[] = [];

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "dd-"));
  file = path.join(folder, "agent.sock");
  life = new AbortController();
  heard = [];
  log = [];
  // What a killed agent left must not keep the next from listening.
  await writeFile(file, "");
  channel = new HostSocket(file, new Log((line) => log.push(line)));
  await channel.run((message) => heard.push(message), life.signal);
});

afterEach(async () => {
  life.abort();
  for (const host of hosts.splice(0)) host.destroy();
  await rm(folder, { recursive: true });
});

async function host(): Promise<{ socket: Socket; text: () => string }> {
  const socket = connect(file);
  hosts.push(socket);
  let text = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  await new Promise((resolve) => socket.once("connect", resolve));
  return { socket, text: () => text };
}

async function until(is: () => boolean): Promise<void> {
  await expect.poll(is, { timeout: 5000, interval: 5 }).toBe(true);
}

it("hears every host, and tells every host", async () => {
  const [first, second] = [await host(), await host()];
  first.socket.write('{"type":"pi');
  first.socket.write('ng"}\n\n');
  second.socket.write('{"type":"log","lines":3}\n');
  await until(() => heard.length === 2);
  expect(heard).toEqual(expect.arrayContaining([{ type: "ping" }, { type: "log", lines: 3 }]));
  channel.send({ type: "stage", stage: "docker" });
  await until(() => [first, second].every(({ text }) => text() === '{"type":"stage","stage":"docker"}\n'));
});

it("goes on after a line that is none, and after a host that is gone", async () => {
  const first = await host();
  first.socket.write("not JSON\n");
  await until(() => log.some((line) => line.includes("a line from the host")));
  first.socket.destroy();
  const second = await host();
  channel.send({ type: "log", lines: [] });
  second.socket.write('{"type":"ping"}\n');
  await until(() => heard.length > 0);
  expect(heard).toEqual([{ type: "ping" }]);
});

it("lets go of its socket at the end", async () => {
  const { socket } = await host();
  life.abort();
  await new Promise((resolve) => socket.once("close", resolve));
  await expect.poll(() => existsSync(file), { timeout: 5000, interval: 5 }).toBe(false);
});
