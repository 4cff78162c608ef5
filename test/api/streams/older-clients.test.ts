/** What kubectl does not speak itself: channels of old over WebSocket, many at once, and the proxy subresource. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { Server } from "node:http";
import { createServer as createTcpServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { connect } from "node:tls";
import { readFile } from "node:fs/promises";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { readKubeconfig } from "../../../main/control-plane/client/node-transport.ts";
import type { NodeTransportOptions } from "../../../main/control-plane/client/node-transport.ts";
import { ProcessNode } from "./process-node.ts";

let node: ProcessNode;
let site: Server;
let api: NodeTransportOptions;

beforeAll(async () => {
  site = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      if (request.url === "/moved") return void response.writeHead(302, { location: "/new?a=b" }).end();
      if (request.url === "/page") {
        const page = gzipSync('<a href="/next">next</a>');
        const type = { "content-type": "text/html; charset=utf-8", "content-encoding": "gzip" };
        const more = { "content-length": page.length, "access-control-allow-origin": "*" };
        return void response.writeHead(200, { ...type, ...more }).end(page);
      }
      response.writeHead(request.url === "/missing" ? 404 : 200, { "x-own": "yes", "set-cookie": ["a=1", "b=2"] });
      const { authorization = "none", "x-forwarded-uri": uri = "" } = request.headers;
      response.end(JSON.stringify({ method: request.method, url: request.url, body, authorization, uri }));
    });
  });
  const sockets = new WebSocketServer({ server: site });
  sockets.on("connection", (socket) => socket.on("message", (data) => socket.send(`echo ${String(data)}`)));
  site.listen(0, "127.0.0.1");
  await once(site, "listening");
  const { port } = site.address() as AddressInfo;
  node = await ProcessNode.start();
  await node.pod("web", {
    labels: { app: "web" },
    containers: { main: { command: ["true"], ports: [{ name: "http", containerPort: port }] } },
  });
  await node.server.ok(`expose pod web --port=80 --target-port=http`);
  api = readKubeconfig(await readFile(node.server.kubeconfig, "utf8"));
});

afterAll(async () => {
  site?.closeAllConnections();
  site?.close();
  await node?.stop();
});

function open(path: string, protocols: string[]): WebSocket {
  return new WebSocket(api.server.replace("https:", "wss:") + path, protocols, {
    ca: api.ca,
    cert: api.certificate,
    key: api.key,
  });
}

/** All messages of a session, by channel. */
async function said(socket: WebSocket, base64: boolean): Promise<string[]> {
  const channels: string[] = ["", "", "", ""];
  socket.on("message", (raw: Buffer) => {
    const channel = base64 ? Number(raw.toString()[0]) : (raw[0] as number);
    channels[channel] += base64
      ? Buffer.from(raw.toString().slice(1), "base64").toString()
      : raw.subarray(1).toString();
  });
  await once(socket, "close");
  return channels;
}

const exec = (command: string[], flags = "stdout=true&stderr=true"): string =>
  `/api/v1/namespaces/default/pods/web/exec?${flags}&${command.map((word) => `command=${encodeURIComponent(word)}`).join("&")}`;

describe("exec over WebSocket", () => {
  const command = ["sh", "-c", "echo out; echo err >&2; exit 3"];
  it.each([
    ["v5.channel.k8s.io", /"ExitCode","message":"3"/],
    ["v4.channel.k8s.io", /"ExitCode","message":"3"/],
    ["v4.base64.channel.k8s.io", /"ExitCode","message":"3"/],
    ["channel.k8s.io", /^command terminated with non-zero exit code/],
    ["base64.channel.k8s.io", /^command terminated with non-zero exit code/],
    ["", /^command terminated with non-zero exit code/],
  ])("%j: each output on its channel, then how it ended", async (protocol, end) => {
    const socket = open(exec(command), protocol === "" ? [] : [protocol]);
    const channels = said(socket, protocol.includes("base64"));
    await once(socket, "open");
    expect(socket.protocol).toBe(protocol);
    const [, stdout, stderr, status] = await channels;
    expect([stdout, stderr]).toEqual(["out\n", "err\n"]);
    expect(status).toMatch(end);
  });

  it("says nothing of success before v4, and takes input in base64", async () => {
    const socket = open(exec(["head", "-n1"], "stdin=true&stdout=true"), ["base64.channel.k8s.io"]);
    const channels = said(socket, true);
    await once(socket, "open");
    socket.send(`0${Buffer.from("typed\n").toString("base64")}`);
    expect(await channels).toEqual(["", "typed\n", "", ""]);
  });

  it("refuses what nobody speaks, and who may only look", async () => {
    const refused = async (socket: WebSocket): Promise<number> =>
      ((await once(socket, "unexpected-response")) as [unknown, { statusCode: number }])[1].statusCode;
    expect(await refused(open(exec(command), ["v9.channel.k8s.io"]).on("error", () => undefined))).toBe(400);
    await node.server.ok("create role looks --verb=get --resource=pods,pods/exec");
    await node.server.ok("create rolebinding looks --role=looks --user=looker");
    const looks = await node.server.kubectl(["exec", "web", "--as=looker", "--", "true"]);
    expect(looks.stderr).toMatch(/User "looker" cannot create resource "pods\/exec" in API group ""/);
  });

  it("many at once, each whole", async () => {
    const many = Array.from({ length: 40 }, async (_, index) => {
      const socket = open(exec(["seq", String(index), String(index + 20_000)]), ["v4.channel.k8s.io"]);
      return (await said(socket, false))[1]?.trim().split("\n") ?? [];
    });
    for (const [index, lines] of (await Promise.all(many)).entries()) {
      expect(lines).toHaveLength(20_001);
      expect(lines.at(-1)).toBe(String(index + 20_000));
    }
    expect(node.runtime.running).toBe(0);
  });
});

