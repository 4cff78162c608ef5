/** What goes over the wire: watches in protobuf, and quantities as Kubernetes keeps them. */
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { decodeProtobuf } from "../../../common/kube/codec/protobuf.ts";
import { readFields, readString } from "../../../common/kube/codec/wire.ts";
import type { Transport } from "../../../common/kube/http-client.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import { readKubeconfig } from "../../../main/control-plane/client/node-transport.ts";
import { TestServer, until } from "../support.ts";

const PROTOBUF = "application/vnd.kubernetes.protobuf";
const STREAM = `${PROTOBUF};stream=watch`;
const path = "/api/v1/namespaces/default/configmaps";

let server: TestServer;
let transport: Transport;

beforeAll(async () => {
  server = await TestServer.start();
  transport = await server.transport();
  await until(
    () => server.kubectl(["get", "serviceaccount", "default"]),
    ({ code }) => code === 0,
  );
});
afterAll(() => server?.stop());

interface Event {
  type: string;
  raw: Uint8Array;
}

/** WatchEvent{ type = 1, object = 2 { raw = 1 } } */
function eventOf(message: Uint8Array): Event {
  const event: Event = { type: "", raw: new Uint8Array() };
  for (const { number, bytes } of readFields(message)) {
    if (number === 1) event.type = readString(bytes);
    else if (number === 2)
      for (const inner of readFields(bytes ?? new Uint8Array())) event.raw = inner.bytes ?? event.raw;
  }
  return event;
}

/** Events of a watch until there are enough; each has its length in four bytes before it. */
async function framed(
  query: Record<string, string>,
  enough: number,
  accept = STREAM,
): Promise<{ type: string; events: Event[] }> {
  const answer = await transport({ method: "GET", path, query: { watch: "1", ...query }, headers: { accept } });
  expect(answer.status).toBe(200);
  const events: Event[] = [];
  let bytes = Buffer.alloc(0);
  for await (const chunk of answer.body) {
    bytes = Buffer.concat([bytes, chunk]);
    while (bytes.length >= 4 && bytes.length >= 4 + bytes.readUInt32BE()) {
      const end = 4 + bytes.readUInt32BE();
      events.push(eventOf(bytes.subarray(4, end)));
      bytes = bytes.subarray(end);
    }
    if (events.length >= enough) break;
  }
  return { type: answer.headers["content-type"] ?? "", events };
}

/** An answer as its bytes: protobuf is no text. */
async function bytesAt(of: string, accept: string): Promise<{ status: number; type: string; bytes: Buffer }> {
  const [path = "", search = ""] = of.split("?");
  const query = Object.fromEntries(new URLSearchParams(search));
  const { status, headers, body } = await transport({ method: "GET", path, query, headers: { accept } });
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return { status, type: headers["content-type"] ?? "", bytes: Buffer.concat(chunks) };
}

describe("metadata alone in protobuf", () => {
  const ask = (of: string, as: string, more = ""): ReturnType<typeof bytesAt> =>
    bytesAt(of, `${PROTOBUF};as=${as};v=v1;g=meta.k8s.io${more}`);

  it("is one object or a list", async () => {
    await server.ok("create configmap metadata --from-literal=a=1");
    const { metadata } = JSON.parse((await server.raw("GET", `${path}/metadata`)).text) as KubeObject;
    const expected = { apiVersion: "meta.k8s.io/v1", kind: "PartialObjectMetadata", metadata };
    const one = await ask(`${path}/metadata`, "PartialObjectMetadata");
    expect([one.status, one.type]).toEqual([200, PROTOBUF]);
    expect(decodeProtobuf(one.bytes)).toEqual(expected);
    const all = await ask(`${path}?fieldSelector=metadata.name%3Dmetadata`, "PartialObjectMetadataList");
    expect(all.type).toBe(PROTOBUF);
    // After the four bytes of the mark: Unknown{ raw = 2 }, and in it the list{ items = 2 }.
    const items = [...readFields(all.bytes.subarray(4))]
      .filter(({ number }) => number === 2)
      .flatMap(({ bytes = new Uint8Array() }) => [...readFields(bytes)].filter(({ number }) => number === 2));
    expect(items).toHaveLength(1);
    // The same message as that of the object.
    const [raw] = [...readFields(one.bytes.subarray(4))].filter(({ number }) => number === 2);
    expect(items[0]?.bytes).toEqual(raw?.bytes);
  });

  it("is no Table's form: that is refused, or the next best is taken", async () => {
    expect((await ask(path, "Table")).status).toBe(406);
    const next = await ask(path, "Table", ",application/json");
    expect([next.type, (JSON.parse(next.bytes.toString()) as KubeObject).kind]).toEqual([
      "application/json",
      "ConfigMapList",
    ]);
  });
});

