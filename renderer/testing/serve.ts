/**
 * Serves the built window with a pretended engine behind it, on a loopback port:
 * `node renderer/testing/serve.ts [scene] [--pods N] [--speed N] [--port N]`. What the UI tests drive too.
 */
import { createServer, type Server } from "node:http";
import { readFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { RPCHandler } from "@orpc/server/ws";
import { WebSocketServer } from "ws";
import { createDouble, type Double, type DoubleOptions, type Scene } from "./double.ts";

const TYPES: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".ttf": "font/ttf",
  ".json": "application/json",
};

export interface Served {
  url: string;
  double: Double;
  /** Drops every connection and refuses new ones until `resume`: an engine that went away. */
  pause(): void;
  resume(): void;
  close(): Promise<void>;
}

export async function serveDouble(root: string, options: DoubleOptions, port = 0): Promise<Served> {
  const double = createDouble(options);
  const handler = new RPCHandler(double.router);
  const server: Server = createServer((request, response) => {
    const path = normalize(new URL(request.url ?? "/", "http://localhost").pathname).replace(/^(\.\.[/\\])+/, "");
    const file = join(root, path.endsWith("/") ? "index.html" : path);
    readFile(file).then(
      (content) =>
        response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" }).end(content),
      () => response.writeHead(404).end("not found"),
    );
  });
  const sockets = new WebSocketServer({ noServer: true });
  let paused = false;
  server.on("upgrade", (request, socket, head) => {
    if (paused || request.url !== "/rpc") return socket.destroy();
    sockets.handleUpgrade(request, socket, head, (webSocket) => void handler.upgrade(webSocket));
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    double,
    pause() {
      paused = true;
      for (const client of sockets.clients) client.terminate();
    },
    resume() {
      paused = false;
    },
    close() {
      double.dispose();
      for (const client of sockets.clients) client.terminate();
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { pods: { type: "string" }, speed: { type: "string" }, port: { type: "string" } },
  });
  const served = await serveDouble(
    fileURLToPath(new URL("../../out/renderer", import.meta.url)),
    { scene: (positionals[0] ?? "busy") as Scene, pods: Number(values.pods ?? 12), speed: Number(values.speed ?? 1) },
    Number(values.port ?? 0),
  );
  process.stdout.write(`${served.url}\n`);
}
