import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FrameDecoder } from "./frames.ts";
import { LearningSwitch } from "./switch.ts";

/** A machine's NIC: listens, as QEMU does, and keeps what it receives. */
class Nic {
  readonly received: string[] = [];
  socket: Socket | undefined;
  private readonly server: Server;

  constructor(file: string) {
    this.server = createServer((socket) => {
      const decoder = new FrameDecoder();
      this.socket = socket;
      socket.on("data", (bytes: Buffer) => {
        for (const frame of decoder.push(bytes)) this.received.push(frame.toString("latin1", 18));
      });
      socket.on("error", () => socket.destroy());
    });
    this.server.listen(file);
  }

  send(destination: string, source: string, text: string): void {
    const frame = Buffer.concat([Buffer.from(`${destination}${source}0800`, "hex"), Buffer.from(text, "latin1")]);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(frame.length);
    this.socket?.write(Buffer.concat([length, frame]));
  }

  close(): void {
    this.socket?.destroy();
    this.server.close();
  }
}

const A = "525400f00001";
const B = "525400f00002";
const C = "525400f00003";
const ALL = "ffffffffffff";

let folder: string;
let network: LearningSwitch;
let log: string[];
let nics: Record<"a" | "b" | "c", Nic>;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "dd-"));
  log = [];
  network = new LearningSwitch({ log: (line) => log.push(line) });
  const made = (name: string): Nic => {
    const nic = new Nic(path.join(folder, name));
    network.attach(name, path.join(folder, name));
    return nic;
  };
  nics = { a: made("a"), b: made("b"), c: made("c") };
  await connected();
});

afterEach(async () => {
  await network.close();
  for (const nic of Object.values(nics)) nic.close();
  await rm(folder, { recursive: true });
});

async function until(is: () => boolean): Promise<void> {
  await expect.poll(is, { timeout: 5000, interval: 5 }).toBe(true);
}

async function connected(): Promise<void> {
  await until(() => Object.values(nics).every((nic) => nic.socket && !nic.socket.destroyed));
  // The listening side may see the connection first: what comes out of a port tells that it is open on ours too.
  nics.a.send(ALL, A, "begin");
  nics.b.send(ALL, B, "begin");
  await until(() => Object.values(nics).every((nic) => nic.received.includes("begin")));
}

describe("LearningSwitch", () => {
  it("floods a broadcast to all but its sender", async () => {
    nics.c.send(ALL, C, "who has");
    await until(() => nics.a.received.includes("who has") && nics.b.received.includes("who has"));
    expect(nics.c.received).not.toContain("who has");
  });

  it("floods what it does not know, and sends the rest only where it belongs", async () => {
    nics.a.send(C, A, "unknown yet");
    await until(() => nics.b.received.includes("unknown yet") && nics.c.received.includes("unknown yet"));
    nics.c.send(A, C, "answer");
    await until(() => nics.a.received.includes("answer"));
    nics.a.send(C, A, "known now");
    await until(() => nics.c.received.includes("known now"));
    expect(nics.b.received).not.toContain("answer");
    expect(nics.b.received).not.toContain("known now");
  });

  it("learns that an address has moved", async () => {
    nics.b.send(ALL, A, "I am A now");
    await until(() => nics.c.received.includes("I am A now"));
    nics.c.send(A, C, "for A");
    await until(() => nics.b.received.includes("for A"));
    expect(nics.a.received).not.toContain("for A");
  });

  it("drops, delays and captures as its hooks say", async () => {
    const captured: string[] = [];
    network.hooks.capture = (from, frame) => captured.push(`${from}: ${frame.toString("latin1", 14)}`);
    network.hooks.judge = (_from, to) => (to === "b" ? "drop" : { delayMillis: 20 });
    nics.a.send(ALL, A, "news");
    await until(() => nics.c.received.includes("news"));
    expect(nics.b.received).not.toContain("news");
    expect(captured).toEqual(["a: news"]);
    expect(network.stats().find(({ machineId }) => machineId === "b")?.dropped).toBe(1);
  });

  it("connects again to a machine that comes back", async () => {
    nics.b.close();
    await until(() => nics.b.socket?.destroyed === true);
    nics.b = new Nic(path.join(folder, "b"));
    await connected();
    nics.a.send(ALL, A, "welcome");
    await until(() => nics.b.received.includes("welcome"));
    expect(nics.b.received).toContain("welcome");
  });

  it("closes a connection whose bytes make no frames, and says so", async () => {
    const broken = nics.a.socket;
    broken?.write(Buffer.alloc(64, 0xff));
    await until(() => broken?.destroyed === true);
    expect(log.join("\n")).toContain("a: a frame of 4294967295 bytes");
    await until(() => nics.a.socket !== broken);
  });

  it("loses frames for a machine that does not read, and counts them", async () => {
    nics.c.socket?.pause();
    nics.c.send(ALL, C, "here");
    await until(() => nics.a.received.includes("here"));
    const large = "x".repeat(60_000);
    for (let sent = 0; sent < 400; sent++) nics.a.send(C, A, large);
    nics.a.send(B, A, "after");
    await until(() => nics.b.received.includes("after"));
    const port = network.stats().find(({ machineId }) => machineId === "c");
    expect(port?.dropped).toBeGreaterThan(0);
    expect(port?.framesOut).toBeLessThan(400);
  });

  it("forgets a machine that is detached", async () => {
    network.detach("b");
    await until(() => nics.b.socket?.destroyed === true);
    expect(network.stats().map(({ machineId }) => machineId)).toEqual(["a", "c"]);
  });
});
