/**
 * The windows in a browser: the built renderer and the contract on one loopback port. A link with a
 * one-time token opens it; the token is exchanged for a session cookie. Host and Origin must be this
 * very address (no DNS rebinding, no other site), and the pages may load nothing from elsewhere.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import path from "node:path";
import * as z from "zod";
import { writeFileAtomically } from "../clusters/cluster-file.ts";
import { fail } from "../clusters/failure.ts";
import type { RpcServer } from "./server.ts";

const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".ttf": "font/ttf",
  ".wasm": "application/wasm",
  ".map": "application/json",
};

const TOKEN_MILLIS = 10 * 60_000;
const SESSION_SECONDS = 30 * 24 * 3600;
const SESSIONS_KEPT = 20;

/** Kept across engines, so that an open page finds its way back: the port, and hashes of sessions. */
const Kept = z.object({ port: z.int(), sessions: z.array(z.string()) });

export interface UiServerOptions {
  /** Folder of the built renderer. */
  files: string;
  /** Where the port and the sessions are kept. */
  state: string;
  rpc: RpcServer;
}

export class UiServer {
  private readonly options: UiServerOptions;
  private readonly server: Server;
  /** Hash → expiry, Unix milliseconds. */
  private readonly tokens = new Map<string, number>();
  private sessions: string[] = [];
  private readonly sockets = new Set<Socket>();
  private port = 0;
  private listening: Promise<void> | undefined;

  constructor(options: UiServerOptions) {
    this.options = options;
    this.server = createServer((request, response) => {
      this.answer(request, response).catch((error: unknown) => {
        if (!response.headersSent) response.writeHead(500, { "content-type": "text/plain" });
        response.end(`${error instanceof Error ? error.message : String(error)}\n`);
      });
    });
    this.server.on("connection", (socket: Socket) => {
      this.sockets.add(socket);
      socket.once("close", () => this.sockets.delete(socket));
    });
    options.rpc.attach(this.server, (request) =>
      this.fromHere(request, true) && this.session(request) ? undefined : "403 Forbidden",
    );
  }

  /** Opens the port when a former engine had one, so that its pages can come back. */
  async restore(): Promise<void> {
    const kept = await this.read();
    if (kept) await this.listen();
  }

  /** A link that works once, within ten minutes. */
  async link(): Promise<string> {
    await stat(path.join(this.options.files, "index.html")).catch((error: unknown) => {
      throw fail("UI_NOT_BUILT", `there is no ${this.options.files}/index.html`, { cause: error });
    });
    await this.listen();
    const token = randomBytes(32).toString("base64url");
    this.tokens.set(hashOf(token), Date.now() + TOKEN_MILLIS);
    return `${this.origin}/?token=${token}`;
  }

