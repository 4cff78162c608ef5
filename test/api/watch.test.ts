/** Lists and watches over HTTP: pages, bookmarks, initial events, selectors, a store that survives a crash. */
import { readFile } from "node:fs/promises";
import { request } from "node:https";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { HttpClient, Transport } from "../../common/kube/http-client.ts";
import type { KubeObject, WatchEvent } from "../../common/kube/object.ts";
import { isStatus } from "../../common/kube/status.ts";
import { readKubeconfig } from "../../main/control-plane/client/node-transport.ts";
import { TestServer } from "./support.ts";

const configMaps = { group: "", version: "v1", resource: "configmaps" };
const namespace = "default";

let server: TestServer;
let client: HttpClient;
let transport: Transport;

beforeAll(async () => {
  server = await TestServer.start();
  client = await server.client();
  transport = await server.transport();
});

afterAll(() => server?.stop());

const made = (name: string, labels: Record<string, string> = {}): KubeObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace, labels },
  data: { name },
});

const create = (name: string, labels?: Record<string, string>): Promise<KubeObject> =>
  client.create({ ...configMaps, namespace, name }, made(name, labels));

async function text(
  path: string,
  query: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<{ status: number; type: string; body: string }> {
  const answer = await transport({ method: "GET", path, query, headers });
  let body = "";
  for await (const chunk of answer.body) body += Buffer.from(chunk).toString();
  return { status: answer.status, type: answer.headers["content-type"] ?? "", body };
}

/** Events until enough have come; the watch ends with it. */
async function take(events: AsyncIterable<WatchEvent>, enough: number): Promise<WatchEvent[]> {
  const taken: WatchEvent[] = [];
  for await (const event of events) {
    taken.push(event);
    if (taken.length >= enough) break;
  }
  return taken;
}

describe("lists", () => {
  it("pages over one snapshot", async () => {
    for (let at = 0; at < 25; at += 1) await create(`page-${String(at).padStart(2, "0")}`, { paged: "yes" });
    const first = await client.list(configMaps, { namespace, limit: 10 });
    expect(first.items).toHaveLength(10);
    expect(first.metadata.remainingItemCount).toBeGreaterThanOrEqual(15);
    await create("page-99-late", { paged: "yes" });
    const names = first.items.map(({ metadata }) => metadata.name);
    let more = first.metadata.continue;
    while (more) {
      const page = await client.list(configMaps, { namespace, limit: 10, continue: more });
      expect(page.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
      names.push(...page.items.map(({ metadata }) => metadata.name));
      more = page.metadata.continue;
    }
    expect(names.filter((name) => name?.startsWith("page-"))).toHaveLength(25);
    expect(new Set(names).size).toBe(names.length);
    const selected = await client.list(configMaps, { namespace, labelSelector: "paged=yes", limit: 7 });
    expect(selected.items).toHaveLength(7);
    expect(selected.metadata.remainingItemCount).toBeUndefined();
  });

  it("checks resourceVersion and its match", async () => {
    const wrong = await text("/api/v1/configmaps", { resourceVersionMatch: "Exact" });
    expect(wrong.status).toBe(422);
    const future = await text("/api/v1/configmaps", { resourceVersion: "99999999" });
    expect(future.status).toBe(504);
    expect(future.body).toMatch(/Too large resource version/);
    expect((await text("/api/v1/configmaps", { continue: "nonsense" })).status).toBe(400);
    expect((await text("/api/v1/configmaps", { labelSelector: "a in (" })).status).toBe(400);
  });

  it("answers as Table and as metadata alone, and refuses what it has not", async () => {
    const table = await text("/api/v1/namespaces", {}, { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" });
    expect(JSON.parse(table.body)).toMatchObject({
      kind: "Table",
      columnDefinitions: [{ name: "Name" }, { name: "Status" }, { name: "Age" }],
    });
    const accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    const strange = await text("/api/v1/namespaces", { includeObject: "All" }, { accept });
    expect([strange.status, strange.body]).toEqual([400, expect.stringContaining("includeObject: Invalid value")]);
    const watch = await text("/api/v1/namespaces", { includeObject: "All", watch: "1" }, { accept });
    expect(watch.status).toBe(400);
    expect((await text("/api/v1/namespaces", { includeObject: "All" })).status).toBe(200);
    const partial = await text(
      "/api/v1/namespaces",
      {},
      { accept: "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io" },
    );
    const list = JSON.parse(partial.body) as { kind: string; items: KubeObject[] };
    expect(list.kind).toBe("PartialObjectMetadataList");
    expect(list.items[0]).not.toHaveProperty("spec");
    expect((await text("/api/v1/namespaces", {}, { accept: "application/cbor" })).status).toBe(406);
    const yaml = await text("/api/v1/namespaces/default", {}, { accept: "application/yaml" });
    expect(yaml.body).toMatch(/^kind: Namespace$/m);
    const protobuf = await text("/api/v1/namespaces/default", {}, { accept: "application/vnd.kubernetes.protobuf" });
    expect(protobuf.body.startsWith("k8s\0")).toBe(true);
  });
});

describe("watches", () => {
  it("goes on exactly where a list ended", async () => {
    const list = await client.list(configMaps, { namespace });
    const resourceVersion = list.metadata.resourceVersion ?? "";
    const object = await create("watched");
    await client.patch({ ...configMaps, namespace, name: "watched" }, "application/merge-patch+json", {
      data: { more: "x" },
    });
    await client.delete({ ...configMaps, namespace, name: "watched" });
    const events = await take(client.watch(configMaps, { namespace, resourceVersion }), 3);
    expect(events.map(({ type }) => type)).toEqual(["ADDED", "MODIFIED", "DELETED"]);
    expect(events[0]?.object.metadata.uid).toBe(object.metadata.uid);
    const versions = events.map((event) => Number(event.object.metadata.resourceVersion));
    expect(versions).toEqual(versions.toSorted((a, b) => a - b));
    expect(versions[2]).toBeGreaterThan(versions[1] as number);
  });

  it("sends the beginning and marks its end (WatchList)", async () => {
    const events: WatchEvent[] = [];
    for await (const event of client.watch(configMaps, {
      namespace,
      sendInitialEvents: true,
      allowWatchBookmarks: true,
    })) {
      events.push(event);
      if (event.type === "BOOKMARK") break;
    }
    expect(events.at(-1)?.object.metadata.annotations).toEqual({ "k8s.io/initial-events-end": "true" });
    const { items } = await client.list(configMaps, { namespace });
    expect(events.slice(0, -1).map(({ object }) => object.metadata.name)).toEqual(
      items.map(({ metadata }) => metadata.name),
    );
  });

  it("shows leaving a selector as DELETED", async () => {
    const { metadata } = await client.list(configMaps, { namespace });
    const ref = { ...configMaps, namespace, name: "moving" };
    await create("moving", { colour: "red" });
    await client.patch(ref, "application/merge-patch+json", { metadata: { labels: { colour: "blue" } } });
    await client.patch(ref, "application/merge-patch+json", { metadata: { labels: { colour: "red" } } });
    const resourceVersion = metadata.resourceVersion ?? "";
    const events = await take(client.watch(configMaps, { namespace, labelSelector: "colour=red", resourceVersion }), 3);
    expect(events.map(({ type }) => type)).toEqual(["ADDED", "DELETED", "ADDED"]);
  });

  it("writes nothing, and says nothing, when nothing changes", async () => {
    const before = await create("still");
    const ref = { ...configMaps, namespace, name: "still" };
    const after = await client.update(ref, before);
    expect(after.metadata.resourceVersion).toBe(before.metadata.resourceVersion);
  });

  it("ends after its time", async () => {
    const events = await take(client.watch(configMaps, { namespace, resourceVersion: "0", timeoutSeconds: 1 }), 10_000);
    expect(events.length).toBeGreaterThan(0);
  });
});

describe("limits", () => {
  it("refuses bodies that are too large, broken or of another kind", async () => {
    const post = async (body: string, type = "application/json"): Promise<{ status: number; reason: string }> => {
      const answer = await transport({
        method: "POST",
        path: "/api/v1/namespaces/default/configmaps",
        headers: { "content-type": type },
        body,
      });
      let said = "";
      for await (const chunk of answer.body) said += Buffer.from(chunk).toString();
      return { status: answer.status, reason: (JSON.parse(said) as { reason: string }).reason };
    };
    expect(await post("{")).toEqual({ status: 400, reason: "BadRequest" });
    expect(await post("[]")).toEqual({ status: 400, reason: "BadRequest" });
    expect(await post(JSON.stringify({ ...made("x"), kind: "Secret" }))).toEqual({ status: 400, reason: "BadRequest" });
    expect(await post("x", "application/cbor")).toEqual({ status: 415, reason: "UnsupportedMediaType" });
    const large = { ...made("large"), data: { x: "x".repeat(3 * 1024 * 1024) } };
    expect(await post(JSON.stringify(large))).toEqual({ status: 413, reason: "RequestEntityTooLarge" });
  });

  it("answers in HTTP/1.1 who would rather speak something else, and opens no tunnel", async () => {
    const headers = {
      connection: "upgrade, http2-settings",
      upgrade: "h2c",
      "http2-settings": "AAMAAABkAARAAAAAAAIAAAAA",
    };
    expect(JSON.parse((await text("/version", {}, headers)).body)).toMatchObject({ major: "1" });
    const { server: url, ca } = readKubeconfig(await readFile(server.kubeconfig, "utf8"));
    const status = await new Promise((resolve, reject) => {
      const asked = request(url, { ca, method: "CONNECT", path: "127.0.0.1:1", timeout: 30_000 });
      asked.once("connect", ({ statusCode }, socket) => {
        socket.destroy();
        resolve(statusCode);
      });
      asked.once("timeout", () => asked.destroy(new Error("no answer")));
      asked.once("error", reject).end();
    });
    expect(status).toBe(405);
  });

  it("takes numbers for what they are", async () => {
    const wrong: Record<string, string>[] = [
      { limit: "x" },
      { limit: "1e3" },
      { timeoutSeconds: "x" },
      { watch: "1", timeoutSeconds: "1.5" },
    ];
    for (const query of wrong) expect((await text("/api/v1/configmaps", query)).status).toBe(400);
    expect((await text("/api/v1/configmaps", { limit: "-1", timeoutSeconds: "0" })).status).toBe(200);
  });

  it("does not know what is not there", async () => {
    for (const path of ["/nothing", "/api/v2", "/apis/nothing/v1", "/api/v1/nothings", "/api/v1/nodes/x/nothing"]) {
      expect((await text(path, {})).status).toBe(404);
    }
  });
});

describe("a crash", () => {
  it("loses nothing that was acknowledged", async () => {
    const acknowledged: string[] = [];
    const writing = (async () => {
      for (let at = 0; at < 500; at += 1) {
        await create(`crash-${at}`);
        acknowledged.push(`crash-${at}`);
      }
    })().catch(() => undefined);
    while (acknowledged.length < 40) await new Promise((resolve) => setTimeout(resolve, 5));
    await server.end("SIGKILL");
    await writing;
    await server.launch();
    client = await server.client();
    const { items } = await client.list(configMaps, { namespace });
    const names = new Set(items.map(({ metadata }) => metadata.name));
    expect(acknowledged.filter((name) => !names.has(name))).toEqual([]);
    await expect(client.get({ ...configMaps, namespace, name: "never" })).rejects.toSatisfy((error) =>
      isStatus(error, "NotFound"),
    );
  });
});