it("port-forward over channels: data and errors of each port on their own", async () => {
  const { port } = site.address() as AddressInfo;
  const socket = open(`/api/v1/namespaces/default/pods/web/portforward?ports=${port},1`, ["v4.channel.k8s.io"]);
  const channels: Buffer[] = Array.from({ length: 4 }, () => Buffer.alloc(0));
  socket.on("message", (raw: Buffer) => {
    const at = raw[0] as number;
    channels[at] = Buffer.concat([channels[at] as Buffer, raw.subarray(1)]);
  });
  await once(socket, "open");
  socket.send(Buffer.concat([Buffer.from([0]), Buffer.from("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")]));
  await once(socket, "close");
  expect(channels.map((channel) => channel.readUInt16LE())).toEqual([port, port, 1, 1]);
  expect(channels[0]?.toString()).toMatch(/HTTP\/1\.1 200 OK[\s\S]*"method":"GET"/);
  expect(channels[3]?.toString()).toMatch(/error forwarding port 1 to pod: .*ECONNREFUSED/);
});

describe("the proxy subresource", () => {
  const raw = async (path: string): Promise<string> => node.server.ok(`get --raw ${path}`);

  it.each([
    ["a Pod's first port", "/api/v1/namespaces/default/pods/web/proxy"],
    ["a Pod's named port", "/api/v1/namespaces/default/pods/web:http/proxy"],
    ["a Service", "/api/v1/namespaces/default/services/web/proxy"],
    ["a Service's port", "/api/v1/namespaces/default/services/http:web:80/proxy"],
  ])("%s", async (_, prefix) => {
    // Endpoints follow the Pod in a moment.
    await expect.poll(() => raw(`${prefix}/a?b=c`).catch(String)).toContain('"url":"/a?b=c"');
    const answer = JSON.parse(await raw(`${prefix}/a?b=c`)) as Record<string, string>;
    expect(answer).toMatchObject({ method: "GET", url: "/a?b=c", authorization: "none", uri: `${prefix}/a` });
  });

  it("a node's kubelet", async () => {
    expect(await raw("/api/v1/nodes/processes/proxy/pods")).toContain('"name":"web"');
    expect(await node.server.fails("get --raw /api/v1/nodes/processes/proxy/nothing")).toMatch(/could not find/);
  });

  it("passes bodies, codes, redirects and cookies on, but no credentials", async () => {
    const transport = await node.server.transport();
    const prefix = "/api/v1/namespaces/default/pods/web/proxy";
    const ask = (method: "GET" | "POST", path: string, body?: string): ReturnType<typeof transport> =>
      transport({ method, path: prefix + path, headers: { authorization: "Bearer x" }, ...(body ? { body } : {}) });
    expect((await ask("GET", "/missing")).status).toBe(404);
    const moved = await ask("GET", "/moved");
    expect([moved.status, moved.headers["location"]]).toEqual([302, `${prefix}/new?a=b`]);
  });

  it("leads the links of a page back, and allows no other origin", async () => {
    const prefix = "/api/v1/namespaces/default/pods/web/proxy";
    const { headers, body } = await (await node.server.transport())({ method: "GET", path: `${prefix}/page` });
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) chunks.push(chunk);
    const answer = Buffer.concat(chunks);
    const page = headers["content-encoding"] === "gzip" ? gunzipSync(answer) : answer;
    expect(page.toString()).toBe(`<a href="${prefix}/next">next</a>`);
    expect(headers["access-control-allow-origin"]).toBeUndefined();
  });

  it("WebSockets", async () => {
    const socket = open("/api/v1/namespaces/default/services/web:80/proxy/socket", []);
    await once(socket, "open");
    socket.send("hello");
    const [answer] = (await once(socket, "message")) as [Buffer];
    expect(answer.toString()).toBe("echo hello");
    socket.close();
  });

  it.each<[string, string]>([
    ["a request", "GET / HTTP/1.1\r\nhost: x\r\n\r\n"],
    ["a body that is not all there", "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf"],
    ["an upgrade", "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: own\r\n\r\n"],
  ])("who leaves %s before it is answered takes the connection behind along", async (_, text) => {
    // It takes what comes, and never says anything.
    const quiet = createTcpServer().listen(0, "127.0.0.1");
    await once(quiet, "listening");
    const reached = once(quiet, "connection") as Promise<[Socket]>;
    const { port } = quiet.address() as AddressInfo;
    const { hostname, port: apiPort } = new URL(api.server);
    const client = connect({ host: hostname, port: Number(apiPort), ca: api.ca, cert: api.certificate, key: api.key });
    client.on("error", () => undefined);
    client.write(text.replace(" / ", ` /api/v1/namespaces/default/pods/web:${port}/proxy/ `));
    const [behind] = await reached;
    behind.on("error", () => undefined);
    await once(behind, "data");
    const closed = once(behind, "close");
    client.destroy();
    await closed;
    expect(behind.destroyed).toBe(true);
    quiet.close();
  });

  it("what is not there", async () => {
    expect(await node.server.fails("get --raw /api/v1/namespaces/default/pods/nobody/proxy/")).toMatch(
      /"nobody" not found/,
    );
    expect(await node.server.fails("get --raw /api/v1/namespaces/default/services/web:9/proxy/")).toMatch(
      /no service port "9" found for service "web"/,
    );
    expect(await node.server.fails("get --raw /api/v1/namespaces/default/pods/web:1/proxy/")).toMatch(/ECONNREFUSED/);
  });
});
