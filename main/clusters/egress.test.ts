import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Egress } from "./egress.ts";

let folder: string;
let kubelet: Server;
let egress: Egress;
let socketPath: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "drydock-egress-"));
  socketPath = path.join(folder, "e.sock");
  // A killed engine's socket file lies there.
  await writeFile(socketPath, "");
  kubelet = createServer((socket) => socket.on("data", (data) => socket.end(`heard ${String(data)}`)));
  kubelet.listen(0, "127.0.0.1");
  await once(kubelet, "listening");
  const { port } = kubelet.address() as AddressInfo;
  egress = new Egress(socketPath, (address, target) =>
    address === "10.240.0.21" && target === 10250 ? port : undefined,
  );
  await egress.listen();
});
afterEach(async () => {
  await egress.close();
  kubelet.close();
  await rm(folder, { recursive: true });
});

async function connectTo(target: string): Promise<{ status: number; socket: Socket }> {
  const outgoing = request({ socketPath, method: "CONNECT", path: target });
  outgoing.end();
  const [response, socket] = (await once(outgoing, "connect")) as [{ statusCode: number }, Socket];
  return { status: response.statusCode, socket };
}

describe("Egress", () => {
  it("carries a connection to the node that has the address", async () => {
    const { status, socket } = await connectTo("10.240.0.21:10250");
    expect(status).toBe(200);
    socket.write("hello");
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(answer.toString()).toBe("heard hello");
  });

  it("leaves no socket behind, and replaces one that was left", async () => {
    await egress.close();
    expect(await readdir(folder)).toEqual([]);
    await egress.listen();
    expect(await readdir(folder)).toEqual(["e.sock"]);
  });

  it.each(["10.240.0.99:10250", "10.240.0.21:22", "127.0.0.1:10250", "nonsense"])("refuses %s", async (target) => {
    const { status, socket } = await connectTo(target);
    expect(status).toBe(502);
    socket.destroy();
  });
});
