/**
 * The server's side of a SPDY/3.1 session: streams that a client opens, each of them a Duplex. Like Kubernetes' own
 * servers and clients it leaves flow control to the connection below: a stream that nobody reads holds the others up.
 */
import { Duplex } from "node:stream";
import { finished } from "node:stream/promises";
import {
  CANCEL,
  FLAG_FIN,
  FrameReader,
  GOAWAY,
  HEADERS,
  PING,
  PROTOCOL_ERROR,
  REFUSED_STREAM,
  RST_STREAM,
  SYN_REPLY,
  SYN_STREAM,
  controlFrame,
  dataHead,
  words,
} from "./frames.ts";
import type { Frame } from "./frames.ts";
import { HeaderReader, HeaderWriter, SpdyError } from "./header-block.ts";

/** What a stream may hold unread before the connection is held up, in bytes. */
const HIGH_WATER = 256 * 1024;
const LARGEST_DATA = 1 << 20;
/** How long a client has to take note that its session has ended. */
const LINGER_MILLIS = 10_000;
/** Of one session at the same time. */
const MOST_STREAMS = 4096;

export class SpdyStream extends Duplex {
  readonly id: number;
  readonly headers: Record<string, string>;
  readonly #session: SpdySession;
  #wanted: (() => void) | undefined;
  #ended = false;

  constructor(session: SpdySession, id: number, headers: Record<string, string>) {
    super({ readableHighWaterMark: HIGH_WATER, writableHighWaterMark: HIGH_WATER });
    this.#session = session;
    this.id = id;
    this.headers = headers;
    // Whoever uses a stream hears of its end by its reads and writes.
    this.on("error", () => undefined);
  }

