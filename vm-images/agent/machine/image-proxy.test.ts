import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, expect, it } from "vitest";
import { Log } from "../log.ts";
import { ImageProxyRelay } from "./image-proxy.ts";

/** Stands for the developer's computer. */
const HOST = "127.0.0.2";
const relay = new ImageProxyRelay(new Log(() => undefined), HOST);
let registry: Server | undefined;

afterEach(() => {
  relay.close();
  registry?.close();
});

const ask = async (port: number): Promise<string> => {
  const socket = connect({ host: "127.0.0.1", port });
  await once(socket, "connect");
  return text(socket);
};

it("leads localhost to the developer's computer while something listens there", async () => {
  registry = createServer((socket) => socket.on("error", () => undefined).end("registry")).listen(0, HOST);
  await once(registry, "listening");
  const { port } = registry.address() as AddressInfo;
  const image = `localhost:${port}/app:1`;
  await relay.reach(image);
  expect(await ask(port)).toBe("registry");
  registry.close();
  await once(registry, "close");
  await relay.reach(image);
  await expect(ask(port)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  await relay.reach(image);
  await expect(ask(port)).rejects.toMatchObject({ code: "ECONNREFUSED" });
});
