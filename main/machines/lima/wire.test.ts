import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { answers } from "./plug.ts";
import { runWire } from "./wire.ts";
import type { WirePaths } from "./wire.ts";

let folder: string;
let paths: WirePaths;
const sockets: Socket[] = [];

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "dd-"));
  paths = { nic: path.join(folder, "nic"), network: path.join(folder, "net") };
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await rm(folder, { recursive: true });
});

function frame(text: string): Buffer {
  const body = Buffer.from(text.padEnd(20, "."));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
}

async function plug(file: string): Promise<{ socket: Socket; got: () => string }> {
  await until(() => existsSync(file));
  const socket = connect(file);
  sockets.push(socket);
  let got = "";
  socket.on("data", (bytes: Buffer) => (got += bytes.toString("latin1")));
  socket.on("error", () => undefined);
  await new Promise((resolve) => socket.once("connect", resolve));
  return { socket, got: () => got };
}

async function until(is: () => boolean | Promise<boolean>): Promise<void> {
  await expect.poll(is, { timeout: 10_000, interval: 5 }).toBe(true);
}

it("carries frames both ways, for one switch after another, and ends with the machine", async () => {
  const ended = runWire(paths, 60_000);
  const first = await plug(paths.network);
  const nic = await plug(paths.nic);
  nic.socket.write(frame("to the switch"));
  await until(() => first.got().includes("to the switch"));
  first.socket.write(frame("to the machine"));
  await until(() => nic.got().includes("to the machine"));
  // The engine's end, with half a frame under way: the next one hears whole frames only.
  nic.socket.write(frame("cut in two").subarray(0, 10));
  first.socket.destroy();
  const second = await plug(paths.network);
  nic.socket.write(frame("cut in two").subarray(10));
  nic.socket.write(frame("for the next"));
  await until(() => second.got().includes("for the next"));
  expect(second.got()).toBe(`${frame("cut in two").toString("latin1")}${frame("for the next").toString("latin1")}`);
  nic.socket.destroy();
  await ended;
  expect([existsSync(paths.nic), existsSync(paths.network)]).toEqual([false, false]);
});

it("unplugs who sends what makes no frames", async () => {
  const ended = runWire(paths, 60_000);
  const network = await plug(paths.network);
  const nic = await plug(paths.nic);
  network.socket.write(Buffer.alloc(64, 0xff));
  await new Promise((resolve) => network.socket.once("close", resolve));
  expect(await answers(paths.network)).toBe(true);
  nic.socket.destroy();
  await ended;
});

it("does not wait for ever for a machine", async () => {
  await runWire(paths, 50);
  expect(await answers(paths.network)).toBe(false);
});
