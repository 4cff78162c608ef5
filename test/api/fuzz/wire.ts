/**
 * HTTP/1.1 by hand over TLS, so that requests no HTTP library would send can be sent. One request at a time;
 * what comes back is held against RFC 9112, and a missing answer fails after a deadline.
 */
import { connect } from "node:tls";
import type { TLSSocket } from "node:tls";

export interface Endpoint {
  host: string;
  port: number;
  ca: string;
  certificate?: string;
  key?: string;
}

export interface Reply {
  status: number;
  headers: Map<string, string>;
  body: Buffer;
  /** The connection ended with it, or in the middle of it. */
  ended: boolean;
}

/** No answer, or one that is no HTTP. */
export class WireProblem extends Error {}

const WITHOUT_BODY = new Set([204, 304]);

export class Wire {
  readonly #endpoint: Endpoint;
  readonly #deadline: number;
  #socket: TLSSocket | undefined;
  #session: Buffer | undefined;
  #received: Buffer = Buffer.alloc(0);
  #wake: (() => void) | undefined;
  #over = false;

  constructor(endpoint: Endpoint, deadlineMillis = 30_000) {
    this.#endpoint = endpoint;
    this.#deadline = deadlineMillis;
  }

  /** Sends the bytes as they are and reads one answer, to HEAD one without a body. undefined: the server closed without one. */
  async ask(bytes: Uint8Array, head = false): Promise<Reply | undefined> {
    await this.#open();
    this.#socket?.write(bytes);
    const reply = await this.#read(head, Date.now() + this.#deadline);
    if (!reply || reply.ended || reply.headers.get("connection") === "close") this.close();
    return reply;
  }

  /** Sends without waiting; for streams, after which `take` or `close`. */
  async send(bytes: Uint8Array): Promise<void> {
    await this.#open();
    this.#socket?.write(bytes);
  }

  /** Waits until something came, the other side ended, or the time is over. What came is thrown away. */
  async take(millis: number): Promise<Buffer> {
    if (this.#received.length === 0 && !this.#over) await this.#more(Date.now() + millis, true);
    const taken = this.#received;
    this.#received = Buffer.alloc(0);
    return taken;
  }

  /** Ends our half only. */
  halfClose(): void {
    this.#socket?.end();
  }

  get closed(): boolean {
    return this.#over;
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
    this.#received = Buffer.alloc(0);
  }

  async #open(): Promise<void> {
    if (this.#socket && !this.#over && !this.#socket.destroyed) return;
    this.close();
    this.#over = false;
    const { host, port, ca, certificate, key } = this.#endpoint;
    const socket = connect({
      host,
      port,
      ca,
      ...(certificate === undefined ? {} : { cert: certificate, key }),
      ...(this.#session ? { session: this.#session } : {}),
      ALPNProtocols: ["http/1.1"],
    });
    this.#socket = socket;
    socket.setNoDelay(true);
    const ended = (): void => {
      if (this.#socket !== socket) return;
      this.#over = true;
      this.#wake?.();
    };
    socket.on("session", (session) => (this.#session = session));
    socket.on("data", (chunk: Buffer) => {
      if (this.#socket !== socket) return;
      this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
      this.#wake?.();
    });
    socket.on("error", ended);
    socket.on("end", ended);
    socket.on("close", ended);
    const deadline = Date.now() + this.#deadline;
    socket.once("secureConnect", () => this.#wake?.());
    while (!socket.authorized && !this.#over) await this.#more(deadline);
    if (this.#over) throw new WireProblem("no connection could be made");
  }

  /** Resolves with something to look at. Throws when the deadline passes, unless that is `calm`. */
  #more(deadline: number, calm = false): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => {
          this.#wake = undefined;
          if (calm) resolve();
          else {
            this.close();
            reject(new WireProblem("no answer within the time"));
          }
        },
        Math.max(0, deadline - Date.now()),
      );
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
    });
  }

  async #read(head: boolean, deadline: number): Promise<Reply | undefined> {
    for (;;) {
      const end = this.#received.indexOf("\r\n\r\n");
      if (end >= 0) {
        const { status, headers } = parseHead(this.#received.toString("latin1", 0, end));
        this.#received = this.#received.subarray(end + 4);
        if (status >= 100 && status < 200 && status !== 101) continue;
        if (status === 101) return { status, headers, body: Buffer.alloc(0), ended: false };
        const { body, ended } =
          head || WITHOUT_BODY.has(status)
            ? { body: Buffer.alloc(0), ended: false }
            : await this.#body(headers, deadline);
        return { status, headers, body, ended };
      }
      if (this.#over) {
        if (this.#received.length > 0)
          throw new WireProblem(`half an answer: ${this.#received.toString().slice(0, 100)}`);
        return undefined;
      }
      await this.#more(deadline);
    }
  }

  async #body(headers: Map<string, string>, deadline: number): Promise<{ body: Buffer; ended: boolean }> {
    const length = headers.get("content-length");
    if (length !== undefined) {
      const body = await this.#exactly(Number(length), deadline);
      return body ? { body, ended: false } : { body: this.#received, ended: true };
    }
    if (headers.get("transfer-encoding") !== "chunked") {
      while (!this.#over) await this.#more(deadline);
      return { body: this.#received, ended: true };
    }
    const parts: Buffer[] = [];
    for (;;) {
      const line = await this.#line(deadline);
      if (line === undefined) return { body: Buffer.concat(parts), ended: true };
      if (!/^[0-9a-f]+$/i.test(line)) throw new WireProblem(`no chunk size: ${line}`);
      const size = Number.parseInt(line, 16);
      const part = await this.#exactly(size + 2, deadline);
      if (!part) return { body: Buffer.concat(parts), ended: true };
      if (size === 0) return { body: Buffer.concat(parts), ended: false };
      parts.push(part.subarray(0, size));
    }
  }

  async #line(deadline: number): Promise<string | undefined> {
    for (;;) {
      const end = this.#received.indexOf("\r\n");
      if (end >= 0) return (await this.#exactly(end + 2, deadline))?.toString("latin1", 0, end);
      if (this.#over) return undefined;
      await this.#more(deadline);
    }
  }

  async #exactly(count: number, deadline: number): Promise<Buffer | undefined> {
    while (this.#received.length < count) {
      if (this.#over) return undefined;
      await this.#more(deadline);
    }
    const taken = this.#received.subarray(0, count);
    this.#received = this.#received.subarray(count);
    return taken;
  }
}

function parseHead(text: string): { status: number; headers: Map<string, string> } {
  const [first = "", ...lines] = text.split("\r\n");
  const status = /^HTTP\/1\.1 (\d{3})(?: .*)?$/.exec(first)?.[1];
  if (!status) throw new WireProblem(`no status line: ${first.slice(0, 100)}`);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon <= 0) throw new WireProblem(`no header: ${line.slice(0, 100)}`);
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return { status: Number(status), headers };
}