  /** Bytes from the client. Resolves when more may come. */
  receive(bytes: Buffer): Promise<void> | undefined {
    if (this.destroyed || this.#ended || bytes.length === 0 || this.push(bytes)) return undefined;
    return new Promise((resolve) => (this.#wanted = resolve));
  }

  /** The client has no more to say. */
  finish(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.push(null);
  }

  override _read(): void {
    this.#wanted?.();
    this.#wanted = undefined;
  }

  override _write(chunk: Buffer, _encoding: string, callback: (error?: Error | null) => void): void {
    let at = 0;
    for (; chunk.length - at > LARGEST_DATA; at += LARGEST_DATA)
      this.#session.send(dataHead(this.id, 0, LARGEST_DATA), chunk.subarray(at, at + LARGEST_DATA));
    this.#session.send(dataHead(this.id, 0, chunk.length - at), chunk.subarray(at), callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#session.send(dataHead(this.id, FLAG_FIN, 0), undefined, callback);
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#wanted?.();
    this.#wanted = undefined;
    this.#session.forget(this, this.#ended && this.writableFinished);
    callback(error);
  }
}

export class SpdySession {
  readonly #transport: Duplex;
  readonly #onStream: (stream: SpdyStream) => void;
  readonly #streams = new Map<number, SpdyStream>();
  readonly #headers = new HeaderReader();
  readonly #writer = new HeaderWriter();
  #closing = false;
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;

  /** `onStream` hears of every stream that the client opens; it may destroy it to refuse it. */
  constructor(transport: Duplex, onStream: (stream: SpdyStream) => void) {
    this.#transport = transport;
    this.#onStream = onStream;
    transport.on("error", () => transport.destroy());
    this.closed = new Promise((resolve) => {
      const gone = (): void => {
        // The reader below may be held up by a stream that nobody reads, and would not come to this.
        for (const stream of this.#streams.values()) stream.destroy();
        resolve();
      };
      if (transport.destroyed) gone();
      else transport.once("close", gone);
    });
    void this.#read();
  }

  send(head: Buffer, bytes?: Buffer, done?: (error?: Error | null) => void): void {
    if (this.#transport.writableEnded || this.#transport.destroyed) {
      done?.(new Error("the SPDY session has ended"));
      return;
    }
    if (!bytes) {
      this.#transport.write(head, done);
      return;
    }
    this.#transport.cork();
    this.#transport.write(head);
    this.#transport.write(bytes, done);
    process.nextTick(() => this.#transport.uncork());
  }

  forget(stream: SpdyStream, whole: boolean): void {
    if (!this.#streams.delete(stream.id)) return;
    if (!whole) this.send(controlFrame(RST_STREAM, 0, words(stream.id, CANCEL)));
  }

  /** Ends every stream and sends what was written; then the client is given a moment to close. */
  async close(): Promise<void> {
    if (this.#closing) return this.closed;
    this.#closing = true;
    const ends = [...this.#streams.values()].map((stream) => {
      stream.end();
      return finished(stream, { readable: false }).catch(() => undefined);
    });
    await Promise.race([Promise.all(ends), this.closed]);
    this.#transport.end();
    const timer = setTimeout(() => this.#transport.destroy(), LINGER_MILLIS);
    await this.closed;
    clearTimeout(timer);
  }

  async #read(): Promise<void> {
    const frames = new FrameReader();
    try {
      for await (const chunk of this.#transport as AsyncIterable<Buffer>) {
        // Read to the end all the same: a connection closed with something unread loses what was sent last.
        if (!this.#closing) await this.#take(frames, chunk);
      }
    } catch {
      // The connection broke, which its streams are told below.
    } finally {
      this.#headers.close();
      for (const stream of this.#streams.values()) stream.destroy();
      if (this.#closing) this.#transport.end();
      else this.#transport.destroy();
    }
  }

  async #take(frames: FrameReader, chunk: Buffer): Promise<void> {
    try {
      for (const frame of frames.push(chunk)) {
        const held = frame.kind === "data" ? this.#data(frame) : this.#control(frame);
        if (held) await held;
      }
    } catch (error) {
      if (!(error instanceof SpdyError)) throw error;
      this.send(controlFrame(GOAWAY, 0, words(0, PROTOCOL_ERROR)));
      void this.close();
    }
  }

  #data({ stream: id, flags, bytes, last }: Extract<Frame, { kind: "data" }>): Promise<void> | undefined {
    const stream = this.#streams.get(id);
    if (!stream) return undefined;
    const held = stream.receive(bytes);
    if (last && (flags & FLAG_FIN) !== 0) stream.finish();
    return held;
  }

  async #control({ type, flags, body }: Extract<Frame, { kind: "control" }>): Promise<void> {
    const number = (at: number): number => {
      if (body.length < at + 4) throw new SpdyError("control frame: cut short");
      return body.readUInt32BE(at) & 0x7fff_ffff;
    };
    switch (type) {
      case SYN_STREAM:
        return this.#open(number(0), flags, await this.#headers.read(body.subarray(10)));
      case SYN_REPLY:
      case HEADERS:
        // The blocks are one zlib stream: each must be read.
        await this.#headers.read(body.subarray(4));
        return;
      case RST_STREAM:
        this.#streams.get(number(0))?.destroy();
        return;
      case PING:
        this.send(controlFrame(PING, 0, words(number(0))));
        return;
      default:
      // SETTINGS, WINDOW_UPDATE, GOAWAY and CREDENTIAL ask nothing of us.
    }
  }

  #open(id: number, flags: number, headers: Record<string, string>): void {
    if (id % 2 === 0 || this.#streams.has(id)) throw new SpdyError(`stream ${id} cannot be opened`);
    if (this.#streams.size >= MOST_STREAMS) {
      this.send(controlFrame(RST_STREAM, 0, words(id, REFUSED_STREAM)));
      return;
    }
    const stream = new SpdyStream(this, id, headers);
    this.#streams.set(id, stream);
    this.send(controlFrame(SYN_REPLY, 0, words(id), this.#writer.write({})));
    if ((flags & FLAG_FIN) !== 0) stream.finish();
    this.#onStream(stream);
  }
}
