import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { connect } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { connect as connectTLS } from "node:tls";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ImageProxy } from "../../../../common/node/identity.ts";
import { ImageProxyServer } from "./image-proxy.ts";

let home: string;
let server: ImageProxyServer;
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), "dd-"));
  server = new ImageProxyServer(home, () => undefined);
});
afterEach(async () => {
  await server.close();
  await rm(home, { recursive: true });
});

/** What the proxy answers to a CONNECT, and the connection if it agrees. */
async function through(proxy: ImageProxy, password: string) {
  const socket = connect({ host: "127.0.0.1", port: Number(proxy.address.split(":")[1]) });
  const credentials = Buffer.from(`drydock:${password}`).toString("base64");
  socket.write(
    `CONNECT registry.test:443 HTTP/1.1\r\nHost: registry.test\r\nProxy-Authorization: Basic ${credentials}\r\n\r\n`,
  );
  const [head] = (await new Promise<Buffer>((resolve) => socket.once("data", resolve))).toString().split("\r\n");
  return { head, socket };
}

describe("the way to registries", () => {
  it("answers in a registry's name, with a certificate that its authority vouches for", async () => {
    const registry = createServer((_request, response) => void response.end("from upstream"));
    await new Promise<void>((resolve) => registry.listen(0, "127.0.0.1", resolve));
    const { port } = registry.address() as AddressInfo;
    await writeFile(
      path.join(home, "registries.yaml"),
      `mirrors: {registry.test: {endpoint: ["http://127.0.0.1:${port}"]}}`,
    );
    const proxy = await server.open();
    const { head, socket } = await through(proxy, proxy.password);
    expect(head).toBe("HTTP/1.1 200 Connection established");
    const secure = connectTLS({ socket, servername: "registry.test", ca: proxy.caCertificate });
    secure.write("GET /v2/ HTTP/1.1\r\nHost: registry.test\r\nConnection: close\r\n\r\n");
    expect(await text(secure)).toMatch(/200 OK[\s\S]*from upstream/);
    registry.closeAllConnections();
    registry.close();
  });

  it("lets nobody in without the password", async () => {
    const proxy = await server.open();
    const { head, socket } = await through(proxy, "guess");
    expect(head).toContain("407");
    socket.destroy();
  });

  it("is found at the same place, with the same authority, by nodes that outlived the engine", async () => {
    const before = await server.open();
    expect((await stat(path.join(home, "image-cache", "proxy.json"))).mode & 0o777).toBe(0o600);
    await server.close();
    server = new ImageProxyServer(home, () => undefined);
    expect(await server.open()).toEqual(before);
  });

  it("moves when another program has taken its port", async () => {
    const before = await server.open();
    await server.close();
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(Number(before.address.split(":")[1]), "127.0.0.1", resolve));
    server = new ImageProxyServer(home, () => undefined);
    expect((await server.open()).address).not.toBe(before.address);
    other.close();
  });
});
