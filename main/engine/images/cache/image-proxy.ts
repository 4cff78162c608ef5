/**
 * The way to registries for the nodes of all clusters: an HTTPS proxy on a loopback port, behind which every registry is
 * answered by one cache. It shows certificates of an authority of its own that only nodes trust, and it lets in only who
 * knows its password: nodes are told both over their serial port.
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { IncomingMessage, Server } from "node:http";
import path from "node:path";
import type { Duplex } from "node:stream";
import { TLSSocket, createSecureContext } from "node:tls";
import type { SecureContext } from "node:tls";
import * as z from "zod";
import type { ImageProxy } from "../../../../common/node/identity.ts";
import { writeFileAtomically } from "../../../clusters/cluster-file.ts";
import { createAuthority, createLeaf, yearSeconds } from "../../../control-plane/pki/keys.ts";
import type { KeyAndCertificate } from "../../../control-plane/pki/keys.ts";
import { listenAt } from "../../listen.ts";
import { RegistryCache } from "./registry-cache.ts";
import type { CacheUsage } from "./registry-cache.ts";
import { Registries } from "./registries.ts";

/** How QEMU user networking shows the host to a guest. */
const HOST_ADDRESS = "10.0.2.2";
const State = z.object({ port: z.int(), password: z.string(), certificate: z.string(), key: z.string() });
type State = z.infer<typeof State>;

export class ImageProxyServer {
  readonly registries: Registries;
  readonly cache: RegistryCache;
  private readonly folder: string;
  private readonly log: (line: string) => void;
  private readonly contexts = new Map<string, Promise<SecureContext>>();
  private readonly sockets = new Set<Duplex>();
  private readonly inner: Server;
  private outer: Server | undefined;
  private opening: Promise<ImageProxy> | undefined;
  private state: State | undefined;

  constructor(home: string, log: (line: string) => void) {
    this.folder = path.join(home, "image-cache");
    this.log = (line) => log(`image cache: ${line}`);
    this.registries = new Registries(home);
    this.cache = new RegistryCache(this.folder, this.registries, this.log);
    // Never listens: it is handed the connections that the proxy has unwrapped.
    this.inner = createServer((request, response) => {
      const { authority } = request.socket as unknown as { authority: string };
      void this.cache.serve(authority, request, response);
    });
  }

  /** Opens it the first time. */
  open(): Promise<ImageProxy> {
    this.opening ??= this.start().catch((error: unknown) => {
      this.opening = undefined;
      throw error;
    });
    return this.opening;
  }

  /** For people: how much there is, and whether the file of registries is right. */
  async usage(): Promise<CacheUsage & { registriesFile: string; problem?: string }> {
    await this.open();
    const problem = await this.registries.read().then(
      () => undefined,
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
    return { ...(await this.cache.usage()), registriesFile: this.registries.file, ...(problem ? { problem } : {}) };
  }

  async clear(): Promise<number> {
    await this.open();
    return this.cache.clear();
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.inner.closeAllConnections();
    if (this.outer?.listening) await new Promise<void>((resolve) => this.outer?.close(() => resolve()));
    await this.cache.close();
  }

  private async start(): Promise<ImageProxy> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    const state = await this.readState();
    await this.cache.prepare();
    const outer = createServer((_request, response) => void response.writeHead(405).end("CONNECT only\n"));
    outer.on("connect", (request, socket: Duplex, head: Buffer) => this.connect(request, socket, head));
    const port = await listenAt(outer, state.port);
    this.outer = outer;
    this.state = { ...state, port };
    // The same port for the next engine, so that nodes which run on find it.
    await writeFileAtomically(this.stateFile, JSON.stringify(this.state), 0o600);
    this.log(`serves nodes on port ${port}`);
    return { address: `${HOST_ADDRESS}:${port}`, password: state.password, caCertificate: state.certificate };
  }

  private connect(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.sockets.add(socket);
    socket.once("close", () => this.sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    if (!this.knows(request.headers["proxy-authorization"])) {
      socket.end(
        "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nConnection: close\r\n\r\n",
      );
      return;
    }
    const authority = request.url ?? "";
    const host = authority.replace(/:\d+$/, "");
    this.context(host).then(
      (secureContext) => {
        if (head.length > 0) socket.unshift(head);
        socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
        const secure = new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: ["http/1.1"] });
        secure.on("error", () => secure.destroy());
        Object.assign(secure, { authority });
        this.inner.emit("connection", secure);
      },
      (error: unknown) => {
        this.log(`no certificate for ${host}: ${String(error)}`);
        socket.end("HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\n\r\n");
      },
    );
  }

  private knows(header: string | undefined): boolean {
    const given = Buffer.from((header ?? "").replace(/^Basic /i, ""), "base64");
    const wanted = Buffer.from(`drydock:${this.state?.password ?? ""}`);
    return given.length === wanted.length && timingSafeEqual(given, wanted);
  }

  private context(host: string): Promise<SecureContext> {
    let context = this.contexts.get(host);
    if (!context) {
      context = this.certify(host);
      context.catch(() => this.contexts.delete(host));
      this.contexts.set(host, context);
    }
    return context;
  }

  private async certify(host: string): Promise<SecureContext> {
    const { certificate, key } = this.state as State;
    const options = { commonName: host, sans: [host], usages: ["server auth" as const], lifetime: yearSeconds };
    const leaf = await createLeaf({ certificate, key }, options);
    return createSecureContext({ cert: leaf.certificate, key: leaf.key });
  }

  private get stateFile(): string {
    return path.join(this.folder, "proxy.json");
  }

  /** A damaged file is made anew: nodes are told what is in it each time they come up. */
  private async readState(): Promise<State> {
    try {
      return State.parse(JSON.parse(await readFile(this.stateFile, "utf8")));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT")
        this.log(`${this.stateFile} is made anew: ${String(error)}`);
    }
    const authority: KeyAndCertificate = await createAuthority("drydock image cache");
    return { port: 0, password: randomBytes(24).toString("hex"), ...authority };
  }
}
