/**
 * A cluster's own layer-2 network: a learning switch between the machines' second NICs. Each machine
 * listens on a Unix socket; the switch connects, and connects again while the machine is attached. It
 * counts, and its hooks can drop or delay a frame: the place where failures are made on purpose.
 */
import { connect } from "node:net";
import type { Socket } from "node:net";
import type { NetworkSwitch } from "../driver.ts";
import { FrameDecoder, FrameError, addressesOf, isFrame } from "./frames.ts";

/** What to do with a frame from one machine to another. */
export type Verdict = "pass" | "drop" | { delayMillis: number };

export interface SwitchHooks {
  /** Asked for every delivery; absent: everything passes. */
  judge?: (from: string, to: string, frame: Buffer) => Verdict;
  /** Sees every frame that comes in (without the length before it). */
  capture?: (from: string, frame: Buffer) => void;
  log?: (line: string) => void;
}

interface Port {
  machineId: string;
  socketPath: string;
  socket: Socket | undefined;
  retry: NodeJS.Timeout | undefined;
  closed: boolean;
  framesIn: number;
  framesOut: number;
  bytesIn: number;
  bytesOut: number;
  dropped: number;
}

/** A machine that does not read loses frames, as on a wire, rather than filling our memory. */
const QUEUE_BYTES = 8 * 1024 * 1024;
const RETRY_MILLIS = 250;
const KNOWN_ADDRESSES = 4096;

export class LearningSwitch implements NetworkSwitch {
  private readonly ports = new Map<string, Port>();
  /** MAC address → port it was last seen on. */
  private readonly learnt = new Map<string, Port>();
  private readonly delayed = new Set<NodeJS.Timeout>();
  /** May be set and taken away at any time. */
  readonly hooks: SwitchHooks;

  constructor(hooks: SwitchHooks = {}) {
    this.hooks = hooks;
  }

  attach(machineId: string, socketPath: string): void {
    this.detach(machineId);
    const port: Port = {
      machineId,
      socketPath,
      socket: undefined,
      retry: undefined,
      closed: false,
      framesIn: 0,
      framesOut: 0,
      bytesIn: 0,
      bytesOut: 0,
      dropped: 0,
    };
    this.ports.set(machineId, port);
    this.open(port);
  }

  detach(machineId: string): void {
    const port = this.ports.get(machineId);
    if (!port) return;
    port.closed = true;
    clearTimeout(port.retry);
    port.socket?.destroy();
    this.ports.delete(machineId);
    for (const [address, known] of this.learnt) if (known === port) this.learnt.delete(address);
  }

  stats(): ReturnType<NetworkSwitch["stats"]> {
    return [...this.ports.values()].map(({ machineId, framesIn, framesOut, bytesIn, bytesOut, dropped }) => ({
      machineId,
      framesIn,
      framesOut,
      bytesIn,
      bytesOut,
      dropped,
    }));
  }

  close(): Promise<void> {
    for (const timer of this.delayed) clearTimeout(timer);
    this.delayed.clear();
    for (const machineId of this.ports.keys()) this.detach(machineId);
    return Promise.resolve();
  }

  private open(port: Port): void {
    const socket = connect(port.socketPath);
    const decoder = new FrameDecoder();
    port.socket = socket;
    socket.on("data", (bytes: Buffer) => {
      try {
        for (const frame of decoder.push(bytes)) this.received(port, frame);
      } catch (error) {
        if (!(error instanceof FrameError)) throw error;
        this.hooks.log?.(`${port.machineId}: ${error.message}: connection dropped`);
        socket.destroy();
      }
    });
    // Not there yet, or gone: "close" follows and tries again.
    socket.on("error", () => socket.destroy());
    socket.once("close", () => {
      if (port.socket === socket) port.socket = undefined;
      if (!port.closed) port.retry = setTimeout(() => this.open(port), RETRY_MILLIS);
    });
  }

  private received(port: Port, frame: Buffer): void {
    if (!isFrame(frame)) {
      port.dropped++;
      return;
    }
    port.framesIn++;
    port.bytesIn += frame.length;
    this.hooks.capture?.(port.machineId, frame.subarray(4));
    const { destination, source, group } = addressesOf(frame);
    this.learn(source, port);
    const known = group ? undefined : this.learnt.get(destination);
    if (known) {
      if (known !== port) this.deliver(port, known, frame);
      return;
    }
    for (const other of this.ports.values()) if (other !== port) this.deliver(port, other, frame);
  }

  private learn(source: string, port: Port): void {
    if (this.learnt.get(source) === port) return;
    if (this.learnt.size >= KNOWN_ADDRESSES) this.learnt.clear();
    this.learnt.set(source, port);
  }

  private deliver(from: Port, to: Port, frame: Buffer): void {
    const verdict = this.hooks.judge?.(from.machineId, to.machineId, frame) ?? "pass";
    if (verdict === "pass") this.send(to, frame);
    else if (verdict === "drop") to.dropped++;
    else {
      const timer = setTimeout(() => {
        this.delayed.delete(timer);
        this.send(to, frame);
      }, verdict.delayMillis);
      this.delayed.add(timer);
    }
  }

  private send(to: Port, frame: Buffer): void {
    const { socket } = to;
    if (!socket || socket.connecting || socket.destroyed || socket.writableLength > QUEUE_BYTES) {
      to.dropped++;
      return;
    }
    socket.write(frame);
    to.framesOut++;
    to.bytesOut += frame.length;
  }
}
