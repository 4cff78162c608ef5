/** Lists too long to be sent in one piece, and watches that begin with as much: whole and well-formed in every form. */
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { HttpClient, Transport } from "../../common/kube/http-client.ts";
import type { KubeObject } from "../../common/kube/object.ts";
import { TestServer } from "./support.ts";

const COUNT = 1500;
const HANDS = 16;
const configMaps = { group: "", version: "v1", resource: "configmaps", namespace: "default" };
const JSON_AS = "application/json;v=v1;g=meta.k8s.io;as=";

let server: TestServer;
let client: HttpClient;
let transport: Transport;

beforeAll(async () => {
  server = await TestServer.start();
  client = await server.client();
  transport = await server.transport();
  let next = 0;
  const hand = async (): Promise<void> => {
    while (next < COUNT) {
      const name = `c-${String(next++).padStart(4, "0")}`;
      const metadata = { name, labels: { long: "list" } };
      // Two letters of UTF-8 at each end of a piece.
      const data = { text: `é${"x".repeat(1500)}ü` };
      await client.create({ ...configMaps, name }, { apiVersion: "v1", kind: "ConfigMap", metadata, data });
    }
  };
  await Promise.all(Array.from({ length: HANDS }, hand));
});
afterAll(() => server?.stop());

interface Listed {
  kind: string;
  metadata: { resourceVersion: string };
  items?: KubeObject[];
  rows?: { cells: unknown[]; object: KubeObject }[];
}

async function list(headers: Record<string, string>): Promise<{ headers: Record<string, string>; body: Listed }> {
  const path = "/api/v1/namespaces/default/configmaps";
  const answer = await transport({ method: "GET", path, query: { labelSelector: "long=list" }, headers });
  const parts: Buffer[] = [];
  for await (const part of answer.body) parts.push(Buffer.from(part));
  const bytes = Buffer.concat(parts);
  const text = answer.headers["content-encoding"] === "gzip" ? gunzipSync(bytes) : bytes;
  return { headers: answer.headers, body: JSON.parse(text.toString()) as Listed };
}

const names = (objects: KubeObject[] = []): string[] => objects.map(({ metadata }) => metadata.name ?? "");
const wanted = Array.from({ length: COUNT }, (_, at) => `c-${String(at).padStart(4, "0")}`);

it("are whole as plain JSON, compressed or not", async () => {
  const plain = await list({});
  expect([plain.body.kind, names(plain.body.items)]).toEqual(["ConfigMapList", wanted]);
  expect(plain.body.items?.[COUNT - 1]).toMatchObject({ data: { text: `é${"x".repeat(1500)}ü` } });
  const zipped = await list({ "accept-encoding": "gzip" });
  expect(zipped.headers["content-encoding"]).toBe("gzip");
  expect(zipped.body).toEqual(plain.body);
});

it("are whole as a Table and as metadata alone", async () => {
  const table = await list({ accept: `${JSON_AS}Table` });
  expect(table.body.kind).toBe("Table");
  expect(table.body.rows?.map(({ cells }) => cells[0])).toEqual(wanted);
  const partial = await list({ accept: `${JSON_AS}PartialObjectMetadataList` });
  expect(names(partial.body.items)).toEqual(wanted);
  expect(partial.body.items?.[0]).not.toHaveProperty("data");
});

it("are printed whole by kubectl", async () => {
  const lines = (await server.ok("get configmaps -l long=list --no-headers")).trim().split("\n");
  expect(lines.map((line) => line.split(" ")[0])).toEqual(wanted);
});

it("come whole as a watch's beginning, with what happens meanwhile after it", async () => {
  const seen: string[] = [];
  let changed = false;
  const query = { labelSelector: "long=list", sendInitialEvents: true, allowWatchBookmarks: true };
  for await (const { type, object } of client.watch(configMaps, query)) {
    seen.push(type === "BOOKMARK" ? type : `${type} ${object.metadata.name}`);
    if (!changed) {
      changed = true;
      await client.patch({ ...configMaps, name: "c-1499" }, "application/merge-patch+json", { data: { late: "yes" } });
    }
    if (seen.at(-1) === "MODIFIED c-1499") break;
  }
  expect(seen).toEqual([...wanted.map((name) => `ADDED ${name}`), "BOOKMARK", "MODIFIED c-1499"]);
});

it("are deleted whole", async () => {
  const path = "/api/v1/namespaces/default/configmaps";
  await transport({ method: "DELETE", path, query: { labelSelector: "long=list" }, headers: {} });
  expect((await list({})).body.items).toEqual([]);
});
