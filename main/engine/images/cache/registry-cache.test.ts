import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RegistryCache } from "./registry-cache.ts";
import { Registries } from "./registries.ts";

const digestOf = (text: string): string => `sha256:${createHash("sha256").update(text).digest("hex")}`;
const LAYER = "layer ".repeat(50_000);
const MANIFEST = JSON.stringify({ schemaVersion: 2, layers: [{ digest: digestOf(LAYER) }] });
const NAME = "registry.test:5000";

let home: string;
let cache: RegistryCache;
let front: Server;
let registry: Server;
/** "METHOD path" of what reached the registry. */
let asked: { what: string; authorization: string | undefined }[];
let answer: (request: IncomingMessage, response: ServerResponse) => void;

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

function registryAnswer({ url = "" }: IncomingMessage, response: ServerResponse): void {
  if (url.includes("/manifests/"))
    response.writeHead(200, { "content-type": "application/vnd.oci.image.manifest.v1+json" }).end(MANIFEST);
  else if (url.includes("/blobs/")) response.writeHead(200, { "content-length": LAYER.length }).end(LAYER);
  else response.writeHead(200).end("{}");
}

beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), "dd-"));
  asked = [];
  answer = registryAnswer;
  registry = createServer((request, response) => {
    asked.push({ what: `${request.method} ${request.url}`, authorization: request.headers.authorization });
    answer(request, response);
  });
  const port = await listen(registry);
  await writeFile(
    path.join(home, "registries.yaml"),
    `mirrors: {"${NAME}": {endpoint: ["http://127.0.0.1:${port}"]}}\nconfigs: {"127.0.0.1:${port}": {auth: {username: me, password: secret}}}\n`,
  );
  cache = new RegistryCache(path.join(home, "cache"), new Registries(home), () => undefined);
  await cache.prepare();
  front = createServer((request, response) => void cache.serve(NAME, request, response));
  await listen(front);
});

afterEach(async () => {
  await cache.close();
  for (const server of [front, registry]) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  await rm(home, { recursive: true, force: true });
});

const get = (url: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`http://127.0.0.1:${(front.address() as AddressInfo).port}${url}`, { headers });
const BLOB = `/v2/team/app/blobs/${digestOf(LAYER)}`;

describe("blobs", () => {
  it("are brought once, whoever asks and however many at once", async () => {
    const texts = await Promise.all([1, 2, 3].map(async () => (await get(BLOB)).text()));
    expect(texts).toEqual([LAYER, LAYER, LAYER]);
    const again = await get(BLOB);
    expect(again.headers.get("docker-content-digest")).toBe(digestOf(LAYER));
    expect(await again.text()).toBe(LAYER);
    expect(await cache.usage()).toMatchObject({ blobs: 1, bytes: LAYER.length, misses: asked.length });
    expect(asked.length).toBeLessThanOrEqual(3);
    const before = asked.length;
    await (await get(`/v2/another/name/blobs/${digestOf(LAYER)}`)).text();
    expect(asked.length).toBe(before);
  });

  it("are sent from any place on", async () => {
    await (await get(BLOB)).text();
    const part = await get(BLOB, { range: "bytes=100-" });
    expect(part.status).toBe(206);
    expect(part.headers.get("content-range")).toBe(`bytes 100-${LAYER.length - 1}/${LAYER.length}`);
    expect(await part.text()).toBe(LAYER.slice(100));
  });

  it("that are not what their digest says are neither sent whole nor kept", async () => {
    answer = (_request, response) => void response.writeHead(200).end(`${LAYER}!`);
    await expect(get(BLOB).then((response) => response.text())).rejects.toThrow(/terminated|closed|failed/);
    expect(await readdir(path.join(home, "cache", "blobs"))).toEqual([]);
    answer = registryAnswer;
    expect(await (await get(BLOB)).text()).toBe(LAYER);
  });

  it("that break off are not kept", async () => {
    answer = (_request, response) => {
      response.writeHead(200, { "content-length": LAYER.length }).write(LAYER.slice(0, 1000));
      setTimeout(() => response.destroy(), 20);
    };
    await expect(get(BLOB).then((response) => response.text())).rejects.toThrow(/terminated|closed|failed/);
    await expect.poll(() => readdir(path.join(home, "cache", "blobs"))).toEqual([]);
  });

  it("that are under way are broken off when the cache is closed, and leave nothing", async () => {
    answer = (_request, response) =>
      void response.writeHead(200, { "content-length": LAYER.length }).write(LAYER.slice(0, 1000));
    const { body } = await get(BLOB);
    await cache.close();
    expect(await readdir(path.join(home, "cache", "blobs"))).toEqual([]);
    await expect(body?.pipeTo(new WritableStream())).rejects.toThrow(/terminated|closed|failed/);
  });

  it("are told to be missing as the registry tells it", async () => {
    answer = (_request, response) => void response.writeHead(404).end('{"errors":[{"code":"BLOB_UNKNOWN"}]}');
    expect((await get(BLOB)).status).toBe(404);
  });

  it("go, the least used first, when there are too many", async () => {
    await (await get(BLOB)).text();
    await expect.poll(async () => (await cache.usage()).blobs).toBe(1);
    expect(await cache.clear()).toBe(LAYER.length);
    expect((await cache.usage()).blobs).toBe(0);
  });
});

