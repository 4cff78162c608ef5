/** The API server's end of an exec or attach at a kubelet: v5.channel.k8s.io, taken apart into streams. */
import { Readable, Writable } from "node:stream";
import type { WebSocket } from "ws";

export const STDIN = 0;
export const STDOUT = 1;
export const STDERR = 2;
export const ERROR = 3;
export const RESIZE = 4;
export const CLOSE = 255;
const HIGH_WATER = 256 * 1024;
const MOST_BUFFERED = 1 << 20;

export class KubeletProcess {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** The Status of how it ended, as JSON; undefined when the kubelet went without a word. */
  readonly status: Promise<Buffer | undefined>;
  readonly #socket: WebSocket;
  readonly #held = new Set<Readable>();
  #ended = false;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    const output = (): Readable =>
      new Readable({
        highWaterMark: HIGH_WATER,
        read() {
          release(this);
        },
      });
    const release = (stream: Readable): void => {
      if (this.#held.delete(stream) && this.#held.size === 0 && socket.readyState === socket.OPEN) socket.resume();
    };
    this.stdout = output();
    this.stderr = output();
    this.stdin = new Writable({
      highWaterMark: HIGH_WATER,
      write: (chunk: Buffer, _encoding, callback) => this.#send(STDIN, chunk, callback),
      final: (callback) => {
        if (socket.readyState === socket.OPEN) socket.send(Buffer.from([CLOSE, STDIN]));
        callback();
      },
    });
    this.stdin.on("error", () => undefined);
    this.status = new Promise((resolve) => {
      const end = (status?: Buffer): void => {
        if (this.#ended) return;
        this.#ended = true;
        this.stdout.push(null);
        this.stderr.push(null);
        resolve(status);
      };
      socket.on("message", (raw: Buffer) => {
        const [channel] = raw;
        const data = raw.subarray(1);
        // The last word, after all output.
        if (channel === ERROR) return end(data);
        if ((channel !== STDOUT && channel !== STDERR) || this.#ended || data.length === 0) return;
        const stream = channel === STDOUT ? this.stdout : this.stderr;
        if (!stream.push(data) && socket.readyState === socket.OPEN) {
          this.#held.add(stream);
          socket.pause();
        }
      });
      socket.once("close", () => end());
    });
    socket.on("error", () => socket.terminate());
  }

  /** A terminal's new size, as the client's JSON has it. */
  resize(size: Buffer): void {
    this.#send(RESIZE, size, () => undefined);
  }

  /** Lets go of the process; a kubelet then ends what nobody watches. */
  close(): void {
    // One that was held up reads no closing frame.
    this.#socket.terminate();
  }

  #send(channel: number, data: Buffer, callback: (error?: Error | null) => void): void {
    const { OPEN, readyState, bufferedAmount } = this.#socket;
    // A process that has ended reads nothing any more.
    if (this.#ended || readyState !== OPEN) return callback();
    const message = Buffer.allocUnsafe(data.length + 1);
    message[0] = channel;
    message.set(data, 1);
    const wait = bufferedAmount > MOST_BUFFERED;
    this.#socket.send(message, () => wait && callback());
    if (!wait) callback();
  }
}
