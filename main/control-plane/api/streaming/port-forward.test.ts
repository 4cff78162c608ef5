import { once } from "node:events";
import { createServer } from "node:http";
import { createServer as createTcpServer, connect } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { WebSocket } from "ws";
import { servePortForwardChannels } from "./port-forward.ts";
import { acceptWebSocket } from "./web-socket.ts";

const HTTP = createServer();
/** What runs in the Pod: it keeps what it hears and, like many a server, its side open. */
const pod = createTcpServer({ allowHalfOpen: true });
let heard = "";
const inPod = new Set<Socket>();

beforeAll(async () => {
  pod.on("connection", (socket) => {
    inPod.add(socket);
    socket.on("data", (data) => (heard += data.toString()));
    socket.on("error", () => undefined);
    socket.once("close", () => inPod.delete(socket));
  });
  pod.listen(0, "127.0.0.1");
  await once(pod, "listening");
  const dial = async (): Promise<Socket> => {
    const socket = connect({ port: (pod.address() as AddressInfo).port, host: "127.0.0.1", allowHalfOpen: true });
    await once(socket, "connect");
    return socket;
  };
  HTTP.on("upgrade", (request, socket, head) =>
    acceptWebSocket(request, socket, head, "", (webSocket) =>
      servePortForwardChannels(webSocket, "channel.k8s.io", [80], dial),
    ),
  );
  HTTP.listen(0, "127.0.0.1");
  await once(HTTP, "listening");
});
afterAll(() => {
  HTTP.close();
  HTTP.closeAllConnections();
  pod.close();
  for (const socket of inPod) socket.destroy();
});

it("ends the connection into the Pod when the client goes, after all that it had sent", async () => {
  const client = new WebSocket(`ws://127.0.0.1:${(HTTP.address() as AddressInfo).port}/`);
  await once(client, "open");
  await expect.poll(() => inPod.size).toBe(1);
  const [socket] = inPod;
  client.send(Buffer.concat([Buffer.from([0]), Buffer.from("goodbye")]));
  client.close();
  await once(socket as Socket, "end");
  expect(heard).toBe("goodbye");
});
