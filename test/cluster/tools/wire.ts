/**
 * A computer on a cluster's network that is only a socket: it speaks enough Ethernet, ARP (RFC 826), IPv4 and
 * ICMP echo (RFC 792) to ask real nodes whether they are there.
 */
import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { FrameDecoder } from "../../../main/machines/network/frames.ts";

const ARP = 0x0806;
const IPV4 = 0x0800;
const ICMP = 1;
const BROADCAST = "ffffffffffff";

export class Wire {
  readonly path: string;
  private readonly mac: string;
  private readonly address: string;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private readonly neighbours = new Map<string, string>();
  private readonly answered = new Set<number>();
  private sequence = 0;

  constructor(path: string, options: { mac: string; address: string }) {
    this.path = path;
    this.mac = options.mac.replaceAll(":", "");
    this.address = options.address;
    this.server = createServer((socket) => {
      const decoder = new FrameDecoder();
      this.sockets.add(socket);
      socket.on("data", (bytes: Buffer) => {
        for (const frame of decoder.push(bytes)) this.heard(frame.subarray(4));
      });
      socket.on("error", () => socket.destroy());
      socket.once("close", () => this.sockets.delete(socket));
    });
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once("error", reject);
      this.server.listen(this.path, resolve);
    });
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** The MAC address that answers for an IPv4 address; asks until the deadline. */
  async whoHas(target: string, millis: number): Promise<string | undefined> {
    const until = Date.now() + millis;
    while (Date.now() < until) {
      this.send(arpRequest(this.mac, this.address, target));
      await sleep(100);
      const mac = this.neighbours.get(target);
      if (mac !== undefined) return mac;
    }
    return undefined;
  }

  /** Whether the echo comes back; `from` pretends another sender, who then gets the answer in our place. */
  async ping(target: string, options: { millis: number; bytes?: number; from?: string }): Promise<boolean> {
    const mac = await this.whoHas(target, options.millis);
    if (mac === undefined) return false;
    const sequence = ++this.sequence;
    const echo = { mac, from: this.mac, source: options.from ?? this.address, target, sequence };
    const frame = echoRequest({ ...echo, bytes: options.bytes ?? 56 });
    const until = Date.now() + options.millis;
    // Asked again each second: a machine that is just coming up may lose the first.
    for (let turn = 0; Date.now() < until && !this.answered.has(sequence); turn++) {
      if (turn % 100 === 0) this.send(frame);
      await sleep(10);
    }
    return this.answered.has(sequence);
  }

  private heard(frame: Buffer): void {
    const type = frame.readUInt16BE(12);
    if (type === ARP && frame.length >= 42) {
      this.neighbours.set(frame.subarray(28, 32).join("."), frame.toString("hex", 22, 28));
      const asked = frame.subarray(38, 42).join(".");
      if (frame.readUInt16BE(20) === 1 && asked === this.address) this.send(arpReply(this.mac, this.address, frame));
    }
    const echo = echoReplyOf(frame);
    if (echo !== undefined && frame.toString("hex", 0, 6) === this.mac) this.answered.add(echo.sequence);
  }

  private send(frame: Buffer): void {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(frame.length);
    for (const socket of this.sockets) socket.write(Buffer.concat([length, frame]));
  }
}

/** Sender, receiver and sequence of an ICMP echo reply; undefined for any other frame. */
export function echoReplyOf(frame: Buffer): { source: string; target: string; sequence: number } | undefined {
  if (frame.length < 42 || frame.readUInt16BE(12) !== IPV4 || frame[23] !== ICMP) return undefined;
  const icmp = 14 + ((frame[14] as number) & 15) * 4;
  if (frame[icmp] !== 0) return undefined;
  return {
    source: frame.subarray(26, 30).join("."),
    target: frame.subarray(30, 34).join("."),
    sequence: frame.readUInt16BE(icmp + 6),
  };
}

function ethernet(destination: string, source: string, type: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(14);
  header.write(destination, 0, "hex");
  header.write(source, 6, "hex");
  header.writeUInt16BE(type, 12);
  return Buffer.concat([header, payload]);
}

function arp(
  operation: number,
  sender: { mac: string; address: string },
  target: { mac: string; address: string },
): Buffer {
  return Buffer.concat([
    Buffer.from([0, 1, 8, 0, 6, 4, 0, operation]),
    Buffer.from(sender.mac, "hex"),
    bytesOf(sender.address),
    Buffer.from(target.mac, "hex"),
    bytesOf(target.address),
  ]);
}

function arpRequest(mac: string, address: string, target: string): Buffer {
  return ethernet(BROADCAST, mac, ARP, arp(1, { mac, address }, { mac: "000000000000", address: target }));
}

function arpReply(mac: string, address: string, request: Buffer): Buffer {
  const asker = { mac: request.toString("hex", 22, 28), address: request.subarray(28, 32).join(".") };
  return ethernet(asker.mac, mac, ARP, arp(2, { mac, address }, asker));
}

function echoRequest(echo: {
  mac: string;
  from: string;
  source: string;
  target: string;
  sequence: number;
  bytes: number;
}): Buffer {
  const icmp = Buffer.alloc(8 + echo.bytes);
  icmp[0] = 8;
  icmp.writeUInt16BE(0xd0c, 4);
  icmp.writeUInt16BE(echo.sequence, 6);
  icmp.writeUInt16BE(checksum(icmp), 2);
  const ip = Buffer.alloc(20);
  ip[0] = 0x45;
  ip.writeUInt16BE(20 + icmp.length, 2);
  ip[8] = 64;
  ip[9] = ICMP;
  bytesOf(echo.source).copy(ip, 12);
  bytesOf(echo.target).copy(ip, 16);
  ip.writeUInt16BE(checksum(ip), 10);
  return ethernet(echo.mac, echo.from, IPV4, Buffer.concat([ip, icmp]));
}

function bytesOf(address: string): Buffer {
  return Buffer.from(address.split(".").map(Number));
}

/** The Internet checksum (RFC 1071). */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2)
    sum += bytes.readUInt8(at) * 256 + (at + 1 < bytes.length ? bytes.readUInt8(at + 1) : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
