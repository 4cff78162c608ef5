/**
 * The channel protocol of exec, attach and port-forward over WebSocket (v4 and v5.channel.k8s.io): the first byte
 * of each binary message names the channel; in v5 a message [255, channel] closes one.
 */
import type { WebSocket } from "ws";
import type { Status } from "../../../common/kube/status.ts";

export const STDIN = 0;
export const STDOUT = 1;
export const STDERR = 2;
export const ERROR = 3;
export const RESIZE = 4;
const CLOSE = 255;
/** Above this many bytes on their way the source is held up. */
const HIGH_WATER = 1 << 20;

export const PROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

export class Channels {
  readonly socket: WebSocket;

  constructor(socket: WebSocket) {
    this.socket = socket;
  }

  /** Resolves when the peer has taken in enough that more may be sent. */
  send(channel: number, data: Uint8Array): Promise<void> {
    if (this.socket.readyState !== this.socket.OPEN) return Promise.resolve();
    const message = Buffer.allocUnsafe(data.length + 1);
    message[0] = channel;
    message.set(data, 1);
    return new Promise((resolve) => {
      const wait = this.socket.bufferedAmount > HIGH_WATER;
      this.socket.send(message, () => wait && resolve());
      if (!wait) resolve();
    });
  }

  /** Hands a stream on until its end. */
  async pump(channel: number, source: AsyncIterable<Buffer>): Promise<void> {
    for await (const chunk of source) await this.send(channel, chunk);
  }

  onMessage(listener: (channel: number, data: Buffer) => void, onClose: (channel: number) => void): void {
    this.socket.on("message", (raw: Buffer | ArrayBuffer | Buffer[]) => {
      const message = Array.isArray(raw) ? Buffer.concat(raw) : Buffer.from(raw as Buffer);
      if (message.length === 0) return;
      const channel = message[0] as number;
      if (channel === CLOSE) onClose(message[1] ?? STDIN);
      else listener(channel, message.subarray(1));
    });
  }

  /** The last word: a Status on the error channel, then an orderly close. */
  async end(status: object): Promise<void> {
    await this.send(ERROR, Buffer.from(JSON.stringify(status)));
    this.socket.close(1000);
  }
}

/** What a process's exit code is on the error channel. */
export function exitStatus(code: number): object {
  if (code === 0) return { metadata: {}, status: "Success" };
  return {
    metadata: {},
    status: "Failure",
    reason: "NonZeroExitCode",
    message: `command terminated with non-zero exit code: exit status ${code}`,
    details: { causes: [{ reason: "ExitCode", message: String(code) }] },
  };
}

export function failureStatus(message: string): Omit<Status, "apiVersion" | "kind"> {
  return { metadata: {}, status: "Failure", reason: "InternalError", message, code: 500 };
}
