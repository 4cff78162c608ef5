/** Custom resources in several versions: a real HTTPS conversion webhook, and clients of either version. */
import { createServer } from "node:https";
import type { Server } from "node:https";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createAuthority, createLeaf } from "../../main/control-plane/pki/keys.ts";
import { TestServer, until } from "./support.ts";

interface Shirt {
  apiVersion: string;
  kind: string;
  metadata: { name: string; labels?: Record<string, string> };
  spec: { size?: string; width?: number; length?: number; unit?: string };
}
interface Review {
  apiVersion: string;
  request: { uid: string; desiredAPIVersion: string; objects: Shirt[] };
}

let server: TestServer;
let hook: Server;
let caBundle = "";
let port = 0;
let broken = false;
const asked: Review["request"][] = [];

/** v1 says "WIDTHxLENGTH" where v2 says them apart. */
function converted(shirt: Shirt, desired: string): Shirt {
  const { size = "", width = 0, length = 0 } = shirt.spec;
  const [w = "", l = ""] = size.split("x");
  const spec = desired.endsWith("/v2") ? { width: Number(w), length: Number(l) } : { size: `${width}x${length}` };
  return { ...shirt, apiVersion: desired, spec };
}

beforeAll(async () => {
  const ca = await createAuthority("conversion-ca");
  caBundle = Buffer.from(ca.certificate).toString("base64");
  const { certificate, key } = await createLeaf(ca, {
    commonName: "conversion",
    sans: ["127.0.0.1"],
    usages: ["server auth"],
    lifetime: 3600,
  });
  hook = createServer({ cert: certificate, key }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { apiVersion, request: review } = JSON.parse(Buffer.concat(chunks).toString()) as Review;
      asked.push(review);
      const result = broken ? { status: "Failure", message: "no thread left" } : { status: "Success" };
      const convertedObjects = broken ? [] : review.objects.map((one) => converted(one, review.desiredAPIVersion));
      response.writeHead(200, { "content-type": "application/json" });
      response.end(
        JSON.stringify({
          apiVersion,
          kind: "ConversionReview",
          response: { uid: review.uid, result, convertedObjects },
        }),
      );
    });
  });
  await new Promise<void>((resolve) => hook.listen(0, "127.0.0.1", resolve));
  port = (hook.address() as AddressInfo).port;
  server = await TestServer.start();
});
afterAll(async () => {
  hook?.closeAllConnections();
  hook?.close();
  await server?.stop();
});

const shirts = (): object => {
  const version = (name: string, storage: boolean, spec: object, fields: object[]): object => ({
    name,
    served: true,
    storage,
    selectableFields: fields,
    schema: { openAPIV3Schema: { type: "object", properties: { spec: { type: "object", properties: spec } } } },
  });
  const number = { type: "integer" };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: "shirts.example.com" },
    spec: {
      group: "example.com",
      scope: "Namespaced",
      names: { plural: "shirts", singular: "shirt", kind: "Shirt", listKind: "ShirtList" },
      versions: [
        version("v1", true, { size: { type: "string" } }, []),
        version("v2", false, { width: number, length: number, unit: { type: "string", default: "cm" } }, [
          { jsonPath: ".spec.width" },
        ]),
      ],
      conversion: {
        strategy: "Webhook",
        webhook: {
          conversionReviewVersions: ["v1"],
          clientConfig: { url: `https://127.0.0.1:${port}/convert`, caBundle },
        },
      },
    },
  };
};
const shirt = (version: string, name: string, spec: object): string =>
  JSON.stringify({ apiVersion: `example.com/${version}`, kind: "Shirt", metadata: { name, labels: { a: "b" } }, spec });
const specOf = async (version: string, name: string): Promise<unknown> =>
  (JSON.parse(await server.ok(`get shirts.${version}.example.com ${name} -o json`)) as Shirt).spec;

it("a definition is served, discovered and described within a second, and has its APIServices", async () => {
  await server.ok("create -f -", { input: JSON.stringify(shirts()) });
  const began = performance.now();
  await until(
    () => server.raw("GET", "/openapi/v3/apis/example.com/v2"),
    ({ status, text }) => status === 200 && text.includes("com.example.v2.Shirt"),
    5000,
  );
  expect((await server.raw("GET", "/apis/example.com/v2")).text).toContain('"shirts"');
  console.log(`served after ${Math.round(performance.now() - began)} ms`);
  await until(
    () => server.ok("get apiservices"),
    (text) => text.includes("v1.example.com") && text.includes("v2.example.com"),
  );
});

