import { once } from "node:events";
import { duplexPair } from "node:stream";
import { text } from "node:stream/consumers";
import type { Duplex } from "node:stream";
import { constants, createDeflate } from "node:zlib";
import { describe, expect, it, vi } from "vitest";
import { dictionary } from "./dictionary.ts";
import { FLAG_FIN, FrameReader, GOAWAY, PING, SYN_REPLY, SYN_STREAM, controlFrame, dataHead, words } from "./frames.ts";
import type { Frame } from "./frames.ts";
import { HeaderReader, HeaderWriter, SpdyError } from "./header-block.ts";
import { SpdySession } from "./session.ts";
import type { SpdyStream } from "./session.ts";

/** Compresses as Go's clients do: one stream with the dictionary, flushed after each block. */
class ClientHeaders {
  readonly #deflate = createDeflate({ dictionary });

  write(headers: Record<string, string>): Promise<Buffer> {
    const parts = [words(Object.keys(headers).length)];
    for (const [name, value] of Object.entries(headers))
      parts.push(words(name.length), Buffer.from(name), words(value.length), Buffer.from(value));
    this.#deflate.write(Buffer.concat(parts));
    return new Promise((resolve) =>
      this.#deflate.flush(constants.Z_SYNC_FLUSH, () => resolve(this.#deflate.read() as Buffer)),
    );
  }
}

function session(): { client: Duplex; server: Duplex; streams: SpdyStream[]; session: SpdySession; frames: Frame[] } {
  const [client, server] = duplexPair();
  const streams: SpdyStream[] = [];
  const frames: Frame[] = [];
  const reader = new FrameReader();
  client.on("data", (chunk: Buffer) => frames.push(...reader.push(chunk)));
  return { client, server, streams, frames, session: new SpdySession(server, (stream) => streams.push(stream)) };
}

const open = (id: number, block: Buffer, flags = 0): Buffer =>
  controlFrame(SYN_STREAM, flags, words(id, 0), Buffer.alloc(2), block);
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

it("has the dictionary of the specification", () => {
  let [a, b] = [1, 0];
  for (const byte of dictionary) {
    a = (a + byte) % 65_521;
    b = (b + a) % 65_521;
  }
  expect([dictionary.length, (b * 65_536 + a).toString(16)]).toEqual([1423, "e3c6a7c2"]);
});

describe("header blocks", () => {
  it("reads a client's, one after the other, and its own", async () => {
    const client = new ClientHeaders();
    const reader = new HeaderReader();
    for (const request of ["0", "1"]) {
      const block = await client.write({ Streamtype: "data", Requestid: request });
      expect(await reader.read(block)).toEqual({ streamtype: "data", requestid: request });
    }
    const writer = new HeaderWriter();
    const own = new HeaderReader();
    expect(await own.read(writer.write({ a: "b" }))).toEqual({ a: "b" });
    expect(await own.read(writer.write({}))).toEqual({});
  });

  it("refuses what is none", async () => {
    await expect(new HeaderReader().read(Buffer.from("no zlib at all"))).rejects.toThrow(SpdyError);
    const cut = new HeaderWriter().write({ a: "b" });
    cut.writeUInt32BE(9, 7);
    await expect(new HeaderReader().read(cut)).rejects.toThrow(/cut short/);
  });
});

it("cuts frames however they come", () => {
  const bytes = Buffer.concat([
    controlFrame(PING, 0, words(7)),
    dataHead(1, FLAG_FIN, 5),
    Buffer.from("hello"),
    dataHead(3, 0, 0),
  ]);
  for (let size = 1; size <= bytes.length; size++) {
    const reader = new FrameReader();
    const frames: Frame[] = [];
    for (let at = 0; at < bytes.length; at += size) frames.push(...reader.push(bytes.subarray(at, at + size)));
    const data = frames.filter((frame) => frame.kind === "data");
    expect(frames[0]).toMatchObject({ kind: "control", type: PING });
    expect(Buffer.concat(data.map((frame) => frame.bytes)).toString()).toBe("hello");
    expect(data.at(-1)).toMatchObject({ stream: 3, last: true });
  }
  expect(() => [...new FrameReader().push(Buffer.from("GET / HTTP/1.1\r\n"))]).not.toThrow();
  expect(() => [...new FrameReader().push(Buffer.from("80020001000000040000000a", "hex"))]).toThrow(SpdyError);
});

describe("a session", () => {
  it("carries a stream both ways, each to its own end", async () => {
    const { client, streams, frames } = session();
    client.write(open(1, await new ClientHeaders().write({ streamtype: "stdin" })));
    client.write(Buffer.concat([dataHead(1, FLAG_FIN, 2), Buffer.from("in")]));
    await vi.waitFor(() => expect(streams).toHaveLength(1));
    const stream = streams[0] as SpdyStream;
    expect(stream.headers).toEqual({ streamtype: "stdin" });
    expect(await text(stream)).toBe("in");
    stream.end("out");
    const said = (): Extract<Frame, { kind: "data" }>[] => frames.filter((frame) => frame.kind === "data");
    await vi.waitFor(() => expect(said().at(-1)).toMatchObject({ flags: FLAG_FIN, last: true }));
    expect(frames[0]).toMatchObject({ type: SYN_REPLY });
    const data = said();
    expect(Buffer.concat(data.map((frame) => frame.bytes)).toString()).toBe("out");
  });

  it("answers pings, and holds a client up whose stream nobody reads", async () => {
    const { client, streams, frames } = session();
    client.write(controlFrame(PING, 0, words(5)));
    client.write(open(1, await new ClientHeaders().write({ streamtype: "stdin" })));
    const piece = Buffer.concat([dataHead(1, 0, 65_536), Buffer.alloc(65_536)]);
    let written = 0;
    while (written < 40 && client.write(piece)) {
      written += 1;
      await settle();
    }
    expect(frames.some((frame) => frame.kind === "control" && frame.type === PING)).toBe(true);
    expect(written).toBeLessThan(40);
    streams[0]?.resume();
    await once(client, "drain");
  });

  it("ends a stream that nobody reads when the connection breaks", async () => {
    const { client, server, streams, session: held } = session();
    client.write(open(1, await new ClientHeaders().write({ streamtype: "stdin" })));
    for (let at = 0; at < 10; at++) client.write(Buffer.concat([dataHead(1, 0, 65_536), Buffer.alloc(65_536)]));
    await vi.waitFor(() => expect(streams[0]?.readableLength).toBeGreaterThanOrEqual(256 * 1024));
    server.destroy();
    await held.closed;
    await vi.waitFor(() => expect(streams[0]?.destroyed).toBe(true));
  });

  it("ends streams when the client goes, and the client when it speaks no SPDY", async () => {
    const gone = session();
    gone.client.write(open(1, await new ClientHeaders().write({ streamtype: "stdin" })));
    await vi.waitFor(() => expect(gone.streams).toHaveLength(1));
    gone.client.destroy();
    await gone.session.closed;
    await vi.waitFor(() => expect(gone.streams[0]?.destroyed).toBe(true));
    const wrong = session();
    wrong.client.write(open(2, await new ClientHeaders().write({})));
    wrong.client.once("end", () => wrong.client.end());
    await once(wrong.client, "end");
    expect(wrong.frames.some((frame) => frame.kind === "control" && frame.type === GOAWAY)).toBe(true);
  });
});