describe("a watch in protobuf", () => {
  it("has frames of a length and an event, bookmarks included", async () => {
    await server.ok("create configmap framed --from-literal=a=1");
    const { type, events } = await framed(
      {
        fieldSelector: "metadata.name=framed",
        sendInitialEvents: "true",
        resourceVersionMatch: "NotOlderThan",
        allowWatchBookmarks: "true",
      },
      2,
    );
    expect(type).toBe(STREAM);
    const [added, mark] = events.map(({ type: name, raw }) => ({ name, object: decodeProtobuf(raw) }));
    const stored = JSON.parse((await server.raw("GET", `${path}/framed`)).text) as KubeObject;
    expect(added).toEqual({ name: "ADDED", object: stored });
    expect(mark).toMatchObject({
      name: "BOOKMARK",
      object: { kind: "ConfigMap", metadata: { annotations: { "k8s.io/initial-events-end": "true" } } },
    });
  });

  it("tells of changes and of what goes, with the revision of the event", async () => {
    await server.ok("create configmap passing --from-literal=a=1");
    const { metadata } = JSON.parse((await server.raw("GET", `${path}/passing`)).text) as KubeObject;
    const { resourceVersion = "" } = metadata;
    await server.ok("label configmap passing seen=yes");
    await server.ok("delete configmap passing");
    const { events } = await framed({ fieldSelector: "metadata.name=passing", resourceVersion }, 2);
    expect(events.map(({ type }) => type)).toEqual(["MODIFIED", "DELETED"]);
    const [changed, gone] = events.map(({ raw }) => decodeProtobuf(raw));
    expect(changed?.metadata.labels).toEqual({ seen: "yes" });
    expect(Number(gone?.metadata.resourceVersion)).toBeGreaterThan(Number(changed?.metadata.resourceVersion));
  });

  it("is of metadata alone where that is asked for", async () => {
    await server.ok("create configmap half --from-literal=a=1");
    const as = `${PROTOBUF};stream=watch;as=PartialObjectMetadata;v=v1;g=meta.k8s.io`;
    const { type, events } = await framed({ fieldSelector: "metadata.name=half" }, 1, as);
    expect(type).toBe(STREAM);
    const { metadata } = JSON.parse((await server.raw("GET", `${path}/half`)).text) as KubeObject;
    expect(events.map((event) => decodeProtobuf(event.raw))).toEqual([
      { apiVersion: "meta.k8s.io/v1", kind: "PartialObjectMetadata", metadata },
    ]);
  });

  it("is JSON where JSON is taken, and none of YAML", async () => {
    const ask = (accept: string): ReturnType<typeof server.raw> =>
      server.raw("GET", `${path}?watch=1&timeoutSeconds=1`, { headers: { accept } });
    const both = await ask(`${PROTOBUF},application/json`);
    expect([both.status, both.headers["content-type"]]).toEqual([200, "application/json"]);
    const rather = await ask(`${PROTOBUF};stream=watch,application/json;q=0.5`);
    expect([rather.status, rather.headers["content-type"]]).toEqual([200, STREAM]);
    const yaml = await ask("application/yaml");
    expect([yaml.status, (JSON.parse(yaml.text) as KubeObject)["message"]]).toEqual([
      406,
      "only the following media types are accepted: application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch",
    ]);
  });

  it("is messages of bytes over a WebSocket", async () => {
    const { server: url, ca, certificate, key } = readKubeconfig(await readFile(server.kubeconfig, "utf8"));
    const socket = new WebSocket(`${url.replace("https", "wss")}${path}?watch=1&fieldSelector=metadata.name%3Dframed`, {
      headers: { accept: STREAM },
      ...(ca ? { ca } : {}),
      ...(certificate ? { cert: certificate } : {}),
      ...(key ? { key } : {}),
    });
    const message = await new Promise<Buffer>((resolve, reject) => {
      socket.once("error", reject);
      socket.once("message", (data, binary) => (binary ? resolve(data as Buffer) : reject(new Error("not of bytes"))));
    });
    socket.close();
    const { type, raw } = eventOf(message);
    expect([type, decodeProtobuf(raw).metadata.name]).toEqual(["ADDED", "framed"]);
  });
});

describe("quantities", () => {
  const pod = (name: string, requests: Record<string, string | number>): string =>
    JSON.stringify({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name },
      spec: { containers: [{ name: "main", image: "example.com/none:1", resources: { requests } }] },
    });

  it.each<[string, Record<string, string | number>, Record<string, string>]>([
    ["one", { cpu: "1.0", memory: "0.5Gi" }, { cpu: "1", memory: "512Mi" }],
    ["two", { cpu: "1000m", memory: "1024Mi" }, { cpu: "1", memory: "1Gi" }],
    ["three", { cpu: 0.1, memory: "0.1Gi" }, { cpu: "100m", memory: "107374182400m" }],
    ["four", { cpu: "1.500", memory: "+100Mi" }, { cpu: "1.500", memory: "+100Mi" }],
    // Of resources of a Pod nothing finer than a thousandth is kept.
    ["five", { cpu: "100u", memory: "1e3" }, { cpu: "1m", memory: "1e3" }],
  ])("of Pod %s are kept as kube-apiserver keeps them", async (name, given, kept) => {
    await server.ok("create -f -", { input: pod(`quantities-${name}`, given) });
    const shown = await server.ok(`get pod quantities-${name} -o jsonpath={.spec.containers[0].resources.requests}`);
    expect(JSON.parse(shown)).toEqual(kept);
  });

  it("that mean the same change nothing when they are applied again", async () => {
    const applied = (cpu: string): string => pod("again", { cpu });
    await server.ok("apply -f -", { input: applied("0.5") });
    const revision = (): Promise<string> => server.ok("get pod again -o jsonpath={.metadata.resourceVersion}");
    const before = await revision();
    await server.ok("apply -f -", { input: applied("0.5") });
    expect(await revision()).toBe(before);
  });
});