it("each version is read and written as itself, whatever is stored", async () => {
  await server.ok("create -f -", { input: shirt("v1", "old", { size: "50x70" }) });
  await server.ok("apply --server-side -f -", { input: shirt("v2", "new", { width: 40, length: 60 }) });
  expect(await specOf("v1", "old")).toEqual({ size: "50x70" });
  expect(await specOf("v2", "old")).toEqual({ width: 50, length: 70, unit: "cm" });
  expect(await specOf("v1", "new")).toEqual({ size: "40x60" });
  expect(await specOf("v2", "new")).toEqual({ width: 40, length: 60, unit: "cm" });
  await server.ok('patch shirts.v2.example.com old --type=merge -p {"spec":{"width":55}}');
  expect(await specOf("v1", "old")).toEqual({ size: "55x70" });
  await server.ok("label shirts.v2.example.com old colour=red");
  expect(await server.ok("get shirts.v1.example.com -l colour=red -o name")).toContain("shirt.example.com/old");
});

it("lists in one review, selects by the version's own fields, and asks once an object", async () => {
  await server.ok("get shirts.v2.example.com");
  asked.length = 0;
  const list = JSON.parse(await server.ok("get shirts.v2.example.com -o json")) as { items: Shirt[] };
  expect(list.items.map(({ spec }) => spec.width)).toEqual([40, 55]);
  expect(await server.ok("get shirts.v2.example.com --field-selector spec.width=55 -o name")).toBe(
    "shirt.example.com/old\n",
  );
  expect(asked).toEqual([]);
});

it("a watch shows every change in its version, in order", async () => {
  const path =
    "/apis/example.com/v2/namespaces/default/shirts?watch=true&timeoutSeconds=4&fieldSelector=spec.width%3D7";
  const watched = server.raw("GET", path);
  await new Promise((resolve) => setTimeout(resolve, 500));
  for (const [name, size] of [
    ["a", "7x1"],
    ["b", "8x1"],
    ["c", "7x2"],
  ] as const)
    await server.ok("create -f -", { input: shirt("v1", name, { size }) });
  await server.ok('patch shirts.v1.example.com a --type=merge -p {"spec":{"size":"9x1"}}');
  const events = (await watched).text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { type: string; object: Shirt });
  expect(events.map(({ type, object }) => [type, object.metadata.name, object.spec.length])).toEqual([
    ["ADDED", "a", 1],
    ["ADDED", "c", 2],
    ["DELETED", "a", 1],
  ]);
  expect(events[0]?.object.apiVersion).toBe("example.com/v2");
});

it("a webhook that fails fails the request that needs it, and no other", async () => {
  await server.ok("create -f -", { input: shirt("v1", "late", { size: "1x1" }) });
  broken = true;
  expect(await server.fails("get shirts.v2.example.com late")).toContain(
    "conversion webhook for example.com/v1, Kind=Shirt failed: no thread left",
  );
  expect(await server.fails("create -f -", { input: shirt("v2", "lost", { width: 1, length: 1 }) })).toContain(
    "conversion webhook for example.com/v2, Kind=Shirt failed: no thread left",
  );
  expect(await server.fails("get shirts.v1.example.com lost")).toContain("NotFound");
  expect(await specOf("v1", "late")).toEqual({ size: "1x1" });
});

it("the definition goes with all its objects while its webhook is away", async () => {
  await server.ok("delete crd shirts.example.com --timeout=20s");
  await until(
    () => server.ok("get apiservices"),
    (text) => !text.includes("example.com"),
  );
  expect((await server.raw("GET", "/apis/example.com/v1/shirts")).status).toBe(404);
});

it("documents are kept by the hash in their URL, and an older URL leads to the present", async () => {
  const index = await server.raw("GET", "/openapi/v3");
  const { paths } = JSON.parse(index.text) as { paths: Record<string, { serverRelativeURL: string }> };
  const url = paths["apis/apps/v1"]?.serverRelativeURL ?? "";
  const hash = url.slice(url.indexOf("=") + 1);
  const current = await server.raw("GET", url);
  expect([current.status, current.headers["cache-control"], current.headers["etag"]]).toEqual([
    200,
    "public, immutable",
    `"${hash}"`,
  ]);
  expect(Date.parse(current.headers["expires"] ?? "")).toBeGreaterThan(Date.now());
  const again = await server.raw("GET", url, { headers: { "if-none-match": `"${hash}"` } });
  expect([again.status, again.text]).toEqual([304, ""]);
  const old = await server.raw("GET", "/openapi/v3/apis/apps/v1?hash=0000");
  expect([old.status, old.headers["location"]]).toEqual([301, url]);
  const plain = await server.raw("GET", "/openapi/v3/apis/apps/v1");
  expect([plain.status, plain.headers["cache-control"]]).toEqual([200, "no-cache, private"]);
});