describe("manifests", () => {
  it("by name are asked for each time, and had from the cache while the registry is away", async () => {
    for (let times = 0; times < 2; times++)
      expect(await (await get("/v2/team/app/manifests/1.0")).text()).toBe(MANIFEST);
    expect(asked).toHaveLength(2);
    registry.closeAllConnections();
    await new Promise((resolve) => registry.close(resolve));
    const kept = await get("/v2/team/app/manifests/1.0");
    expect(kept.headers.get("content-type")).toBe("application/vnd.oci.image.manifest.v1+json");
    expect(await kept.text()).toBe(MANIFEST);
    expect((await get("/v2/")).status).toBe(200);
    expect((await get("/v2/team/other/manifests/1.0")).status).toBe(400);
  });

  it("are had by tag while the registry is away when Docker had asked for the tag's digest first", async () => {
    const { port } = front.address() as AddressInfo;
    const head = (): Promise<Response> =>
      fetch(`http://127.0.0.1:${port}/v2/team/app/manifests/2.0`, { method: "HEAD" });
    answer = (request, response) => {
      response.setHeader("docker-content-digest", digestOf(MANIFEST));
      registryAnswer(request, response);
    };
    expect((await head()).status).toBe(200);
    await (await get(`/v2/team/app/manifests/${digestOf(MANIFEST)}`)).text();
    registry.closeAllConnections();
    await new Promise((resolve) => registry.close(resolve));
    expect((await head()).headers.get("docker-content-digest")).toBe(digestOf(MANIFEST));
    expect(await (await get(`/v2/team/app/manifests/${digestOf(MANIFEST)}`)).text()).toBe(MANIFEST);
  });

  it("by digest are asked for once", async () => {
    const one = `/v2/team/app/manifests/${digestOf(MANIFEST)}`;
    for (let times = 0; times < 2; times++) expect(await (await get(one)).text()).toBe(MANIFEST);
    expect(asked).toHaveLength(1);
  });

  it("of another digest than was asked for are refused", async () => {
    expect((await get(`/v2/team/app/manifests/${digestOf("another")}`)).status).toBe(400);
  });
});

describe("credentials", () => {
  it("of registries.yaml answer a registry's challenge", async () => {
    answer = (request, response) => {
      if (request.headers.authorization) return registryAnswer(request, response);
      response.writeHead(401, { "www-authenticate": 'Basic realm="here"' }).end();
    };
    expect((await get("/v2/team/app/manifests/1.0", { authorization: "Basic bm9ib2R5" })).status).toBe(200);
    expect(asked.map(({ authorization }) => authorization)).toEqual([undefined, "Basic bWU6c2VjcmV0"]);
  });

  it("get a token where the registry wants one", async () => {
    const { port } = registry.address() as AddressInfo;
    answer = (request, response) => {
      if (request.url?.startsWith("/token")) return void response.end('{"token":"t0","expires_in":300}');
      if (request.headers.authorization === "Bearer t0") return registryAnswer(request, response);
      const realm = `http://127.0.0.1:${port}/token`;
      response
        .writeHead(401, { "www-authenticate": `Bearer realm="${realm}",service="s",scope="repository:a:pull"` })
        .end();
    };
    expect((await get("/v2/team/app/manifests/1.0")).status).toBe(200);
    expect(asked[1]).toMatchObject({
      what: "GET /token?service=s&scope=repository%3Aa%3Apull",
      authorization: "Basic bWU6c2VjcmV0",
    });
  });
});

it("keeps an upload at the registry's own name", async () => {
  const { port } = registry.address() as AddressInfo;
  answer = (request, response) => {
    if (request.method === "POST")
      response.writeHead(202, { location: `http://127.0.0.1:${port}/v2/a/blobs/uploads/1` });
    response.end();
  };
  const response = await fetch(`http://127.0.0.1:${(front.address() as AddressInfo).port}/v2/a/blobs/uploads/`, {
    method: "POST",
  });
  expect(response.headers.get("location")).toBe(`https://${NAME}/v2/a/blobs/uploads/1`);
});

it("says what is wrong with registries.yaml", async () => {
  await writeFile(path.join(home, "registries.yaml"), "mirrors: [x]\n");
  const response = await get("/v2/team/app/manifests/1.0");
  expect(response.status).toBe(400);
  expect(await response.text()).toContain("registries.yaml: mirrors");
});
