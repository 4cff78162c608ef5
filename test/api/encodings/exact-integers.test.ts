/** Integers beyond 2^53 through the whole server: what is stored, read, watched, patched and copied has the digits sent. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { encodeProtobuf } from "../../../common/kube/codec/protobuf.ts";
import type { KubeObject } from "../../../common/kube/object.ts";
import { TestServer } from "../support.ts";

const JOBS = "/apis/batch/v1/namespaces/default/jobs";
const BIG = "9007199254740993";
const pod = {
  restartPolicy: "Never",
  terminationGracePeriodSeconds: 9007199254740995n,
  containers: [{ name: "main", image: "drydock.local/busybox:1" }],
};
const job = (name: string): KubeObject => ({
  apiVersion: "batch/v1",
  kind: "Job",
  metadata: { name, namespace: "default" },
  spec: { activeDeadlineSeconds: BigInt(BIG), template: { spec: pod } },
});

let server: TestServer;
const send = async (
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE",
  path: string,
  body?: string | Uint8Array,
  type = "application/json",
): Promise<string> => {
  const { status, text } = await server.raw(method, path, body ? { headers: { "content-type": type }, body } : {});
  if (status >= 300) throw new Error(`${method} ${path}: ${status} ${text}`);
  return text;
};

beforeAll(async () => {
  server = await TestServer.start("--simulated-nodes=node-a");
});
afterAll(() => server.stop());

it.each([
  ["JSON", (object: KubeObject) => JSON.stringify(object), "application/json"],
  ["protobuf", encodeProtobuf, "application/vnd.kubernetes.protobuf"],
  ["YAML", (object: KubeObject) => JSON.stringify(object), "application/yaml"],
])("made with %s, read, changed in every way and read again", async (format, encode, type) => {
  const name = format.toLowerCase();
  const one = `${JOBS}/${name}`;
  const held = `"activeDeadlineSeconds":${BIG},`;
  expect(await send("POST", JOBS, encode(job(name)), type)).toContain(held);
  const read = await send("GET", one);
  expect(read).toContain(held);
  expect(read).toContain('"terminationGracePeriodSeconds":9007199254740995');
  expect(await server.ok(`get job ${name} -o yaml`)).toContain(`activeDeadlineSeconds: ${BIG}\n`);
  expect(await send("GET", JOBS)).toContain(held);
  // Neither a patch of something else nor the object sent back as it was rounds it.
  expect(await send("PATCH", one, '{"metadata":{"labels":{"a":"b"}}}', "application/merge-patch+json")).toContain(held);
  await send("PUT", one, await send("GET", one));
  expect(await send("GET", one)).toContain(held);
  const next = '[{"op":"test","path":"/spec/activeDeadlineSeconds","value":9007199254740993}]';
  await send("PATCH", one, next, "application/json-patch+json");
  const other = '{"spec":{"activeDeadlineSeconds":9007199254740994}}';
  const changed = await send("PATCH", one, other, "application/strategic-merge-patch+json");
  expect(changed).toContain('"activeDeadlineSeconds":9007199254740994,');
  const applied = JSON.stringify({ ...job(name), spec: { activeDeadlineSeconds: BigInt(BIG) } });
  const how = "fieldManager=me&force=true";
  expect(await send("PATCH", `${one}?${how}`, applied, "application/apply-patch+yaml")).toContain(held);
});

it("a custom resource: schema, rules, and what no schema knows", async () => {
  const schema = {
    type: "object",
    properties: {
      spec: {
        type: "object",
        "x-kubernetes-preserve-unknown-fields": true,
        "x-kubernetes-validations": [{ rule: "self.size == 9007199254740993" }],
        properties: { size: { type: "integer", format: "int64", minimum: 9007199254740993n } },
      },
    },
  };
  const names = { plural: "things", singular: "thing", kind: "Thing", listKind: "ThingList" };
  const version = { name: "v1", served: true, storage: true, schema: { openAPIV3Schema: schema } };
  await send(
    "POST",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    JSON.stringify({
      apiVersion: "apiextensions.k8s.io/v1",
      kind: "CustomResourceDefinition",
      metadata: { name: "things.example.com" },
      spec: { group: "example.com", scope: "Namespaced", names, versions: [version] },
    }),
  );
  await server.ok("wait --for=condition=Established crd/things.example.com");
  const path = "/apis/example.com/v1/namespaces/default/things";
  const thing = (size: bigint): string =>
    JSON.stringify({
      apiVersion: "example.com/v1",
      kind: "Thing",
      metadata: { name: "one" },
      spec: { size, other: -9007199254740993n },
    });
  await expect(send("POST", path, thing(9007199254740992n))).rejects.toThrow("422");
  expect(await send("POST", path, thing(9007199254740993n))).toContain('"other":-9007199254740993');
  expect(await send("GET", `${path}/one`)).toContain('"size":9007199254740993');
});

it("a Pod that is given for ever to end is deleted", async () => {
  await send(
    "POST",
    "/api/v1/namespaces/default/pods",
    JSON.stringify({ apiVersion: "v1", kind: "Pod", metadata: { name: "slow" }, spec: pod }),
  );
  await server.ok("wait --for=condition=PodScheduled pod/slow --timeout=60s");
  const text = await send("DELETE", "/api/v1/namespaces/default/pods/slow");
  expect(text).toContain('"deletionTimestamp":"9999-12-31T23:59:59Z"');
});

it("what a controller makes of a template has its digits, and the Pod runs", async () => {
  await server.ok("wait --for=condition=Complete job/json --timeout=50s");
  expect(await server.ok("get pods -l job-name=json -o yaml")).toContain("GracePeriodSeconds: 9007199254740995\n");
});
