import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { os } from "@orpc/server";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { rpcServer } from "./server.ts";
import { UiServer } from "./ui-server.ts";

let folder: string;
let server: UiServer;
const start = (): UiServer =>
  new UiServer({
    files: path.join(folder, "renderer"),
    state: path.join(folder, "ui.json"),
    rpc: rpcServer({ ping: os.handler(() => "pong") }, () => undefined),
  });

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "drydock-ui-"));
  await mkdir(path.join(folder, "renderer", "assets"), { recursive: true });
  await writeFile(path.join(folder, "renderer", "index.html"), "<title>Drydock</title>");
  await writeFile(path.join(folder, "renderer", "assets", "app.js"), "1");
  await writeFile(path.join(folder, "secret"), "secret");
  server = start();
});
afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

function get(url: string, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { headers }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    });
    outgoing.on("error", reject).end();
  });
}

async function signIn(): Promise<{ origin: string; cookie: string }> {
  const link = await server.link();
  const answer = await get(link);
  expect(answer.status).toBe(303);
  const [setCookie] = answer.headers["set-cookie"] as string[];
  expect(setCookie).toMatch(/HttpOnly; SameSite=Strict/);
  return { origin: new URL(link).origin, cookie: (setCookie as string).split(";")[0] as string };
}

function upgrade(origin: string, headers: Record<string, string>): Promise<string> {
  return new Promise((resolve) => {
    const socket = new WebSocket(`${origin.replace("http", "ws")}/rpc`, { headers });
    socket.once("open", () => resolve("open"));
    socket.once("unexpected-response", (_request, response) => resolve(String(response.statusCode)));
    socket.once("error", () => socket.terminate());
  });
}

describe("UiServer", () => {
  it("opens for a link that works once, and serves the app and its routes", async () => {
    const link = await server.link();
    expect((await get(link)).status).toBe(303);
    expect((await get(link)).status).toBe(403);
    const { origin, cookie } = await signIn();
    for (const page of ["/", "/clusters/lab"]) expect((await get(origin + page, { cookie })).body).toContain("Drydock");
    expect((await get(`${origin}/assets/app.js`, { cookie })).headers["cache-control"]).toContain("immutable");
    expect((await get(`${origin}/assets/none.js`, { cookie })).status).toBe(404);
  });

  it("tells pages to load nothing from elsewhere", async () => {
    const { origin, cookie } = await signIn();
    const policy = (await get(origin, { cookie })).headers["content-security-policy"];
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(policy).not.toContain("unsafe-eval");
  });

  it("refuses strangers, other hosts and other origins", async () => {
    const { origin, cookie } = await signIn();
    expect((await get(origin)).status).toBe(403);
    expect((await get(origin, { cookie: `${cookie}x` })).status).toBe(403);
    expect((await get(origin, { cookie, host: "evil.example" })).status).toBe(403);
    expect((await get(origin, { cookie, origin: "http://evil.example" })).status).toBe(403);
    expect(await upgrade(origin, { cookie, origin })).toBe("open");
    expect(await upgrade(origin, { cookie, origin: "http://evil.example" })).toBe("403");
    expect(await upgrade(origin, { cookie })).toBe("403");
    expect(await upgrade(origin, { origin })).toBe("403");
  });

  it("serves nothing outside its folder", async () => {
    const { origin, cookie } = await signIn();
    for (const target of ["/../secret", "/%2e%2e/secret", "/assets/..%2f..%2fsecret"]) {
      expect((await get(origin + target, { cookie })).body).not.toContain("secret\n");
      expect((await get(origin + target, { cookie })).body).not.toBe("secret");
    }
  });

  it("keeps its port and its sessions across engines", async () => {
    const { origin, cookie } = await signIn();
    await server.close();
    server = start();
    await server.restore();
    expect((await get(origin, { cookie })).status).toBe(200);
  });
});
