/**
 * The channel protocols of exec, attach and port-forward over WebSocket, the server's side: each message begins with its
 * channel, as a byte or, where it carries base64, as a digit. In v5 a message [255, channel] closes one.
 */
import { Readable, Writable } from "node:stream";
import type { WebSocket } from "ws";
import { CLOSE } from "./kubelet-process.ts";
import type { ChannelProtocol } from "./protocols.ts";

const HIGH_WATER = 256 * 1024;
const ZERO = 0x30;

export class Channels {
  readonly socket: WebSocket;
  readonly #base64: boolean;
  readonly #closes: boolean;
  readonly #inputs = new Map<number, Readable>();
  readonly #held = new Set<Readable>();
  readonly #outputs = new Set<Writable>();

  constructor(socket: WebSocket, protocol: ChannelProtocol) {
    this.socket = socket;
    this.#base64 = protocol.includes("base64");
    this.#closes = protocol.startsWith("v5.");
    socket.on("message", (raw: Buffer) => this.#message(raw));
    socket.on("error", () => socket.terminate());
    socket.once("close", () => {
      for (const input of this.#inputs.values()) if (!input.destroyed && !input.readableEnded) input.push(null);
      for (const output of this.#outputs) output.destroy();
    });
  }

  /** What the client sends on a channel. Without one it is dropped. */
  input(channel: number): Readable {
    const release = (stream: Readable): void => {
      if (this.#held.delete(stream) && this.#held.size === 0 && this.socket.readyState === this.socket.OPEN)
        this.socket.resume();
    };
    const stream = new Readable({
      highWaterMark: HIGH_WATER,
      read() {
        release(this);
      },
    });
    this.#inputs.set(channel, stream);
    return stream;
  }

  output(channel: number): Writable {
    const output = new Writable({
      highWaterMark: HIGH_WATER,
      write: (chunk: Buffer, _encoding, callback) => this.send(channel, chunk, callback),
    });
    // Whoever uses a channel hears of its end by its writes.
    output.on("error", () => undefined);
    this.#outputs.add(output);
    return output;
  }

  send(channel: number, data: Buffer, callback: (error?: Error | null) => void = () => undefined): void {
    if (this.socket.readyState !== this.socket.OPEN) return callback(new Error("the client is gone"));
    if (this.#base64) this.socket.send(String.fromCharCode(ZERO + channel) + data.toString("base64"), callback);
    else this.socket.send(Buffer.concat([Buffer.from([channel]), data]), callback);
  }

  #message(raw: Buffer): void {
    if (raw.length === 0) return;
    const first = raw[0] as number;
    if (this.#closes && first === CLOSE) {
      const closed = this.#inputs.get(raw[1] ?? 0);
      if (closed && !closed.readableEnded && !closed.destroyed) closed.push(null);
      return;
    }
    const channel = this.#base64 ? first - ZERO : first;
    const input = this.#inputs.get(channel);
    const rest = raw.subarray(1);
    const data = this.#base64 ? Buffer.from(rest.toString("latin1"), "base64") : rest;
    if (!input || data.length === 0 || input.destroyed || input.readableEnded) return;
    if (!input.push(data)) {
      this.#held.add(input);
      this.socket.pause();
    }
  }
}
