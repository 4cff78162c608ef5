import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import type { Server as HttpServer } from "node:http";
import { createServer } from "node:https";
import type { Server } from "node:https";
import { connect } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { ensurePki } from "../../pki/index.ts";
import { KubeletProxy } from "./kubelet-proxy.ts";

let folder: string;
let kubelet: Server;
let front: HttpServer;
let proxy: KubeletProxy;
const target = { address: "127.0.0.1", port: 0 };

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "drydock-proxy-"));
  const pki = await ensurePki(folder, ["127.0.0.1", "localhost"]);
  const { ca, apiserver, kubeletClient } = pki;
  kubelet = createServer(
    {
      cert: apiserver.certificate,
      key: apiserver.key,
      ca: ca.certificate,
      requestCert: true,
      rejectUnauthorized: true,
    },
    (request, response) => {
      if (request.url === "/silent") return;
      if (request.url === "/session") {
        const socket = request.socket as TLSSocket;
        response.end(`${socket.isSessionReused()} ${socket.getPeerCertificate().subject.CN}`);
        return;
      }
      response
        .writeHead(request.url === "/missing" ? 404 : 200, { "content-type": "text/plain" })
        .end(`you asked ${request.url}`);
    },
  );
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => "v5.channel.k8s.io" });
  kubelet.on("upgrade", (request, socket, head) => {
    if (request.url === "/silent") return;
    if (request.url === "/cut") socket.end("HTTP/1.1 500 Oh\r\ncontent-length: 700\r\n\r\nno");
    else if (request.url === "/refuse") socket.end("HTTP/1.1 404 Not Found\r\ncontent-length: 7\r\n\r\nno such");
    else
      sockets.handleUpgrade(request, socket, head, (webSocket) =>
        webSocket.on("message", (data) =>
          webSocket.send(`${String(data)} ${request.headers.authorization ?? "unknown"}`),
        ),
      );
  });
  kubelet.on("connect", (_request, socket) => socket.resume().once("end", () => socket.end()));
  kubelet.listen(0, "127.0.0.1");
  await once(kubelet, "listening");
  target.port = (kubelet.address() as AddressInfo).port;

  const egress = path.join(folder, "egress.sock");
  const egressServer = createHttpServer();
  egressServer.on("connect", (request, socket) => {
    const [host, port] = (request.url ?? "").split(":");
    const upstream = connect(Number(port), host);
    upstream.once("error", () => socket.end("HTTP/1.1 504 Gateway Timeout\r\n\r\n"));
    upstream.once("connect", () => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      socket.pipe(upstream).pipe(socket);
      socket.on("error", () => upstream.destroy());
    });
  });
  egressServer.listen(egress).unref();
  await once(egressServer, "listening");
  proxy = new KubeletProxy({
    egress,
    ca: ca.certificate,
    certificate: kubeletClient.certificate,
    key: kubeletClient.key,
    timeoutMillis: 2000,
  });

  front = createHttpServer();
  front.on("upgrade", (request, socket, head) => {
    proxy
      .upgrade(target, request.url ?? "/", request, socket, head)
      .catch((error: Error & { code?: number }) =>
        socket.end(`HTTP/1.1 ${error.code ?? 500} Error\r\ncontent-length: 0\r\n\r\n`),
      );
  });
  front.listen(0, "127.0.0.1");
  await once(front, "listening");
});
afterAll(async () => {
  kubelet.close();
  kubelet.closeAllConnections();
  front.close();
  await rm(folder, { recursive: true, force: true });
});

async function body(pathAndQuery: string): Promise<string> {
  const response = await proxy.get(target, pathAndQuery);
  let text = `${response.statusCode} `;
  for await (const chunk of response) text += String(chunk);
  return text;
}

describe("KubeletProxy", () => {
  it("brings the kubelet's answer, whatever its status", async () => {
    expect(await body("/containerLogs/a/b/c?follow=true")).toBe("200 you asked /containerLogs/a/b/c?follow=true");
    expect(await body("/missing")).toBe("404 you asked /missing");
  });

  it("resumes the TLS session of a kubelet that it knows, still as itself, and begins anew where that is refused", async () => {
    await body("/session");
    expect(await body("/session")).toBe("200 true kube-apiserver-kubelet-client");
    kubelet.setTicketKeys(randomBytes(48));
    expect(await body("/session")).toBe("200 false kube-apiserver-kubelet-client");
    expect(await body("/session")).toBe("200 true kube-apiserver-kubelet-client");
  });

  it("passes an upgrade on, with its subprotocol and without the client's credentials", async () => {
    const { port } = front.address() as AddressInfo;
    const socket = new WebSocket(`ws://127.0.0.1:${port}/exec`, ["v5.channel.k8s.io"], {
      headers: { authorization: "Bearer secret" },
    });
    await once(socket, "open");
    expect(socket.protocol).toBe("v5.channel.k8s.io");
    socket.send("hello");
    const [answer] = (await once(socket, "message")) as [Buffer];
    expect(answer.toString()).toBe("hello unknown");
    socket.close();
    await once(socket, "close");
  });

  it("tells a refusal as the Status it is, and a kubelet that is not there as unavailable", async () => {
    const { port } = front.address() as AddressInfo;
    const socket = new WebSocket(`ws://127.0.0.1:${port}/refuse`);
    socket.on("error", () => undefined);
    const [, response] = (await once(socket, "unexpected-response")) as [unknown, { statusCode: number }];
    expect(response.statusCode).toBe(404);
    await expect(proxy.get({ address: "127.0.0.1", port: 1 }, "/healthz")).rejects.toMatchObject({
      reason: "ServiceUnavailable",
    });
  });

  it.each(["/silent", "/cut"])("gives up on a kubelet that does not answer in full (%s)", async (path) => {
    const { port } = front.address() as AddressInfo;
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`);
    socket.on("error", () => undefined);
    const [, response] = (await once(socket, "unexpected-response")) as [unknown, { statusCode: number }];
    expect(response.statusCode).toBe(503);
    await noneHeld();
  });

  it("gives up on its own requests to a kubelet that does not answer", async () => {
    const left = new AbortController().signal;
    const unavailable = { reason: "ServiceUnavailable" };
    await expect(proxy.get(target, "/silent")).rejects.toMatchObject(unavailable);
    await expect(proxy.webSocket(target, "/silent", "v5.channel.k8s.io", left)).rejects.toMatchObject(unavailable);
    await expect(proxy.connectThrough(target, "silent:1", left)).rejects.toMatchObject(unavailable);
    await noneHeld();
  });

  it("keeps no connection that was refused, nor one whose client has left", async () => {
    const client = new AbortController();
    await expect(proxy.webSocket(target, "/refuse", "v5.channel.k8s.io", client.signal)).rejects.toMatchObject({
      reason: "NotFound",
    });
    await noneHeld();
    const socket = await proxy.webSocket(target, "/exec", "v5.channel.k8s.io", client.signal);
    client.abort();
    await once(socket, "close");
    const asked = [
      proxy.webSocket(target, "/exec", "v5.channel.k8s.io", client.signal),
      proxy.get(target, "/healthz", client.signal),
      proxy.secure(target, client.signal),
      proxy.connectThrough(target, "silent:1", client.signal),
    ];
    for (const one of await Promise.allSettled(asked)) expect(one.status).toBe("rejected");
    await noneHeld();
  });
});

function noneHeld(): Promise<void> {
  return expect.poll(() => new Promise((resolve) => kubelet.getConnections((_error, count) => resolve(count)))).toBe(0);
}