  async close(): Promise<void> {
    if (!this.listening) return;
    // Upgraded connections are no longer the HTTP server's to close.
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  private get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  private get cookie(): string {
    // Cookies do not know ports: another engine's must have another name.
    return `drydock_${this.port}`;
  }

  private listen(): Promise<void> {
    this.listening ??= this.bind();
    return this.listening;
  }

  private async bind(): Promise<void> {
    const kept = await this.read();
    this.sessions = kept?.sessions ?? [];
    const bindTo = (port: number): Promise<void> =>
      new Promise((resolve, reject) => {
        this.server.once("error", reject);
        this.server.listen({ host: "127.0.0.1", port }, () => {
          this.server.off("error", reject);
          resolve();
        });
      });
    try {
      await bindTo(kept?.port ?? 0);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
      await bindTo(0);
    }
    const address = this.server.address();
    this.port = typeof address === "object" && address ? address.port : 0;
    await this.keep();
  }

  private async read(): Promise<z.infer<typeof Kept> | undefined> {
    try {
      return Kept.parse(JSON.parse(await readFile(this.options.state, "utf8")));
    } catch (error) {
      // Absent or damaged: pages must be opened anew.
      if (
        error instanceof z.ZodError ||
        error instanceof SyntaxError ||
        (error as NodeJS.ErrnoException).code === "ENOENT"
      )
        return undefined;
      throw error;
    }
  }

  private keep(): Promise<void> {
    return writeFileAtomically(this.options.state, JSON.stringify({ port: this.port, sessions: this.sessions }), 0o600);
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.protect(response);
    const refuse = (status: number, text: string): void =>
      void response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(`${text}\n`);
    if (!this.fromHere(request, false)) return refuse(403, "Forbidden: not this address");
    if (request.method !== "GET" && request.method !== "HEAD") return refuse(405, "Method not allowed");
    const url = new URL(request.url ?? "/", this.origin);
    const token = url.searchParams.get("token");
    if (token !== null && url.pathname === "/") {
      if (await this.exchange(token, response)) return;
      if (!this.session(request))
        return refuse(403, "This link has been used or is too old. Ask for a new one: drydock ui");
      response.writeHead(303, { location: "/" }).end();
      return;
    }
    if (!this.session(request)) return refuse(403, "Not signed in. Open the window with: drydock ui");
    await this.serve(url.pathname, request, response);
  }

  private async exchange(token: string, response: ServerResponse): Promise<boolean> {
    const hash = hashOf(token);
    const expiry = this.tokens.get(hash);
    this.tokens.delete(hash);
    if (expiry === undefined || expiry < Date.now()) return false;
    const session = randomBytes(32).toString("base64url");
    this.sessions = [...this.sessions, hashOf(session)].slice(-SESSIONS_KEPT);
    await this.keep();
    const attributes = `Path=/; HttpOnly; SameSite=Strict; Max-Age=${SESSION_SECONDS}`;
    response.writeHead(303, { location: "/", "set-cookie": `${this.cookie}=${session}; ${attributes}` }).end();
    return true;
  }

  private session(request: IncomingMessage): boolean {
    const cookies = (request.headers.cookie ?? "").split(/;\s*/);
    const prefix = `${this.cookie}=`;
    const value = cookies.find((cookie) => cookie.startsWith(prefix))?.slice(prefix.length);
    if (!value) return false;
    const hash = Buffer.from(hashOf(value));
    return this.sessions.some((known) => known.length === hash.length && timingSafeEqual(Buffer.from(known), hash));
  }

  /** The Host is this address, and so is the Origin where there is one (there must be, for a WebSocket). */
  private fromHere(request: IncomingMessage, originNeeded: boolean): boolean {
    if (request.headers.host !== `127.0.0.1:${this.port}`) return false;
    const { origin } = request.headers;
    return origin === undefined ? !originNeeded : origin === this.origin;
  }

  private protect(response: ServerResponse): void {
    const policy = [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self' 'unsafe-inline'",
      "img-src 'self' data:",
      "font-src 'self' data:",
      "worker-src 'self' blob:",
      `connect-src 'self' ws://127.0.0.1:${this.port}`,
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ];
    response.setHeader("content-security-policy", policy.join("; "));
    response.setHeader("x-content-type-options", "nosniff");
    response.setHeader("referrer-policy", "no-referrer");
    response.setHeader("cross-origin-opener-policy", "same-origin");
    response.setHeader("cross-origin-resource-policy", "same-origin");
  }

  private async serve(pathname: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { files } = this.options;
    const wanted = path.join(files, path.normalize(decodeURIComponent(pathname)));
    const inside = wanted === files || wanted.startsWith(files + path.sep);
    const file = inside ? await fileAt(wanted) : undefined;
    // A page of the app's own router is the app.
    const isPage = path.extname(pathname) === "";
    const chosen = file ?? (isPage ? await fileAt(path.join(files, "index.html")) : undefined);
    if (!chosen) {
      response.writeHead(404, { "content-type": "text/plain" }).end("Not found\n");
      return;
    }
    const hashed = pathname.startsWith("/assets/");
    response.writeHead(200, {
      "content-type": TYPES[path.extname(chosen.path)] ?? "application/octet-stream",
      "content-length": chosen.size,
      "cache-control": hashed ? "private, max-age=31536000, immutable" : "no-store",
    });
    if (request.method === "HEAD") {
      response.end();
      return;
    }
    createReadStream(chosen.path)
      .on("error", () => response.destroy())
      .pipe(response);
  }
}

async function fileAt(file: string): Promise<{ path: string; size: number } | undefined> {
  try {
    const found = await stat(file);
    return found.isFile() ? { path: file, size: found.size } : undefined;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}

function hashOf(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}
